"""What a start reads back, so that it goes on where the last one ended.

Exactly, if the journal reaches back to a checkpoint: the state is then that of the process before, as if it had never
ended. Otherwise anew, from what Postgres holds: ledgers and votes are right, but book, account and feed are unknown
until they are heard again. What a process began anew with is kept beside the journal, so that a replay can do the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog

from sigmapilot_core.adapters.journal.checkpoints import Checkpoint, Use
from sigmapilot_core.adapters.postgres import decision_store, snapshot_store, stream_store
from sigmapilot_core.domain.engine.events import SnapshotActivated
from sigmapilot_core.domain.snapshot import ModelSnapshot
from sigmapilot_stream.course import Course, as_input
from sigmapilot_stream.effects import Effects
from sigmapilot_stream.records import InputRecord
from sigmapilot_stream.worker import Worker

RECENT_FILLS_MS = 20 * 60 * 1000
RECENT_DECISIONS = timedelta(days=1)
MAX_APPLIED_AGAIN = 200_000
"""Inputs between checkpoint and progress: more would take longer than a restart may."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Before:
    """Where the last run ended: its last committed input, the snapshot now in force (None before the first), what it
    brings at once, and when the stream last said that it lives. `is_exact` tells that nothing about it is unknown."""

    progress: int
    snapshot: ModelSnapshot | None = None
    effects: Effects | None = None
    last_seen_ms: int | None = None
    is_exact: bool = False


def resume(connection: sa.Connection, worker: Worker, course: Course, now_ms: int) -> Before:
    """Give the worker the state after the last committed input: exactly where possible, else as Postgres has it."""
    progress = stream_store.read_progress(connection, worker.partition)
    if progress >= 0 and course.bring_to(worker, progress, MAX_APPLIED_AGAIN):
        log.info("going on exactly", progress=progress, traders=len(worker.engine.traders))
        seen = stream_store.read_heartbeat(connection)
        return Before(progress, worker.engine.snapshot, None, seen, is_exact=True)
    return restore(connection, worker, now_ms, course)


def restore(connection: sa.Connection, worker: Worker, now_ms: int, course: Course | None = None) -> Before:
    """Give the engine what Postgres holds, and keep what it began with in the course."""
    progress = stream_store.read_progress(connection, worker.partition)
    worker.begin_anew()
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
    start = SnapshotActivated(snapshot, now_ms, progress)
    if course is not None:
        checkpoints = course.checkpoints
        checkpoints.write(Checkpoint(progress, checkpoints.code, worker.state, start), use=Use.START)
    effects = worker.begin(start)
    log.info("restored", progress=progress, snapshot=version, traders=len(worker.engine.traders))
    return Before(progress, snapshot, effects, stream_store.read_heartbeat(connection))


def uncommitted(course: Course, progress: int) -> list[InputRecord]:
    """Inputs that were journalled but whose effects were never committed. JournalDamaged if some are missing."""
    records = [as_input(record) for record in course.reader.read(progress + 1)]
    if records:
        log.info("inputs from before the restart", count=len(records), first=records[0].seq)
    return records


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
