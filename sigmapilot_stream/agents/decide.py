"""The agent that decides: inputs in, effects committed, then everyone is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog

from sigmapilot_core.adapters.postgres.decision_store import MadeDecision
from sigmapilot_core.domain.consensus.record import DecisionType
from sigmapilot_core.domain.engine.outputs import GapKind
from sigmapilot_stream.decode import CANARY, STARTED, TICK
from sigmapilot_stream.effects import Effects, Written
from sigmapilot_stream.messages import market_intent, opposite_intent, outcome_record, signal_intent, signal_record
from sigmapilot_stream.observe import Observer
from sigmapilot_stream.records import InputBatch, InputRecord, IntentRecord
from sigmapilot_stream.retrying import until_written
from sigmapilot_stream.services.checkpointing import Checkpointing
from sigmapilot_stream.worker import Worker

PROGRESS_EVERY_S = 1.0
MARKET_EVERY_MS = 500
TIME_EVERY_MS = 1000
MAX_APPLIED = 2_000
"""Inputs that are applied while others are written; more of them wait in the channel, and so does who sends them."""

log = structlog.get_logger(__name__)

Publish = Callable[[Any], Awaitable[object]]
Told = tuple[int, IntentRecord]
"""Work for the executor, behind the input that led to it."""


@dataclass(slots=True)
class Applied:
    """Inputs that are applied and not written: what they led to, how many they are, when the last one came."""

    effects: Effects
    told: list[Told] = field(default_factory=list)
    is_forced: bool = False
    count: int = 0
    last_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Channels:
    """Where the agent tells others."""

    signals: Publish
    outcomes: Publish
    intents: Publish


class Decide:
    """Consumes batches of inputs in order; an input counts only once its effects are committed.

    `account` is the trading account that signals go to; `on_gap` hears of coins whose record has a hole,
    `on_disagreement` of accounts whose ledger the venue contradicts. Until `is_live`, inputs are of before a restart:
    what they lead to is written, and nobody enters on prices of another moment. What the executor is told depends on
    the inputs alone, not on how they were batched, as in a replay.
    """

    def __init__(
        self,
        worker: Worker,
        database: sa.Engine,
        channels: Channels,
        observer: Observer,
        account: str,
        on_gap: Callable[[str], None],
        on_disagreement: Callable[[str], None] = lambda _: None,
        checkpointing: Checkpointing | None = None,
    ) -> None:
        self.worker = worker
        self.handled_seq = -1
        self.handled_ms: int | None = None
        self.is_live = False
        self._database = database
        self._channels = channels
        self._observer = observer
        self._account = account
        self._on_gap = on_gap
        self._on_disagreement = on_disagreement
        self._checkpointing = checkpointing
        self._written_at = 0.0
        self._applied = Applied(Effects(worker.partition))
        self._is_writing = False
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._told_ms: dict[str, int] = {}

    @property
    def handled_seqs(self) -> dict[str, int]:
        """The last input that is decided on and committed, by partition."""
        return {self.worker.partition: self.handled_seq}

    def lag_s(self, now_ms: int) -> float | None:
        """Age of the newest input that is decided on; None before the first."""
        return None if self.handled_ms is None else max(0.0, (now_ms - self.handled_ms) / 1000)

    async def consume(self, stream: AsyncIterable[InputBatch]) -> None:
        """Handle batches until the stream ends. While effects are being written the next inputs are applied already;
        whatever was applied meanwhile is one transaction, as if it had come as one batch."""
        reader, writer = asyncio.current_task(), asyncio.create_task(self._write_on(), name="commit")
        assert reader is not None

        def give_up(_: object) -> None:
            reader.cancel()

        writer.add_done_callback(give_up)  # it ends by failing only
        try:
            async for batch in stream:
                await self._take(batch)
            await self._emptied()
        except asyncio.CancelledError:
            if writer.done() and not writer.cancelled():
                reader.uncancel()
                writer.result()
            raise
        finally:
            writer.remove_done_callback(give_up)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def handle(self, batch: InputBatch) -> None:
        """One batch: apply, commit, tell."""
        is_due = self._checkpointing is not None and self._checkpointing.is_due
        applied = Applied(Effects(self.worker.partition), is_forced=is_due)
        self._apply(batch, applied)
        await self._write_and_tell(applied)
        if self._checkpointing is not None and is_due:
            await self._checkpointing.take(self.worker, applied.effects.last_seq, self.handled_ms)

    async def _take(self, batch: InputBatch) -> None:
        """Apply a batch and let the writer have it; for a checkpoint everything before is written first."""
        if self._checkpointing is not None and self._checkpointing.is_due:
            await self._emptied()
            await self.handle(batch)
            return
        while self._applied.count >= MAX_APPLIED:
            self._taken.clear()
            await self._taken.wait()
        self._apply(batch, self._applied)
        self._arrived.set()
        await asyncio.sleep(0)

    def _apply(self, batch: InputBatch, applied: Applied) -> None:
        told, started = applied.told, time.thread_time()
        heard = self.worker.handle_into(applied.effects, batch.records, lambda record: self._note_market(record, told))
        if self._checkpointing is not None:
            self._checkpointing.applied(time.thread_time() - started)
        self._observer.heard(heard)
        applied.count += len(batch.records)
        applied.last_ms = batch.records[-1].received_ms

    async def _write_on(self) -> None:
        """Write and tell what was applied, in order, as much at a time as there is."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            applied, self._applied = self._applied, Applied(Effects(self.worker.partition))
            self._is_writing = True
            self._taken.set()
            await self._write_and_tell(applied)
            self._is_writing = False
            self._taken.set()

    async def _emptied(self) -> None:
        """Until everything that was applied is written and told."""
        while self._is_writing or self._applied.count:
            self._taken.clear()
            await self._taken.wait()

    async def _write_and_tell(self, applied: Applied) -> None:
        # a canary passes the commit as well, whether or not there is anything to write
        is_forced = applied.is_forced or any(intent.kind == "canary" for _, intent in applied.told)
        await self.commit(applied.effects, applied.told, is_forced=is_forced)
        self.handled_ms = applied.last_ms

    async def commit(self, effects: Effects, told: Sequence[Told] = (), *, is_forced: bool = False) -> None:
        """Write effects, and the progress at least once a second; then tell of what is new, and of the market."""
        started = time.monotonic()
        written = Written()
        if is_forced or not effects.is_empty or started - self._written_at >= PROGRESS_EVERY_S:
            written = await until_written(lambda: self._write(effects), "effects of a batch")
            self._written_at = time.monotonic()
            self._observer.committed(effects, written, self._written_at - started)
        await self._tell(effects, written, told)
        self.handled_seq = effects.last_seq

    async def finish(self) -> None:
        """Nothing more comes: write the progress, and keep the state that everything led to, so that the next start
        goes on exactly."""
        if self.handled_seq < 0:
            return
        await self.commit(Effects(self.worker.partition, self.handled_seq), is_forced=True)
        if self._checkpointing is not None:
            await self._checkpointing.take(self.worker, self.handled_seq)
            await self._checkpointing.written()

    def _write(self, effects: Effects) -> Written:
        with self._database.begin() as connection:
            return effects.commit(connection)

    async def _tell(self, effects: Effects, written: Written, told: Sequence[Told]) -> None:
        """Tell of what is new, in the order of the inputs; a decision that was stored before is not acted on twice."""
        new = [made for made in effects.decisions if made.decision.id in written.decisions]
        moments = [(_seq_of(made), made) for made in new] + list(told)
        for seq, moment in sorted(moments, key=lambda item: item[0]):
            if isinstance(moment, IntentRecord):
                await self._intend(moment, seq)
            else:
                await self._decided(moment)
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

    async def _decided(self, made: MadeDecision) -> None:
        decision = made.decision
        log.info("decision", id=decision.id, type=decision.decision_type.value, reasoning=decision.reasoning)
        if not decision.passed_gates:
            return
        record = signal_record(decision)
        if decision.decision_type is not DecisionType.SIGNAL:
            await self._intend(opposite_intent(self._account, record), _seq_of(made))
            return
        await self._channels.signals(record)
        if self.is_live:
            await self._intend(signal_intent(self._account, record, made.inputs.book), _seq_of(made))

    async def _intend(self, intent: IntentRecord, seq: int) -> None:
        """Give the executor work, with the input that led to it."""
        await self._channels.intents(msgspec.structs.replace(intent, seq=seq))

    def _note_market(self, record: InputRecord, told: list[Told]) -> None:
        """With each tick: books and marks of coins with an open position, at most twice a second; and the passing of
        time, which a start is as well."""
        if record.kind == CANARY and self.is_live:
            number, partition = record.payload.decode(), self.worker.partition
            sign = IntentRecord(self._account, "canary", record.received_ms, number, source=partition)
            told.append((record.seq, sign))
        if record.kind not in (TICK, STARTED) or not self.is_live:
            return
        now_ms, coins = record.received_ms, self.worker.engine.coins
        for coin in self.worker.held:
            if coin in coins and self._is_due(coin, now_ms, MARKET_EVERY_MS):
                told.append((record.seq, market_intent(self._account, coins[coin], now_ms)))
        if self._is_due("", now_ms, TIME_EVERY_MS):
            told.append((record.seq, IntentRecord(self._account, "time", now_ms)))

    def _is_due(self, name: str, now_ms: int, every_ms: int) -> bool:
        if now_ms - self._told_ms.get(name, 0) < every_ms:
            return False
        self._told_ms[name] = now_ms
        return True


def _seq_of(made: MadeDecision) -> int:
    """The input that caused a decision."""
    return int(made.inputs.trigger_event_id.rsplit("-", 1)[1])
