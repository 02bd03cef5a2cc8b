"""One application on five ports of this machine, and an orderly end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from threading import Thread
from types import TracebackType

import httpx
import psutil
import pytest
import sqlalchemy as sa
import uvicorn

from sigmapilot_ui.api.app import create_app
from sigmapilot_ui.api.context import ApiConfig
from sigmapilot_ui.api.serve import PortTakenError, listen, server


class Running:
    """A server on its own thread until the block ends."""

    def __init__(self, serving: uvicorn.Server, sockets: list[socket.socket]) -> None:
        self._serving, self._sockets = serving, sockets
        self._thread = Thread(target=serving.run, kwargs={"sockets": sockets})

    def __enter__(self) -> list[int]:
        self._thread.start()
        return [one.getsockname()[1] for one in self._sockets]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._serving.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive()
        for one in self._sockets:
            one.close()


def test_every_port_answers_with_the_same_application(filled: sa.Engine) -> None:
    sockets = listen([0] * 5)
    with Running(server(create_app(filled, ApiConfig(mode="demo"))), sockets) as ports:
        answers = [httpx.get(f"http://127.0.0.1:{port}/consensus/stats", timeout=10).json() for port in ports]
    assert len(set(ports)) == 5
    assert all(answer == answers[0] for answer in answers)


def test_only_this_machine_can_connect() -> None:
    for one in listen([0, 0]):
        with closing(one):
            assert one.getsockname()[0] == "127.0.0.1"


def test_a_taken_port_is_named_and_none_stays_open() -> None:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        before = len(psutil.Process().net_connections("tcp4"))
        with pytest.raises(PortTakenError, match=f"port {taken} on 127.0.0.1 cannot be opened"):
            listen([0, taken])
        assert len(psutil.Process().net_connections("tcp4")) == before


@pytest.fixture
def port_base() -> int:
    """The first of five free ports in a row, below those that the system hands out to connections."""
    for base in range(20_000 + os.getpid() % 1000 * 10, 32_000, 5):
        try:
            found = listen(range(base, base + 5))
        except PortTakenError:
            continue
        for one in found:
            one.close()
        return base
    raise AssertionError("there are no five free ports in a row")


@pytest.mark.slow
def test_the_process_serves_until_sigterm_and_ends_with_0(filled_url: str, port_base: int, tmp_path: Path) -> None:
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | {
        "SIGMAPILOT_DATABASE_URL": filled_url.replace("+psycopg", ""),
        "SIGMAPILOT_HOME": str(tmp_path),
        "SIGMAPILOT_PORT_BASE": str(port_base),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "sigmapilot_ui.api"], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "Application startup complete" in line:
                break
        assert "Application startup complete" in said[-1], "".join(said)
        assert httpx.get(f"http://127.0.0.1:{port_base + 4}/readyz", timeout=10).json()["status"] == "ready"
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()
        if process.stderr:
            process.stderr.close()
