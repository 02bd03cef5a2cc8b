"""Asks the venue for positions: new accounts first, then a rolling sample, and the pool after a gap."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

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
RETRY_S = 1.0

log = structlog.get_logger(__name__)


class PrimingService:
    """Keeps the ledgers of followed accounts in line with the venue, within the request budget.

    `rolling_s` is the pause between two accounts of the rolling sample, None for no sample.
    """

    def __init__(self, info: Info, engine: Engine, clock: Clock, inputs: Inputs, *, rolling_s: float | None) -> None:
        self._info = info
        self._engine = engine
        self._clock = clock
        self._inputs = inputs
        self._rolling_s = rolling_s
        self._gaps: set[str] = set()
        self._next_rolling: list[str] = []
        self._asked: set[str] = set()

    def coin_lost(self, coin: str) -> None:
        """Trades of a coin may be missing: compare the pool with the venue, then call the coin complete again."""
        self._gaps.add(coin)

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
                silent = await self._ask(self._turn(unprimed), Priority.PRIMING)
                await asyncio.sleep(RETRY_S if silent else 0)
                continue
            elif self._rolling_s is not None:
                await self._ask(self._sample(1), Priority.BACKFILL)
                await asyncio.sleep(self._rolling_s)
            await asyncio.sleep(IDLE_S)

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
        """Compare the pool for all coins with a gap at once; a coin that loses trades meanwhile waits for its turn."""
        coins, self._gaps = self._gaps, set()
        began_ms = self._clock.now_ms()
        pool = [name for name, trader in self._engine.traders.items() if trader.member is not None]
        silent = await self._ask(pool, Priority.PRIMING)
        await self.lost(silent, began_ms, "trades were missed and the venue did not answer")
        await self._wait_until(self._clock.now_ms() + RECONCILE_DELAY_MS + 1000)
        at = self._clock.now_ms()
        done = sorted(coins - self._gaps)
        await self._inputs.submit([(RECONCILED, at, orjson.dumps({"coin": coin})) for coin in done])

    async def _wait_until(self, at_ms: int) -> None:
        """The engine compares a statement only once the feed has caught up with it, by the feed's clock."""
        while self._clock.now_ms() < at_ms:
            await asyncio.sleep(IDLE_S)

    def _sample(self, count: int) -> list[str]:
        if not self._next_rolling:
            self._next_rolling = sorted(self._engine.traders, reverse=True)
        return [self._next_rolling.pop() for _ in range(min(count, len(self._next_rolling)))]

    async def _ask(self, users: Collection[str], priority: Priority) -> list[str]:
        """Ask about accounts, several at once; the answers travel together. Returns who was not answered."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(user: str) -> bytes | None:
            async with gate:
                return await self._positions(user, priority)

        found = dict(zip(users, await asyncio.gather(*(one(user) for user in users)), strict=True))
        at = self._clock.now_ms()
        await self._inputs.submit([(PRIMED, at, payload) for payload in found.values() if payload is not None])
        return [user for user, payload in found.items() if payload is None]

    async def _positions(self, user: str, priority: Priority) -> bytes | None:
        try:
            state = await self._info.get(calls.account(user), priority)
        except (VenueError, BadMessage) as error:
            log.warning("positions not answered", user=user, reason=str(error))
            return None
        return primed_payload(user, state.time_ms, state.positions)
