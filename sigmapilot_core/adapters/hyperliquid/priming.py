"""Learning positions of many accounts while trades arrive (spec section 4.4).

Protocol: keep back an account's fills; fetch its `clearinghouseState`, whose time is T; drop what was kept back up to
T, apply what is later; verify on the next snapshot, because whether T is block time is not documented.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from sigmapilot_core.adapters.hyperliquid import calls
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage, VenueError
from sigmapilot_core.adapters.hyperliquid.limiter import Priority
from sigmapilot_core.adapters.hyperliquid.rest import Info
from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.venue import AccountState

MAX_KEPT_BACK = 10_000
"""Fills kept back per account; a market maker that exceeds it during one request cannot be followed anyway."""


@dataclass(frozen=True, slots=True)
class Primed:
    """Positions of an account at `state.time_ms`, and the fills after it, to be applied in order.

    `overlapping` fills were dropped because the positions already hold them.
    """

    state: AccountState
    later: tuple[Fill, ...]
    overlapping: int


@dataclass(frozen=True, slots=True)
class NotPrimed:
    """The positions of an account are unknown; its fills must not be judged."""

    user: str
    reason: str


@dataclass(slots=True)
class _KeptBack:
    fills: list[Fill] = field(default_factory=list)
    overflowed: bool = False


class PrimingBuffer:
    """Fills of the accounts whose positions are being fetched. No I/O."""

    def __init__(self) -> None:
        self._kept: dict[str, _KeptBack] = {}

    def expect(self, user: str) -> None:
        """From now on keep back the fills of this account; call before the request is made."""
        self._kept[user] = _KeptBack()

    def holds(self, fill: Fill) -> bool:
        """Take a live fill; True where it is kept back and must not be applied now."""
        kept = self._kept.get(fill.user)
        if kept is None:
            return False
        if len(kept.fills) >= MAX_KEPT_BACK:
            kept.overflowed = True
        else:
            kept.fills.append(fill)
        return True

    def release(self, state: AccountState) -> Primed | NotPrimed:
        """The snapshot has come: what is later than its time is to be applied."""
        kept = self._kept.pop(state.user, _KeptBack())
        if kept.overflowed:
            return NotPrimed(state.user, f"more than {MAX_KEPT_BACK} fills came during one request")
        later = tuple(fill for fill in kept.fills if fill.time_ms > state.time_ms)
        return Primed(state, later, len(kept.fills) - len(later))

    def abandon(self, user: str, reason: str) -> NotPrimed:
        """The snapshot did not come."""
        self._kept.pop(user, None)
        return NotPrimed(user, reason)


class Primer:
    """Primes accounts in the order given, as fast as the request budget allows (weight 2 each)."""

    def __init__(self, info: Info, buffer: PrimingBuffer, workers: int = 8) -> None:
        self._info = info
        self._buffer = buffer
        self._workers = workers

    async def prime(self, users: Iterable[str], on_result: Callable[[Primed | NotPrimed], Awaitable[None]]) -> None:
        """Prime each account once and report it. All are kept back from the start."""
        waiting = deque(dict.fromkeys(users))
        for user in waiting:
            self._buffer.expect(user)
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(min(self._workers, len(waiting))):
                    tasks.create_task(self._work(waiting, on_result))
        finally:
            for user in waiting:
                self._buffer.abandon(user, "priming was ended")

    async def _work(self, waiting: deque[str], on_result: Callable[[Primed | NotPrimed], Awaitable[None]]) -> None:
        while waiting:
            await on_result(await self._one(waiting.popleft()))

    async def _one(self, user: str) -> Primed | NotPrimed:
        try:
            state = await self._info.get(calls.account(user), Priority.PRIMING)
        except (VenueError, BadMessage) as fault:
            return self._buffer.abandon(user, str(fault))
        except asyncio.CancelledError:
            self._buffer.abandon(user, "priming was ended")
            raise
        return self._buffer.release(state)


def disagreements(
    positions: Mapping[str, Decimal], recent: Iterable[Fill], state: AccountState
) -> dict[str, tuple[Decimal, Decimal]]:
    """Step (d): coins where our positions differ from the venue's at the time of `state`, as (ours, theirs).

    `positions` are ours now; fills of `recent` later than the snapshot are taken back before comparing.
    """
    ours = dict(positions)
    for fill in recent:
        if fill.time_ms > state.time_ms:
            ours[fill.coin] = ours.get(fill.coin, Decimal(0)) - fill.signed_size
    theirs = {p.coin: p.size for p in state.positions}
    zero = Decimal(0)
    pairs = {coin: (ours.get(coin, zero), theirs.get(coin, zero)) for coin in ours.keys() | theirs.keys()}
    return {coin: pair for coin, pair in pairs.items() if pair[0] != pair[1]}
