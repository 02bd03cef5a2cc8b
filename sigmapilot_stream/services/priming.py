"""Asks the venue for positions: new accounts first, then a rolling sample, and the pool after a gap."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import orjson
import structlog

from sigmapilot_core.adapters.hyperliquid import calls
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage, VenueError
from sigmapilot_core.adapters.hyperliquid.limiter import Priority
from sigmapilot_core.adapters.hyperliquid.rest import Info
from sigmapilot_core.domain.engine.engine import Engine
from sigmapilot_core.domain.engine.priming import RECONCILE_DELAY_MS
from sigmapilot_core.ports import Clock
from sigmapilot_stream.decode import LOST, PRIMED, RECONCILED, primed_payload
from sigmapilot_stream.inputs import Inputs

AT_ONCE = 8
IDLE_S = 0.2

log = structlog.get_logger(__name__)


class PrimingService:
    """Keeps the ledgers of followed accounts in line with the venue, within the request budget."""

    def __init__(self, info: Info, engine: Engine, clock: Clock, inputs: Inputs, *, rolling_s: float | None) -> None:
        self._info = info
        self._engine = engine
        self._clock = clock
        self._inputs = inputs
        self._rolling_s = rolling_s
        self._gaps: dict[str, int] = {}
        self._next_rolling: list[str] = []
        self._asked: set[str] = set()

    def coin_lost(self, coin: str) -> None:
        """Trades of a coin may be missing: compare the pool with the venue, then call the coin complete again."""
        self._gaps[coin] = self._clock.now_ms()

    async def lost(self, users: Sequence[str], from_ms: int, detail: str) -> None:
        """Fills of accounts may have been missed: they are primed anew before they count again."""
        now = self._clock.now_ms()
        body = {"from_ms": from_ms, "to_ms": now, "detail": detail}
        await self._inputs.submit([(LOST, now, orjson.dumps({"user": user, **body})) for user in users])

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            unprimed = self._engine.unprimed
            # a coin with a gap cannot be decided on: thousands that only learn, or one that is never answered, must
            # not keep it so
            if self._gaps and self._has_asked_pool(unprimed):
                await self._reconcile()
            elif unprimed:
                await self._ask(self._turn(unprimed), Priority.PRIMING)
            elif self._rolling_s is not None:
                await self._ask(self._sample(1), Priority.BACKFILL)
                await asyncio.sleep(self._rolling_s)
            await asyncio.sleep(IDLE_S if not unprimed else 0)

    def _has_asked_pool(self, unprimed: Sequence[str]) -> bool:
        """Whether every waiting pool member was asked at least once since it began to wait."""
        waiting = [name for name in unprimed if self._engine.traders[name].member is not None]
        return self._asked.issuperset(waiting)

    def _turn(self, unprimed: Sequence[str]) -> list[str]:
        """Who is asked next: those not asked yet, pool members first; then everyone who did not answer once more."""
        self._asked &= set(unprimed)
        fresh = [name for name in unprimed if name not in self._asked]
        if not fresh:
            self._asked.clear()
        chosen = (fresh or list(unprimed))[: AT_ONCE * 4]
        self._asked.update(chosen)
        return chosen

    async def _reconcile(self) -> None:
        coin = next(iter(self._gaps))
        del self._gaps[coin]
        pool = [name for name, trader in self._engine.traders.items() if trader.member is not None]
        await self._ask(pool, Priority.PRIMING)
        # the engine compares a statement only once the feed has caught up with it
        await asyncio.sleep(RECONCILE_DELAY_MS / 1000 + 1)
        await self._inputs.submit([(RECONCILED, self._clock.now_ms(), orjson.dumps({"coin": coin}))])

    def _sample(self, count: int) -> list[str]:
        if not self._next_rolling:
            self._next_rolling = sorted(self._engine.traders, reverse=True)
        return [self._next_rolling.pop() for _ in range(min(count, len(self._next_rolling)))]

    async def _ask(self, users: Iterable[str], priority: Priority) -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(user: str) -> None:
            async with gate:
                await self._ask_one(user, priority)

        async with asyncio.TaskGroup() as group:
            for user in users:
                group.create_task(one(user))

    async def _ask_one(self, user: str, priority: Priority) -> None:
        try:
            state = await self._info.get(calls.account(user), priority)
        except (VenueError, BadMessage) as error:
            log.warning("positions not answered", user=user, reason=str(error))
            await asyncio.sleep(1.0)
            return
        payload = primed_payload(user, state.time_ms, state.positions)
        await self._inputs.submit([(PRIMED, self._clock.now_ms(), payload)])
