"""One weighted request budget per network address (spec section 4.1).

The venue allows 1200 weight in any 60 seconds. Exits may use all of it; everything else leaves a margin, so that an
exit never waits behind reading. After a 429 everything but exits pauses. The window is of one process
(`WeightWindow`) or of all processes of the machine (`shared_window.py`).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import Protocol

from sigmapilot_core.adapters.hyperliquid.pacing import Pace

_RECHECK_S = 1.0  # a correction may free weight while the head of the queue sleeps

LEAST_S = 1e-6  # a remainder of rounding must still move the clock


class Priority(IntEnum):
    """Who goes first; lower goes first."""

    EXIT = 0
    OWN_ORDER = 1
    OWN_STATE = 2
    PRIMING = 3
    BACKFILL = 4


@dataclass(frozen=True, slots=True)
class LimiterParams:
    """`limit` weight in any `window_s`; `margin` is kept for exits; `pause_s` is drawn after a 429.

    `shares` is the part of limit - margin up to which each priority may fill the window.
    """

    limit: int = 1200
    margin: int = 150
    window_s: float = 60.0
    pause_s: tuple[float, float] = (5.0, 30.0)
    shares: Mapping[Priority, float] = field(
        default_factory=lambda: MappingProxyType(
            {Priority.OWN_ORDER: 1.0, Priority.OWN_STATE: 0.98, Priority.PRIMING: 0.95, Priority.BACKFILL: 0.75}
        )
    )

    def __post_init__(self) -> None:
        if not 0 <= self.margin < self.limit:
            raise ValueError(f"margin is {self.margin}; allowed is 0 to below limit = {self.limit}.")

    def ceiling(self, priority: Priority) -> int:
        """Weight the window may hold after a request of this priority."""
        if priority is Priority.EXIT:
            return self.limit
        return int((self.limit - self.margin) * self.shares[priority])


@dataclass(slots=True)
class Ticket:
    """Weight charged for one request; corrected once the reply shows how many items it held."""

    at: float
    weight: int


@dataclass(slots=True)
class Place:
    """Where one request stands in the queue that processes share: since when it waits, its number and its owner.
    `busy` counts the times the window could not be looked at."""

    since: float | None = None
    number: int | None = None
    owner: int = 0
    busy: int = 0


class Window(Protocol):
    """What a limiter asks of its window; instants are those of a clock that never jumps."""

    params: LimiterParams
    granted: int
    throttled: int

    def used(self, now: float) -> int:
        """Weight charged in the window that ends now."""
        ...

    def paused_s(self, now: float) -> float:
        """Seconds the pause after a 429 still lasts."""
        ...

    def take(self, weight: int, priority: Priority, now: float, place: Place) -> Ticket | float:
        """Charge the weight, or the seconds until it may be tried again. ValueError if it can never fit."""
        ...

    def leave(self, place: Place) -> None:
        """The request no longer waits."""
        ...

    def correct(self, ticket: Ticket, actual: int, now: float) -> None:
        """Replace the estimate by the weight the reply turned out to cost."""
        ...

    def throttle(self, now: float, retry_after_s: float | None = None) -> float:
        """After a 429: pause all but exits; returns the pause."""
        ...


@dataclass(frozen=True, slots=True)
class LimiterStatus:
    """What the limiter holds, for metrics; `waited` counts requests that did not go at once."""

    used: int
    limit: int
    waiting: Mapping[str, int]
    paused_s: float
    granted: int
    throttled: int
    waited: int = 0


class WeightWindow:
    """The pure part: a sliding window of charged weight; instants are arguments."""

    def __init__(self, params: LimiterParams, rng: random.Random) -> None:
        self.params = params
        self.granted = 0
        self.throttled = 0
        self._rng = rng
        self._tickets: deque[Ticket] = deque()
        self._used = 0
        self._paused_until = -math.inf

    def used(self, now: float) -> int:
        """Weight charged in the window that ends now."""
        while self._tickets and self._tickets[0].at <= now - self.params.window_s:
            self._used -= self._tickets.popleft().weight
        return self._used

    def paused_s(self, now: float) -> float:
        """Seconds the pause after a 429 still lasts."""
        return max(0.0, self._paused_until - now)

    def wait_s(self, weight: int, priority: Priority, now: float) -> float:
        """Seconds until a request of this weight may go; 0.0 for now. ValueError if it can never fit."""
        ceiling = self.params.ceiling(priority)
        if weight > ceiling:
            raise ValueError(f"weight is {weight}; allowed is at most {ceiling} for {priority.name}.")
        paused = 0.0 if priority is Priority.EXIT else self.paused_s(now)
        excess = self.used(now) + weight - ceiling
        if excess <= 0:
            return paused
        for ticket in self._tickets:
            excess -= ticket.weight
            if excess <= 0:
                return max(paused, ticket.at + self.params.window_s - now, LEAST_S)
        return max(paused, self.params.window_s)

    def take(self, weight: int, priority: Priority, now: float, place: Place) -> Ticket | float:
        """Charge the weight, or the seconds until it may be tried again."""
        delay = self.wait_s(weight, priority, now)
        return delay if delay > 0 else self.charge(weight, now)

    def leave(self, place: Place) -> None:
        """One process has one queue: nothing to give up."""

    def charge(self, weight: int, now: float) -> Ticket:
        """Book a request that is sent now."""
        ticket = Ticket(now, weight)
        self._tickets.append(ticket)
        self._used += weight
        self.granted += 1
        return ticket

    def correct(self, ticket: Ticket, actual: int, now: float) -> None:
        """Replace the estimate by the weight the reply turned out to cost."""
        self.used(now)
        difference, ticket.weight = actual - ticket.weight, actual
        if ticket.at > now - self.params.window_s:
            self._used += difference

    def throttle(self, now: float, retry_after_s: float | None = None) -> float:
        """After a 429: pause all but exits for a drawn time, at least `retry_after_s`; returns the pause."""
        self.throttled += 1
        pause = max(self._rng.uniform(*self.params.pause_s), retry_after_s or 0.0)
        self._paused_until = max(self._paused_until, now + pause)
        return pause


class Limiter:
    """The window shared by the coroutines of one process: strict priorities, first come first served within one.

    `window` is one that other processes share; without one it is the limiter's own.
    """

    def __init__(self, params: LimiterParams, pace: Pace, rng: random.Random, window: Window | None = None) -> None:
        self.window: Window = window or WeightWindow(params, rng)
        self._waited = 0
        self._pace = pace
        self._order = itertools.count()
        self._queue: list[tuple[Priority, int, asyncio.Event]] = []

    async def acquire(self, weight: int, priority: Priority) -> Ticket:
        """Wait for room, then charge `weight`. Cancelling gives the place up."""
        entry = (priority, next(self._order), asyncio.Event())
        heapq.heappush(self._queue, entry)
        has_waited, place = False, Place()
        try:
            while True:
                if self._queue[0] is not entry:
                    self.window.leave(place)
                    await entry[2].wait()
                    entry[2].clear()
                    continue
                taken = self.window.take(weight, priority, self._pace.now(), place)
                if isinstance(taken, Ticket):
                    return taken
                self._waited += not has_waited
                has_waited = True
                await self._pace.sleep(min(taken, _RECHECK_S))
        finally:
            self.window.leave(place)
            self._queue.remove(entry)
            heapq.heapify(self._queue)
            if self._queue:
                self._queue[0][2].set()

    def correct(self, ticket: Ticket, actual: int) -> None:
        """Replace the estimate by the true weight."""
        self.window.correct(ticket, actual, self._pace.now())

    def throttle(self, retry_after_s: float | None = None) -> float:
        """Tell the limiter of a 429."""
        return self.window.throttle(self._pace.now(), retry_after_s)

    def status(self) -> LimiterStatus:
        """A snapshot for metrics."""
        now, waiting = self._pace.now(), Counter(entry[0].name.lower() for entry in self._queue)
        window = self.window
        return LimiterStatus(
            window.used(now), window.params.limit, waiting, window.paused_s(now), window.granted, window.throttled,
            self._waited,
        )  # fmt: skip


class SyncLimiter:
    """The same window for threads, as batch jobs use it; `now` and `sleep` are injected (seconds, never jumping)."""

    def __init__(
        self,
        params: LimiterParams,
        now: Callable[[], float],
        sleep: Callable[[float], None],
        rng: random.Random,
        window: Window | None = None,
    ) -> None:
        self.window: Window = window or WeightWindow(params, rng)
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()

    def acquire(self, weight: int, priority: Priority) -> Ticket:
        """Block until there is room, then charge `weight`."""
        place = Place()
        try:
            while True:
                with self._lock:
                    taken = self.window.take(weight, priority, self._now(), place)
                if isinstance(taken, Ticket):
                    return taken
                self._sleep(min(taken, _RECHECK_S))
        finally:
            with self._lock:
                self.window.leave(place)

    def correct(self, ticket: Ticket, actual: int) -> None:
        """Replace the estimate by the true weight."""
        with self._lock:
            self.window.correct(ticket, actual, self._now())

    def throttle(self, retry_after_s: float | None = None) -> float:
        """Tell the limiter of a 429."""
        with self._lock:
            return self.window.throttle(self._now(), retry_after_s)
