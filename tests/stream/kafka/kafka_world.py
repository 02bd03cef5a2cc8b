"""Traffic of a simulated market as inputs of several partitions, and what must be stored of it whatever happens."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from benchmarks.stream_step import record_of
from benchmarks.traffic import Load, model, opening, trading
from sigmapilot_core.adapters.postgres import snapshot_store
from sigmapilot_core.adapters.postgres.tables import metadata
from sigmapilot_core.domain.engine.events import SnapshotActivated
from sigmapilot_core.domain.engine.share import Share, shares
from sigmapilot_core.domain.snapshot import to_json
from sigmapilot_stream.decode import SNAPSHOT
from sigmapilot_stream.kafka.shared_inputs import chunks, travelling
from sigmapilot_stream.records import InputBatch, InputRecord
from sigmapilot_stream.routing import partitions_of

NOT_CONTENT = {"updated_at", "created_at", "detected_at", "reconciled_at", "latency_ms"}
CONTENT = (
    "trades", "fills", "hl_current_positions", "position_signals", "tracked_traders", "feed_gaps", "dead_records",
    "decision_ids", "decision_logs", "decision_inputs", "consensus_signals", "outcome_tracking", "ticket_outcomes",
    "chain_heads",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Traffic:
    """Messages of each partition in order, as the feed would have sent them."""

    shares: tuple[Share, ...]
    messages: tuple[tuple[InputBatch, ...], ...]

    @property
    def last_seqs(self) -> dict[str, int]:
        """The last input of each partition."""
        return {s.name: part[-1].records[-1].seq for s, part in zip(self.shares, self.messages, strict=True)}

    @property
    def inputs(self) -> int:
        """Inputs in all partitions."""
        return sum(seq + 1 for seq in self.last_seqs.values())

    def in_turn(self) -> Iterator[tuple[int, InputBatch]]:
        """All messages, the partitions' taking turns."""
        longest = max(len(part) for part in self.messages)
        for i in range(longest):
            for partition, part in enumerate(self.messages):
                if i < len(part):
                    yield partition, part[i]


def publish_model(database: sa.Engine, load: Load) -> str:
    """Put the traffic's model into the database; its JSON as an input holds it."""
    with database.begin() as connection:
        found = snapshot_store.publish(connection, model(load), None)
    assert found is not None
    return to_json(found)


def traffic(load: Load, count: int, snapshot: str, frames_per_message: int = 20) -> Traffic:
    """The load's inputs, numbered and divided."""
    parts: list[list[InputRecord]] = [[] for _ in range(count)]
    for event in [*opening(load), *trading(load)]:
        record = record_of(event, 0)
        if isinstance(event, SnapshotActivated):
            record = InputRecord(0, SNAPSHOT, record.received_ms, snapshot.encode())
        for partition in partitions_of(record.kind, record.payload, count):
            numbered = InputRecord(len(parts[partition]), record.kind, record.received_ms, record.payload)
            parts[partition].append(travelling(numbered))
    names = shares(count)
    return Traffic(
        names,
        tuple(
            tuple(
                InputBatch(share.name, tuple(chunk))
                for start in range(0, len(part), frames_per_message)
                for chunk in chunks(part[start : start + frames_per_message])
            )
            for share, part in zip(names, parts, strict=True)
        ),
    )


def hashes(database: sa.Engine, tables: Sequence[str] = CONTENT) -> dict[str, tuple[int, str]]:
    """Rows and SHA-256 of what each table holds, without when it was written."""
    found = {}
    with database.connect() as connection:
        for table in metadata.sorted_tables:
            if table.name in tables:
                columns = [column for column in table.columns if column.name not in NOT_CONTENT]
                rows = sorted("|".join(map(str, row)) for row in connection.execute(sa.select(*columns)))
                found[table.name] = (len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest())
    return found
