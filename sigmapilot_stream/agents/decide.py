"""The agent that decides: inputs in, effects committed, then everyone is told."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog

from sigmapilot_core.domain.consensus.record import Decision, DecisionType
from sigmapilot_core.domain.engine.outputs import GapKind
from sigmapilot_stream.effects import Effects, Written
from sigmapilot_stream.messages import market_intent, opposite_intent, outcome_record, signal_intent, signal_record
from sigmapilot_stream.observe import Observer
from sigmapilot_stream.records import InputBatch, IntentRecord
from sigmapilot_stream.retrying import until_written
from sigmapilot_stream.worker import Worker

PROGRESS_EVERY_S = 1.0
MARKET_EVERY_MS = 500
TIME_EVERY_MS = 1000

log = structlog.get_logger(__name__)

Publish = Callable[[Any], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Channels:
    """Where the agent tells others."""

    signals: Publish
    outcomes: Publish
    intents: Publish


class Decide:
    """Consumes batches of inputs in order; a batch counts only once its effects are committed.

    `account` is the trading account that signals go to, `positions` the coins it holds; `on_gap` hears of coins whose
    record has a hole, `on_disagreement` of accounts whose ledger the venue contradicts. Until `is_live`, inputs are of
    before a restart: what they lead to is written, and nobody enters on prices of another moment.
    """

    def __init__(
        self,
        worker: Worker,
        database: sa.Engine,
        channels: Channels,
        observer: Observer,
        account: str,
        positions: Callable[[], Sequence[str]],
        on_gap: Callable[[str], None],
        on_disagreement: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.worker = worker
        self.handled_seq = -1
        self.is_live = False
        self._database = database
        self._channels = channels
        self._observer = observer
        self._account = account
        self._positions = positions
        self._on_gap = on_gap
        self._on_disagreement = on_disagreement
        self._written_at = 0.0
        self._told_ms: dict[str, int] = {}

    async def consume(self, stream: AsyncIterable[InputBatch]) -> None:
        """Handle batches until the stream ends."""
        async for batch in stream:
            await self.handle(batch)

    async def handle(self, batch: InputBatch) -> None:
        """One batch: apply, commit, tell."""
        effects, heard = self.worker.handle(batch.records)
        self._observer.heard(heard)
        await self.commit(effects)
        if self.is_live:
            await self._tell_market(batch.records[-1].received_ms)

    async def commit(self, effects: Effects) -> None:
        """Write effects, and the progress at least once a second; then tell of what is new."""
        started = time.monotonic()
        if not effects.is_empty or started - self._written_at >= PROGRESS_EVERY_S:
            written = await until_written(lambda: self._write(effects), "effects of a batch")
            self._written_at = time.monotonic()
            self._observer.committed(effects, written, self._written_at - started)
            await self._tell(effects, written)
        self.handled_seq = effects.last_seq

    def _write(self, effects: Effects) -> Written:
        with self._database.begin() as connection:
            return effects.commit(connection)

    async def _tell(self, effects: Effects, written: Written) -> None:
        """Tell of what is new; a decision that was stored before a restart is not acted on twice."""
        for made in effects.decisions:
            if made.decision.id in written.decisions:
                await self._decided(made.decision)
        for outcome in effects.outcomes:
            await self._channels.outcomes(outcome_record(outcome))
        for gap in effects.gaps:
            if gap.kind in (GapKind.FEED, GapKind.BAD_TRADE) and gap.coin is not None:
                self._on_gap(gap.coin)
            elif gap.kind is GapKind.LEDGER and gap.user is not None:
                self._on_disagreement(gap.user)
        for dead in effects.dead:
            log.error("an input failed and is set aside", seq=dead.seq, kind=dead.kind, reason=dead.error)
            for coin in dead.coins:
                self._on_gap(coin)

    async def _decided(self, decision: Decision) -> None:
        log.info("decision", id=decision.id, type=decision.decision_type.value, reasoning=decision.reasoning)
        if not decision.passed_gates:
            return
        record = signal_record(decision)
        if decision.decision_type is not DecisionType.SIGNAL:
            await self._channels.intents(opposite_intent(self._account, record))
            return
        await self._channels.signals(record)
        if self.is_live:
            book = self.worker.engine.coins[decision.asset].book
            await self._channels.intents(signal_intent(self._account, record, book))

    async def _tell_market(self, now_ms: int) -> None:
        """Books and marks of coins with an open position, at most twice a second; and the passing of time."""
        coins = self.worker.engine.coins
        for coin in self._positions():
            if coin in coins and self._is_due(coin, now_ms, MARKET_EVERY_MS):
                await self._channels.intents(market_intent(self._account, coins[coin], now_ms))
        if self._is_due("", now_ms, TIME_EVERY_MS):
            await self._channels.intents(IntentRecord(self._account, "time", now_ms))

    def _is_due(self, name: str, now_ms: int, every_ms: int) -> bool:
        if now_ms - self._told_ms.get(name, 0) < every_ms:
            return False
        self._told_ms[name] = now_ms
        return True
