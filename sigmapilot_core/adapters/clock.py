"""Clocks: the machine's, and one that is moved by its owner (a recorded feed, a test)."""

from __future__ import annotations

import time


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return time.time_ns() // 1_000_000


class FeedClock:
    """A clock that stands still until it is moved: the receive time of a recorded feed is its `now`.

    It never runs backwards, so that a late frame cannot make an input look younger than it is.
    """

    def __init__(self, start_ms: int) -> None:
        self._now_ms = start_ms

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return self._now_ms

    def advance_to(self, to_ms: int) -> None:
        """Move to an instant; an earlier one than now changes nothing."""
        self._now_ms = max(self._now_ms, to_ms)
