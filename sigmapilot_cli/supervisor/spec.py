"""What the supervisor is told about a process: everything is data, so that a test can supervise small programs."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class HttpReady:
    """Ready when a GET answers 200."""

    url: str


@dataclass(frozen=True, slots=True)
class TcpReady:
    """Ready when a port on 127.0.0.1 accepts."""

    port: int


@dataclass(frozen=True, slots=True)
class SocketReady:
    """Ready when a Unix socket accepts."""

    path: Path


@dataclass(frozen=True, slots=True)
class LogReady:
    """Ready when its output matches; stays ready until it ends."""

    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class CallReady:
    """Ready when a (short, blocking) call says so."""

    call: Callable[[], bool]


Readiness = HttpReady | TcpReady | SocketReady | LogReady | CallReady


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One supervised process.

    `ports` are the ports on 127.0.0.1 it will listen on: checked before anything starts. `before_start` runs before
    every start, restarts included; that there can be no start it says by an OSError or RuntimeError of one sentence.
    `required`: without it the whole start is given up; otherwise it is reported `degraded` and tried on. `awaited`:
    what follows is started when this is ready; otherwise at once, because it does not need it. `hang_s`: time without
    a ready answer, once ready, that counts as a failure. `litter` are files that a killed process may leave; they go
    when it is gone. `spawn` are further arguments of `subprocess` (the account to run under). Neighbours of one
    `stop_group` are stopped at once: in turn each would take over the work of the one before, only to give it up again.
    """

    name: str
    argv: tuple[str, ...]
    ready: Readiness
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: Path = Path("/")
    ports: tuple[int, ...] = ()
    required: bool = False
    awaited: bool = True
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 15.0
    kill_signal: signal.Signals = signal.SIGKILL
    death_signal: signal.Signals = signal.SIGKILL
    start_timeout_s: float = 120.0
    hang_s: float = 120.0
    before_start: Callable[[], None] | None = None
    litter: tuple[Path, ...] = ()
    spawn: Mapping[str, Any] = field(default_factory=dict)
    stop_group: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """Something done once between two starts, such as migrations; its failure gives the start up."""

    name: str
    run: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast failures are answered, seconds. `stable_s` of running without failure forgets earlier ones."""

    first_pause_s: float = 1.0
    longest_pause_s: float = 30.0
    failures_until_degraded: int = 5
    stable_s: float = 60.0
    probe_s: float = 0.1
    watch_s: float = 5.0
    probe_timeout_s: float = 5.0

    def pause_s(self, failures: int) -> float:
        """Pause before the next start: doubled with each failure in a row."""
        return min(self.longest_pause_s, self.first_pause_s * 2 ** max(0, failures - 1))
