"""The journal as the decision step met it: inputs in order, and where a process had to begin anew between them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sigmapilot_core
from sigmapilot_core.adapters.journal.checkpoints import Checkpoint, CheckpointStore, code_version
from sigmapilot_core.adapters.journal.reader import JournalReader
from sigmapilot_core.adapters.journal.records import JournalDamaged, Record
from sigmapilot_core.domain.engine.events import SnapshotActivated
from sigmapilot_stream.effects import Effects
from sigmapilot_stream.records import InputRecord
from sigmapilot_stream.worker import Worker

BATCH = 200
NOTHING = -1
"""The input before the first one."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Inputs in order. `start` is the state that a process began anew with before them, None where they follow on."""

    records: tuple[InputRecord, ...]
    start: Checkpoint | None = None


def checkpoints_of(folder: Path, partition: str) -> CheckpointStore:
    """The checkpoints of a partition, for the code that runs."""
    core = Path(sigmapilot_core.__file__).parent
    version = code_version(core / "domain", core / "adapters" / "hyperliquid", Path(__file__).parent)
    return CheckpointStore(folder, partition, version)


class Course:
    """One partition's journal with its checkpoints. `again_s` is the processor time that inputs took which were applied
    again, behind a checkpoint: what the next start would take once more."""

    def __init__(self, folder: Path, partition: str) -> None:
        self.reader = JournalReader(folder, partition)
        self.checkpoints = checkpoints_of(folder, partition)
        self.again_s = 0.0

    def stretches(self, from_seq: int, to_seq: int | None = None) -> Iterator[Stretch]:
        """Inputs of a range in batches. JournalDamaged where some are missing and no process began anew behind them."""
        starts = self.checkpoints.starts()
        following = sorted(seq for seq in starts if seq >= from_seq)
        begin, held = from_seq, None
        while True:
            stop = following[0] if following and (to_seq is None or following[0] <= to_seq) else None
            limit = to_seq if stop is None else stop
            try:
                for records in _batches(self.reader.read(begin), limit):
                    yield Stretch(records, held)
                    held = None
            except JournalDamaged:
                if stop is None:
                    raise
            if stop is None:
                break
            begin, held = stop + 1, starts[following.pop(0)]
        if held is not None:
            yield Stretch((), held)

    def bring_to(self, worker: Worker, seq: int, at_most: int | None = None) -> bool:
        """Give a fresh worker exactly the state after an input, without effects. False if the journal cannot: it does
        not go back far enough, more than `at_most` inputs lie between, or it is damaged there."""
        found = self.checkpoints.newest(seq)
        known = NOTHING if found is None else found.seq
        if (known == NOTHING and self.reader.first_seq() != 0) or (at_most is not None and seq - known > at_most):
            return False
        if found is not None:
            begin(worker, found)
        try:
            last = NOTHING if found is None else found.seq
            for stretch in self.stretches(last + 1, seq):
                if stretch.start is not None:
                    begin(worker, stretch.start)
                    last = stretch.start.seq
                started = time.thread_time()
                worker.handle(stretch.records)
                self.again_s += time.thread_time() - started
                last = stretch.records[-1].seq if stretch.records else last
        except JournalDamaged:
            return False
        return last == seq


def begin(worker: Worker, checkpoint: Checkpoint) -> Effects | None:
    """Take over a checkpoint; what a process that began anew with it brought at once, None where it went on exactly."""
    worker.go_on_from(checkpoint.state)
    return worker.begin(checkpoint.start) if isinstance(checkpoint.start, SnapshotActivated) else None


def as_input(record: Record) -> InputRecord:
    """A journalled record as it travels."""
    return InputRecord(record.seq, record.kind, record.received_ms, record.payload)


def _batches(records: Iterator[Record], last: int | None) -> Iterator[tuple[InputRecord, ...]]:
    batch: list[InputRecord] = []
    try:
        for record in records:
            if last is not None and record.seq > last:
                break
            batch.append(as_input(record))
            if len(batch) == BATCH:
                yield tuple(batch)
                batch.clear()
    except JournalDamaged:
        if batch:
            yield tuple(batch)  # what stands before the damage was an input all the same
        raise
    if batch:
        yield tuple(batch)
