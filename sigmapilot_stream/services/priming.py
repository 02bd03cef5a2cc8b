"""Asks the venue for positions: new accounts, a rolling sample, and the pool after a gap or a disagreement."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import orjson
import structlog

from sigmapilot_core.adapters.hyperliquid import calls
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage, VenueError
from sigmapilot_core.adapters.hyperliquid.limiter import Limiter, Priority
from sigmapilot_core.adapters.hyperliquid.rest import Info
from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.domain.engine.priming import RECONCILE_DELAY_MS
from sigmapilot_core.ports import Clock
from sigmapilot_stream.decode import LOST, PRIMED, RECONCILED, primed_payload
from sigmapilot_stream.inputs import Submits
from sigmapilot_stream.views import EngineView

AT_ONCE = 8
SAMPLE = 4
IDLE_S = 0.2
RETRY_S = 1.0
SUSPECT_EVERY_MS = 30_000
"""The pool is compared after a disagreement at most this often: one wrong account must not eat the budget."""

SPARE_SHARE = 0.5
"""The rolling sample asks only while less than this share of the budget is used: the rest is for others."""

UNTRIED = "not tried yet"
AFTER_RESTART_MS = 300_000
"""Within this time every coin is heard again, and a gap is one of the restart."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far priming is: `minutes_left` at the most the budget allows, whoever else uses it."""

    followed: int
    waiting: int
    minutes_left: float

    @property
    def share(self) -> float | None:
        """Share of followed traders whose positions are known; None while nobody is followed."""
        return 1 - self.waiting / self.followed if self.followed else None


