"""Ends whole process groups when the supervisor is gone, however it went. Run as a program; standard library only.

The kernel's parent-death signal reaches the processes the supervisor started, not theirs (a Dagster run, for
instance). This program holds the other end of a pipe: lines `+<group> <signal>` and `-<group>` tell it what runs, the
end of the pipe that the supervisor is no more.
"""

from __future__ import annotations

import os
import signal
import sys
import time

_PATIENCE_S = 10.0
_POLL_S = 0.05


def main() -> None:
    """Keep the list until the pipe ends, then end what is on it."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: dict[int, int] = {}
    for line in sys.stdin:
        action, words = line[0], line[1:].split()
        if action == "+":
            groups[int(words[0])] = int(words[1])
        else:
            groups.pop(int(words[0]), None)
    end(groups)


def end(groups: dict[int, int]) -> None:
    """Send each group its signal, and SIGKILL to those that have not gone after a while."""
    alive = {group for group, how in groups.items() if _send(group, how)}
    deadline = time.monotonic() + _PATIENCE_S
    while alive and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        alive = {group for group in alive if _send(group, 0)}
    for group in alive:
        _send(group, signal.SIGKILL)


def _send(group: int, how: int) -> bool:
    try:
        os.killpg(group, how)
    except (ProcessLookupError, PermissionError):  # gone; or its number belongs to someone else by now
        return False
    return True


if __name__ == "__main__":
    main()
