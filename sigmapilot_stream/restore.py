"""What a start reads back, so that it goes on where the last one ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog

from sigmapilot_core.adapters.journal.reader import JournalReader
from sigmapilot_core.adapters.postgres import decision_store, snapshot_store, stream_store
from sigmapilot_core.domain.engine.events import SnapshotActivated
from sigmapilot_core.domain.snapshot import ModelSnapshot
from sigmapilot_stream.effects import Effects
from sigmapilot_stream.records import InputRecord
from sigmapilot_stream.worker import Worker

RECENT_FILLS_MS = 20 * 60 * 1000
RECENT_DECISIONS = timedelta(days=1)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Before:
    """Where the last run ended: its last committed input, the snapshot now in force (None before the first), what it
    brings at once, and when the stream last said that it lives."""

    progress: int
    snapshot: ModelSnapshot | None = None
    effects: Effects | None = None
    last_seen_ms: int | None = None


def restore(connection: sa.Connection, worker: Worker, now_ms: int) -> Before:
    """Give the engine what Postgres holds."""
    progress = stream_store.read_progress(connection, worker.partition)
    worker.engine.restore(
        states=stream_store.read_positions(connection),
        primed=stream_store.read_primed(connection),
        recent_fills=[fill for fill, _ in stream_store.recent_fills(connection, now_ms - RECENT_FILLS_MS)],
        last_keys=decision_store.last_keys(connection, _at(now_ms) - RECENT_DECISIONS),
        followed=decision_store.read_followed(connection),
        signal_times_ms=decision_store.last_signals(connection),
    )
    version = snapshot_store.newest_version(connection)
    if version is None or progress < 0:
        return Before(progress)
    snapshot = snapshot_store.read_snapshot(connection, version)
    effects = worker.begin(SnapshotActivated(snapshot, now_ms, progress))
    log.info("restored", progress=progress, snapshot=version, traders=len(worker.engine.traders))
    return Before(progress, snapshot, effects, stream_store.read_heartbeat(connection))


def uncommitted(reader: JournalReader, progress: int) -> list[InputRecord]:
    """Inputs that were journalled but whose effects were never committed."""
    records = [
        InputRecord(record.seq, record.kind, record.received_ms, record.payload) for record in reader.read(progress + 1)
    ]
    if records:
        log.info("inputs from before the restart", count=len(records), first=records[0].seq)
    return records


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
