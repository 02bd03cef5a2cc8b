"""The decision step over batches of inputs: decode, fire what is due, apply, gather. No I/O and no Kafka."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from sigmapilot_core.adapters.hyperliquid.gaps import TradeIntake
from sigmapilot_core.domain.engine import events, outputs
from sigmapilot_core.domain.engine.engine import Engine
from sigmapilot_stream.decode import HELD, STARTED, Decoder, UnreadableInputError, held_coins
from sigmapilot_stream.effects import DeadRecord, Effects
from sigmapilot_stream.records import InputRecord

# what a record that contradicts itself can raise in the engine: one such record must not stop all others
POISON = (ValueError, ArithmeticError, LookupError, TypeError, AssertionError)


@dataclass(frozen=True, slots=True)
class WorkerState:
    """Everything the next input meets: engine, what was read so far, the deadline asked for, the model in force, the
    coins our own account holds, the settings of the process as they stand in the journal."""

    engine: Engine
    decoder: Decoder
    deadline_ms: int | None = None
    snapshot_version: int | None = None
    held: tuple[str, ...] = ()
    started: bytes | None = None


class Worker:
    """Owns the engine of one partition. `now_ms` is the wall clock, for latency figures only.

    `snapshot_version` is that of the model the engine decides with, None before the first; `held` are the coins that
    our own account holds.
    """

    def __init__(self, partition: str, now_ms: Callable[[], int], coins: Container[str] | None = None) -> None:
        self.partition = partition
        self.engine = Engine(partition, coins)
        self.snapshot_version: int | None = None
        self.held: tuple[str, ...] = ()
        self._started: bytes | None = None
        self._coins = coins
        self._decoder = Decoder()
        self._now_ms = now_ms
        self._deadline_ms: int | None = None

    @property
    def state(self) -> WorkerState:
        """The state as it is now, shared, not copied."""
        return WorkerState(
            self.engine, self._decoder, self._deadline_ms, self.snapshot_version, self.held, self._started
        )

    def go_on_from(self, state: WorkerState) -> None:
        """Take over a state; who holds the engine keeps it."""
        self.engine.become(state.engine)
        self._decoder, self._deadline_ms = state.decoder, state.deadline_ms
        self.snapshot_version, self.held, self._started = state.snapshot_version, state.held, state.started

    def begin_anew(self) -> None:
        """Forget everything."""
        self.go_on_from(WorkerState(Engine(self.partition, self._coins), Decoder()))

    @property
    def trades_seen(self) -> TradeIntake:
        """Which trades were read so far: a feed that begins again tells by them whether it missed any."""
        return self._decoder.intake

    def handle(
        self, records: Sequence[InputRecord], after: Callable[[InputRecord], None] = lambda _: None
    ) -> tuple[Effects, list[outputs.Output]]:
        """Effects of the inputs, and all outputs for those who listen (metrics). `after` is called behind each input,
        with the state it led to."""
        effects = Effects(self.partition)
        return effects, self.handle_into(effects, records, after)

    def handle_into(
        self, effects: Effects, records: Sequence[InputRecord], after: Callable[[InputRecord], None] = lambda _: None
    ) -> list[outputs.Output]:
        """`handle` that adds to the effects of inputs before: the same as if all had come as one batch."""
        heard: list[outputs.Output] = []
        for record in records:
            try:
                self._note_own(record)
                for event in self._decoder.decode(record):
                    self._step(event, record, effects, heard)
            except UnreadableInputError as error:
                effects.dead.append(DeadRecord(record.seq, record.kind, (), record.payload, str(error)))
            self._fire_due(record.received_ms, record.seq, effects, heard)
            effects.last_seq = record.seq
            after(record)
        return heard

    def begin(self, event: events.SnapshotActivated) -> Effects:
        """Go on with the model in force after a restart; votes that ended meanwhile are an effect."""
        effects = Effects(self.partition, last_seq=event.seq)
        self._note(self.engine.apply(event), effects, [])
        self.snapshot_version = event.snapshot.version
        return effects

    def _note_own(self, record: InputRecord) -> None:
        """What concerns our own process and not the engine."""
        if record.kind == HELD:
            self.held = held_coins(record)
        elif record.kind == STARTED:
            self._started = record.payload
            # whoever begins to hear has every coin's newest trades replayed
            self._decoder.intake.is_whole = True

    def _step(self, event: events.Event, record: InputRecord, effects: Effects, heard: list[outputs.Output]) -> None:
        self._fire_due(event.now_ms, event.seq, effects, heard)
        if isinstance(event, events.TradesReceived):
            own = self._coins
            effects.trades += [(t, event.received_ms) for t in event.trades if own is None or t.coin in own]
        try:
            found = self.engine.apply(event)
        except POISON as error:
            self._park(event, record, error, effects)
            return
        self._note(found, effects, heard)
        match event:
            case events.SnapshotActivated(snapshot=snapshot):
                self.snapshot_version = snapshot.version
                if any(isinstance(output, outputs.TrackingChanged) for output in found):
                    followed = {*snapshot.slow.tracked, *(member.address for member in snapshot.slow.pool)}
                    effects.tracked = (tuple(sorted(followed)), event.received_ms)
            case events.CoinReconciled(coin=coin):
                effects.complete_coins.add(coin)

    def _park(self, event: events.Event, record: InputRecord, error: Exception, effects: Effects) -> None:
        """Keep a record that failed for a person; what it is about is not known until it was reconciled."""
        coins = coins_of(event)
        for coin in coins:
            self.engine.mark_unknown(coin, f"an input failed: {error}")
        text = f"{type(event).__name__}: {type(error).__name__}: {error}"
        effects.dead.append(DeadRecord(record.seq, record.kind, coins, record.payload, text))

    def _fire_due(self, now_ms: int, seq: int, effects: Effects, heard: list[outputs.Output]) -> None:
        """Fire every deadline up to an instant, each as of itself: a replay at any speed sees the same."""
        while self._deadline_ms is not None and self._deadline_ms <= now_ms:
            deadline = self._deadline_ms
            self._note(self.engine.apply(events.TimerFired(deadline, seq)), effects, heard)
            if self._deadline_ms == deadline:
                break

    def _note(self, found: list[outputs.Output], effects: Effects, heard: list[outputs.Output]) -> None:
        for output in found:
            if isinstance(output, outputs.NextTimer):
                self._deadline_ms = output.deadline_ms
            else:
                effects.take(output, self._latency_ms)
        heard += found

    def _latency_ms(self, decided_at_ms: int) -> float:
        return float(self._now_ms() - decided_at_ms)


def coins_of(event: events.Event) -> tuple[str, ...]:
    """Coins an event is about, sorted; none for those of an account or of everything."""
    match event:
        case events.TradesReceived(trades=rows) | events.FillsReceived(fills=rows):
            return tuple(sorted({row.coin for row in rows}))
        case events.BookUpdated(book=of) | events.ContextUpdated(context=of) | events.BarClosed(bar=of):
            return (of.coin,)
        case events.GapReported(coin=str(coin)) | events.CoinReconciled(coin=coin):
            return (coin,)
    return ()
