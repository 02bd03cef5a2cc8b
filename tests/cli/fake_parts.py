"""Real processes for the supervisor's tests, and ways to look at them."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from sigmapilot_cli.supervisor.spec import LogReady, Pace, ProcessSpec, TcpReady
from sigmapilot_core.adapters.settings import load_settings

_HERE = Path(__file__).parent
_PROGRAM = _HERE / "fake_program.py"
FAST = Pace(first_pause_s=0.02, longest_pause_s=0.1, probe_s=0.01, watch_s=0.05, probe_timeout_s=1)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fake_part(name: str, story: Path, behaviour: str = "", port: int = 0, **more: Any) -> ProcessSpec:
    """A part that tells `story` of its start and stop; ready by its port if it has one, else by its output."""
    return ProcessSpec(
        name=name,
        argv=(sys.executable, "-I", "-S", str(_PROGRAM), name, str(story), str(port), behaviour),
        ready=TcpReady(port) if port else LogReady(re.compile("at your service")),
        ports=(port,) if port else (),
        **more,
    )


def eventually(claim: Callable[[], bool], within_s: float = 20.0) -> bool:
    """Whether the claim becomes true in time."""
    deadline = time.monotonic() + within_s
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def alive_with(word: str) -> list[int]:
    """Living processes with this word on their command line; corpses that nobody reaped do not count."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and any(word in part for part in process.cmdline()):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


class System:
    """One home folder and the fake system that runs in it, as a process of its own."""

    def __init__(self, home: Path) -> None:
        home.chmod(0o711)
        self.home = home
        self.pid = 0
        self._story = home / "story"
        self._environment = {"PATH": "/usr/bin:/bin", "SIGMAPILOT_HOME": str(home), "PYTHONPATH": str(_HERE)}
        self.settings = load_settings(environ=self._environment)

    @contextmanager
    def running(self, kind: str = "plain") -> Iterator[subprocess.Popen[str]]:
        """From all parts ready to the last process gone; at the end it is killed if it still runs."""
        words = [sys.executable, str(_HERE / "fake_system.py"), str(self._story), kind]
        with subprocess.Popen(words, env=self._environment, stdout=subprocess.PIPE, text=True) as process:
            self.pid = process.pid
            try:
                assert process.stdout is not None
                while "two ready" not in process.stdout.readline():
                    assert process.poll() is None
                yield process
            finally:
                process.kill()
        assert eventually(lambda: alive_with(str(self.home)) == [])

    def told(self) -> list[str]:
        """What the parts experienced."""
        return self._story.read_text().splitlines()

    def part_pid(self, name: str) -> int:
        parts = json.loads((self.settings.mode_dir / "up.json").read_text())["parts"]
        return int(next(part["pid"] for part in parts if part["name"] == name))
