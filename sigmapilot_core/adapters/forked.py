"""Work on the memory of this process as it is now, while the process goes on: in a forked copy of it.

The copy has this thread alone. Its work must not touch the event loop, connections, or locks that another thread may
have held at the moment of the fork; where it hangs all the same, it is killed in time.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Callable

from sigmapilot_core.adapters.child_process import die_with_parent

CAN_FORK = sys.platform == "linux"
"""Elsewhere a fork without exec is not safe (macOS) or not there (Windows)."""
_POLL_S = 0.02
_RESULT_BYTES = 32


class Forked:
    """A copy of this process at work. Ctrl-C and SIGTERM are its parent's to act on; it dies with it."""

    def __init__(self, work: Callable[[], int]) -> None:
        settle = die_with_parent()
        self._results, results = os.pipe()
        try:
            self.pid = os.fork()
        except OSError:
            os.close(self._results)
            os.close(results)
            raise
        if self.pid == 0:
            _run(work, settle, results)
        os.close(results)

    async def result(self, timeout_s: float) -> int:
        """What the work gave. Errors: OSError where it failed or did not end in time."""
        deadline = time.monotonic() + timeout_s
        while (ended := os.waitpid(self.pid, os.WNOHANG)) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            await asyncio.sleep(_POLL_S)
        with os.fdopen(self._results, "rb") as results:
            found = results.read(_RESULT_BYTES)
        if ended[1] != 0 or not found:
            raise OSError(f"the copy of the process ended with {os.waitstatus_to_exitcode(ended[1])}")
        return int(found)


def _run(work: Callable[[], int], settle: Callable[[], None], results: int) -> None:
    """In the copy, which ends here whatever happens: nothing of the parent's may be cleaned up twice."""
    code = 1
    try:
        gc.disable()  # a collection would touch, and so copy, every page
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        settle()
        os.write(results, str(work()).encode())
        code = 0
    finally:
        os._exit(code)
