"""The decision step over batches of inputs: decode, fire what is due, apply, gather. No I/O and no Kafka."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sigmapilot_core.domain.engine import events, outputs
from sigmapilot_core.domain.engine.engine import Engine
from sigmapilot_stream.decode import Decoder, UnreadableInputError
from sigmapilot_stream.effects import DeadRecord, Effects
from sigmapilot_stream.records import InputRecord


class Worker:
    """Owns the engine of one partition. `now_ms` is the wall clock, for latency figures only."""

    def __init__(self, partition: str, now_ms: Callable[[], int], coins: frozenset[str] | None = None) -> None:
        self.partition = partition
        self.engine = Engine(partition, coins)
        self.decoder = Decoder()
        self._now_ms = now_ms
        self._deadline_ms: int | None = None
        self._last_now_ms = 0

    def handle(self, records: Sequence[InputRecord]) -> tuple[Effects, list[outputs.Output]]:
        """Effects of the inputs, and all outputs for those who listen (metrics, executor)."""
        effects = Effects(self.partition)
        heard: list[outputs.Output] = []
        for record in records:
            try:
                for event in self.decoder.decode(record):
                    self._step(event, effects, heard)
            except UnreadableInputError as error:
                effects.dead.append(DeadRecord(record.seq, record.kind, None, record.payload, str(error)))
            self._fire_due(record.received_ms, record.seq, effects, heard)
            effects.last_seq = record.seq
        return effects, heard

    def _step(self, event: events.Event, effects: Effects, heard: list[outputs.Output]) -> None:
        self._fire_due(event.now_ms, event.seq, effects, heard)
        if isinstance(event, events.TradesReceived):
            effects.trades += [(trade, event.received_ms) for trade in event.trades]
        try:
            self._note(self.engine.apply(event), effects, heard)
        except ValueError as error:
            coins = _coins_of(event)
            for coin in coins:
                self.engine.mark_unknown(coin, f"an input failed: {error}")
            text = f"{type(event).__name__}: {error}"
            effects.dead.append(DeadRecord(event.seq, type(event).__name__, ",".join(coins) or None, b"", text))
        if isinstance(event, events.SnapshotActivated):
            effects.tracked = (event.snapshot.slow.tracked, event.received_ms)

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


def _coins_of(event: events.Event) -> list[str]:
    if isinstance(event, events.TradesReceived):
        return sorted({trade.coin for trade in event.trades})
    if isinstance(event, events.FillsReceived):
        return sorted({fill.coin for fill in event.fills})
    return []
