"""Real processes for the supervisor's tests, and ways to look at them."""

from __future__ import annotations

import re
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from sigmapilot_cli.supervisor.spec import LogReady, Pace, ProcessSpec, TcpReady

_PROGRAM = Path(__file__).with_name("fake_program.py")
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
