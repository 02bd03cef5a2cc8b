"""Which trades were applied already: keys of one coin, remembered for a bounded time of the exchange's clock."""

from __future__ import annotations

from collections.abc import Hashable

WINDOW_MS = 600_000


class SeenKeys:
    """Keys of the last 10 to 20 minutes before the newest one; older ones cannot be told from new and are refused."""

    __slots__ = ("_current", "_from_ms", "_previous", "newest_ms")

    def __init__(self) -> None:
        self._current: set[Hashable] = set()
        self._previous: set[Hashable] = set()
        self._from_ms = 0
        self.newest_ms = 0

    def is_forgotten(self, time_ms: int) -> bool:
        """Whether the instant lies before everything that is still remembered for sure."""
        return time_ms < self.newest_ms - WINDOW_MS

    def __contains__(self, key: Hashable) -> bool:
        return key in self._current or key in self._previous

    def add(self, key: Hashable, time_ms: int) -> bool:
        """Remember a key; False if it was known."""
        if key in self:
            return False
        if time_ms > self.newest_ms:
            self.newest_ms = time_ms
            if time_ms - self._from_ms > WINDOW_MS:
                self._previous, self._current, self._from_ms = self._current, set(), time_ms
        self._current.add(key)
        return True
