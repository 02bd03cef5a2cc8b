"""Children that die with their parent, by the kernel's doing: a killed parent cannot clean up itself."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
# loaded before any fork: a child between fork and exec must not take the import lock
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(how: signal.Signals = signal.SIGKILL, parent: int | None = None) -> Callable[[], None]:
    """A `preexec_fn` that has the kernel send `how` to the child when the starting *thread* ends.

    Call it, and start the child, from a thread that lives as long as the process. It works after a change of uid
    because `subprocess` runs it last. Elsewhere than on Linux it does nothing; there the guard alone does the work.
    `parent` is said where the child itself calls it, as a process of a pool does.
    """
    parent = os.getpid() if parent is None else parent

    def run() -> None:
        if _LIBC is None:
            return
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(how), 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the request was in place
            os._exit(1)

    return run
