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
from sigmapilot_stream.effects import Effects
from sigmapilot_stream.messages import market_intent, opposite_intent, outcome_record, signal_intent, signal_record
from sigmapilot_stream.observe import Observer
from sigmapilot_stream.records import InputBatch, IntentRecord
from sigmapilot_stream.retrying import until_written
from sigmapilot_stream.worker import Worker

PROGRESS_EVERY_S = 1.0
MARKET_EVERY_MS = 500

log = structlog.get_logger(__name__)

Publish = Callable[[Any], Awaitable[object]]


@dataclass(slots=True)
class Channels:
    """Where the agent tells others."""

    signals: Publish
    outcomes: Publish
    intents: Publish


class Decide:
    """Consumes batches of inputs in order; a batch counts only once its effects are committed."""

    def __init__(
        self,
        worker: Worker,
        database: sa.Engine,
        channels: Channels,
        observer: Observer,
        account: str,
        positions: Callable[[], Sequence[str]],
        on_gap: Callable[[str], None],
    ) -> None:
        self.worker = worker
        self._database = database
        self._channels = channels
        self._observer = observer
        self._account = account
        self._positions = positions
        self._on_gap = on_gap
        self._written_at = 0.0
        self._market_ms: dict[str, int] = {}
        self.handled_seq = -1

    async def consume(self, stream: AsyncIterable[InputBatch]) -> None:
        """Handle batches until the stream ends."""
        async for batch in stream:
            await self.handle(batch)

    async def handle(self, batch: InputBatch) -> None:
        """One batch: apply, commit, tell."""
        effects, heard = self.worker.handle(batch.records)
        if not effects.is_empty or time.monotonic() - self._written_at >= PROGRESS_EVERY_S:
            started = time.monotonic()
            new = await until_written(lambda: self._commit(effects), "effects of a batch")
            self._written_at = time.monotonic()
            self._observer.committed(effects, self._written_at - started)
            await self._tell(effects, frozenset(new))
        self._observer.heard(heard)
        await self._market(batch.records[-1].received_ms)
        self.handled_seq = effects.last_seq

    def _commit(self, effects: Effects) -> list[str]:
        with self._database.begin() as connection:
            return effects.commit(connection)

    async def _tell(self, effects: Effects, new: frozenset[str]) -> None:
        """Tell of what is new; a decision that was stored before a restart is not acted on twice."""
        for made in effects.decisions:
            if made.decision.id in new:
                await self._decided(made.decision)
        for outcome in effects.outcomes:
            await self._channels.outcomes(outcome_record(outcome))
        for gap in effects.gaps:
            if gap.kind is GapKind.FEED and gap.coin is not None:
                self._on_gap(gap.coin)

    async def _decided(self, decision: Decision) -> None:
        log.info("decision", id=decision.id, type=decision.decision_type.value, reasoning=decision.reasoning)
        if decision.decision_type is DecisionType.SIGNAL:
            record = signal_record(decision)
            await self._channels.signals(record)
            book = self.worker.engine.coins[decision.asset].book
            await self._channels.intents(signal_intent(self._account, record, book))
        elif decision.passed_gates:
            await self._channels.intents(opposite_intent(self._account, signal_record(decision)))

    async def _market(self, now_ms: int) -> None:
        """Books and marks of coins with an open position, at most twice a second; and the passing of time."""
        for coin in self._positions():
            if now_ms - self._market_ms.get(coin, 0) >= MARKET_EVERY_MS and coin in self.worker.engine.coins:
                self._market_ms[coin] = now_ms
                await self._channels.intents(market_intent(self._account, self.worker.engine.coins[coin], now_ms))
        if now_ms - self._market_ms.get("", 0) >= 1000:
            self._market_ms[""] = now_ms
            await self._channels.intents(IntentRecord(self._account, "time", now_ms))
