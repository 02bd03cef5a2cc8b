"""Dagster's own records: only ticks have a retention of their own, the rest grows by thousands of rows a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed of Dagster's records."""

    runs: int
    reports: int
    check_results: int


def prune_history(instance: dg.DagsterInstance, before: datetime) -> Pruned:
    """Remove finished runs with their events and output, reports of external assets and check results before an
    instant; what an asset or check was last is kept by Dagster apart from its events."""
    runs = 0
    finished = dg.RunsFilter(statuses=_FINISHED, created_before=before)
    while found := instance.get_run_ids(finished, limit=_BATCH):
        for run_id in found:
            instance.delete_run(run_id)
            instance.compute_log_manager.delete_logs(prefix=[run_id])
        runs += len(found)
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return Pruned(runs, 0, 0)
    events, checks = SqlEventLogStorageTable, AssetCheckExecutionsTable
    naive = before.astimezone(UTC).replace(tzinfo=None)  # Dagster's columns are UTC without saying so
    with storage.index_connection() as connection:
        reports = connection.execute(events.delete().where(events.c.run_id == "", events.c.timestamp < naive))
        newest = sa.select(sa.func.max(checks.c.id)).group_by(checks.c.asset_key, checks.c.check_name)
        results = connection.execute(
            checks.delete().where(checks.c.create_timestamp < naive, checks.c.id.not_in(newest))
        )
        return Pruned(runs, reports.rowcount, results.rowcount)
