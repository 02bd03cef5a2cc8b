"""Where waiting comes from: the running loop, or a hand-moved clock for tests and recordings.

Kept apart from `ports.Clock` (wall time in milliseconds): deadlines are measured on a clock that never jumps.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import Protocol


class Pace(Protocol):
    """A clock that never jumps, and waiting on it."""

    def now(self) -> float:
        """Seconds since an arbitrary origin."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds of this clock."""
        ...


class LoopPace:
    """The clock of the running event loop."""

    def now(self) -> float:
        """Seconds of the loop's monotonic clock."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """`asyncio.sleep`."""
        await asyncio.sleep(max(0.0, seconds))


class ManualPace:
    """A clock that stands still until `advance` moves it; sleepers wake in the order of their deadlines."""

    _TURNS = 25  # turns of the loop given to woken tasks before time moves on

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        """Seconds moved so far, plus the start."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has passed the deadline."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move the clock, waking sleepers one deadline at a time and letting each run."""
        target = self._now + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            deadline, _, future = heapq.heappop(self._sleepers)
            self._now = max(self._now, deadline)
            if not future.done():
                future.set_result(None)
                await self._settle()
        self._now = target

    async def _settle(self) -> None:
        for _ in range(self._TURNS):
            await asyncio.sleep(0)


class Spacing:
    """Turns at least `1/rate` seconds apart, in the order asked for, shared by everyone who holds it."""

    def __init__(self, turns_per_s: float, pace: Pace) -> None:
        if not turns_per_s > 0:
            raise ValueError(f"turns_per_s is {turns_per_s}; allowed is above 0.")
        self._interval = 1.0 / turns_per_s
        self._pace = pace
        self._next_at = -1.0

    async def turn(self) -> None:
        """Wait for the next turn."""
        now = self._pace.now()
        at = max(now, self._next_at)
        self._next_at = at + self._interval
        if at > now:
            await self._pace.sleep(at - now)
