"""Deadlines of the engine: a heap whose stale entries do no harm, because every due entry is looked at again."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple


class Kind(IntEnum):
    """What is due; also the order within one instant."""

    RECONCILE = 0
    EPISODE = 1
    VOTES = 2


class Due(NamedTuple):
    """One deadline; `user` is empty for votes, `coin` for reconciling."""

    at_ms: int
    kind: Kind
    coin: str = ""
    user: str = ""


@dataclass(slots=True)
class Schedule:
    """Deadlines in order; an entry is kept once."""

    _heap: list[Due] = field(default_factory=list)
    _held: set[Due] = field(default_factory=set)

    def add(self, due: Due) -> None:
        """Put a deadline; one that is there already stays single."""
        if due not in self._held:
            self._held.add(due)
            heapq.heappush(self._heap, due)

    def next_ms(self) -> int | None:
        """The earliest deadline."""
        return self._heap[0].at_ms if self._heap else None

    def pop_due(self, now_ms: int) -> Iterator[Due]:
        """Remove and give everything due by `now_ms`, in order."""
        while self._heap and self._heap[0].at_ms <= now_ms:
            due = heapq.heappop(self._heap)
            self._held.discard(due)
            yield due
