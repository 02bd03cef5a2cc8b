"""The emulator as a process: answers at once, ready later, ends cleanly, remembers its world."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sigmapilot_core.adapters.emulator.__main__ import main
from sigmapilot_core.domain.simulation.settings import LAWS

MODULE = "sigmapilot_core.adapters.emulator"
LIMIT_S = 60.0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def status(port: int) -> tuple[int, dict[str, Any]] | None:
    """Status code and body of /healthz; None while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)
    except OSError:
        return None


@contextmanager
def started(folder: Path, port: int, traders: int = 20, days: int = 1) -> Iterator[subprocess.Popen[bytes]]:
    """A process of a small world; killed if the test leaves it running."""
    world = (
        "--seed",
        "3",
        "--traders",
        str(traders),
        "--days",
        str(days),
        "--state-dir",
        str(folder),
        "--port",
        str(port),
    )
    environment = {"PATH": os.environ["PATH"], "SIGMAPILOT_HOME": str(folder)}
    command = [sys.executable, "-m", MODULE, *world, "--state-dir", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def ready(port: int) -> dict[str, Any]:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        found = status(port)
        if found is not None and found[0] == 200:
            return found[1]
        time.sleep(0.05)
    raise AssertionError("the emulator was not ready in time")


@pytest.mark.slow
def test_it_becomes_ready_ends_on_a_signal_and_remembers_its_world(tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path, port) as process:
        first = ready(port)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert status(port) is None
    with started(tmp_path, port) as process:
        again = ready(port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert again["epoch_ms"] == first["epoch_ms"]
    assert again["now_ms"] > first["now_ms"]


@pytest.mark.slow
def test_it_ends_on_a_signal_while_its_world_is_built(tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path, port, traders=5_000, days=60) as process:
        deadline = time.monotonic() + LIMIT_S
        while (found := status(port)) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert found is not None
        assert found[0] == 503
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIGMAPILOT_HOME", str(tmp_path))
    return tmp_path


def test_wrong_options_end_with_two(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--fault", "earthquake"]) == 2
    assert "allowed is one of" in capsys.readouterr().err


def test_the_world_of_another_seed_ends_with_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = {"laws": LAWS, "seed": 9, "epoch_ms": 1_760_000_000_000, "traders": 20, "history_days": 1, "profile": "demo"}
    (home / "world.json").write_text(json.dumps(kept | {"inputs": []}))
    assert main(["--seed", "3", "--state-dir", str(home), "--port", "0"]) == 1
    assert "seed is 3; allowed is 9" in capsys.readouterr().err