class PrimingService:
    """Keeps the ledgers of followed accounts in line with the venue, within the request budget.

    `rolling_s` is the pause between two turns of the rolling sample, None for no sample. `batch_form` is what the
    undocumented request for several accounts did when it was tried at the start; it is never depended on.
    """

    def __init__(
        self,
        info: Info,
        engine: EngineView,
        clock: Clock,
        inputs: Submits,
        *,
        rolling_s: float | None,
        budget: Limiter | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.batch_form = UNTRIED
        self._info = info
        self._engine = engine
        self._clock = clock
        self._inputs = inputs
        self._rolling_s = rolling_s
        self._budget = budget
        self._metrics = metrics
        self._gaps: set[str] = set()
        self._suspects: set[str] = set()
        self._suspected_ms = -SUSPECT_EVERY_MS
        self._next_rolling: list[str] = []
        self._asked: set[str] = set()
        self._restarted: tuple[int, int] | None = None

    def restarted(self, from_ms: int) -> None:
        """The stream was not running since this instant. If a coin turns out to have lost trades by it, nobody's
        positions are known: who closed and opened meanwhile would be learnt from wrongly."""
        self._restarted = (from_ms, self._clock.now_ms() + AFTER_RESTART_MS)

    def coin_lost(self, coin: str) -> None:
        """Trades of a coin may be missing: compare the pool with the venue, then call the coin complete again."""
        self._gaps.add(coin)

    def disagreed(self, user: str) -> None:
        """The venue contradicted the ledger of an account: it and the pool are compared at once."""
        self._suspects.add(user)

    def progress(self) -> Progress:
        """How many accounts are still to be asked, and how long that takes."""
        waiting = len(self._engine.unprimed)
        if self._budget is None:
            return Progress(len(self._engine.traders), waiting, 0.0)
        params = self._budget.window.params
        a_minute = params.ceiling(Priority.PRIMING) * 60 / params.window_s
        return Progress(len(self._engine.traders), waiting, waiting * calls.LIGHT / a_minute)

    async def lost(self, users: Sequence[str], from_ms: int, detail: str) -> None:
        """Fills of accounts may have been missed: they are primed anew before they count again."""
        now = self._clock.now_ms()
        body = {"from_ms": from_ms, "to_ms": now, "detail": detail}
        await self._inputs.submit([(LOST, now, orjson.dumps({"user": user, **body})) for user in users])

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self._unprime_if_missed()
            if self.batch_form == UNTRIED and self._engine.traders and self._rolling_s is not None:
                self.batch_form = await self._try_batch(tuple(sorted(self._engine.traders)[:2]))
                log.info("the request for several accounts at once was tried", outcome=self.batch_form)
            unprimed = self._engine.unprimed
            # a coin with a gap cannot be decided on: thousands that only learn, or one that is never answered, must
            # not keep it so
            if self._gaps and self._has_asked_pool(unprimed):
                await self._reconcile()
            elif self._suspects and self._clock.now_ms() - self._suspected_ms >= SUSPECT_EVERY_MS:
                await self._compare_suspects()
            elif unprimed:
                silent = await self._ask(self._turn(unprimed), Priority.PRIMING, "priming")
                await asyncio.sleep(RETRY_S if silent else 0)
                continue
            elif self._rolling_s is not None:
                await self._roll()
                await asyncio.sleep(self._rolling_s)
            await asyncio.sleep(IDLE_S)

    async def _roll(self) -> None:
        """Compare the next accounts of the rolling sample, with weight that nobody else needs."""
        if self._budget is not None:
            status = self._budget.status()
            if status.used > SPARE_SHARE * status.limit:
                return
        await self._ask(self._sample(SAMPLE), Priority.BACKFILL, "rolling")

    async def _try_batch(self, users: tuple[str, ...]) -> str:
        """What the undocumented request for several accounts does (spec section 10.1)."""
        try:
            found = await self._info.get(calls.accounts(users), Priority.BACKFILL)
            single = await self._info.get(calls.account(users[0]), Priority.BACKFILL)
        except (VenueError, BadMessage) as error:
            return f"refused: {error}"
        is_same = found[0].positions == single.positions
        return "answered like single requests" if is_same else "answered, and not like single requests"

    async def _unprime_if_missed(self) -> None:
        if self._restarted is None:
            return
        from_ms, until_ms = self._restarted
        if self._gaps:
            await self.lost(
                sorted(self._engine.traders), from_ms, "trades were missed while the stream was not running"
            )
        if self._gaps or self._clock.now_ms() >= until_ms:
            self._restarted = None

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

    def _pool(self) -> list[str]:
        return [name for name, trader in self._engine.traders.items() if trader.member is not None]

    async def _compare_suspects(self) -> None:
        """Where one account's ledger was wrong, the pool's may be too: votes rest on it."""
        suspects, self._suspects = self._suspects, set()
        self._suspected_ms = self._clock.now_ms()
        known = [user for user in sorted(suspects) if user in self._engine.traders]
        await self._ask(dict.fromkeys([*known, *self._pool()]), Priority.PRIMING, "disagreement")

    async def _reconcile(self) -> None:
        """Compare the pool for all coins with a gap at once; a coin that loses trades meanwhile waits for its turn."""
        coins, self._gaps = self._gaps, set()
        began_ms = self._clock.now_ms()
        silent = await self._ask(self._pool(), Priority.PRIMING, "gap")
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

    async def _ask(self, users: Collection[str], priority: Priority, why: str) -> list[str]:
        """Ask about accounts, several at once; the answers travel together. Returns who was not answered."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(user: str) -> bytes | None:
            async with gate:
                return await self._positions(user, priority)

        found = dict(zip(users, await asyncio.gather(*(one(user) for user in users)), strict=True))
        at = self._clock.now_ms()
        await self._inputs.submit([(PRIMED, at, payload) for payload in found.values() if payload is not None])
        silent = [user for user, payload in found.items() if payload is None]
        if self._metrics is not None:
            asked = self._metrics.sigmapilot_positions_asked_total
            asked.labels(why, "yes").inc(len(found) - len(silent))
            asked.labels(why, "no").inc(len(silent))
        return silent

    async def _positions(self, user: str, priority: Priority) -> bytes | None:
        try:
            state = await self._info.get(calls.account(user), priority)
        except (VenueError, BadMessage) as error:
            log.warning("positions not answered", user=user, reason=str(error))
            return None
        return primed_payload(user, state.time_ms, state.positions)
