"""What would grow without bound: partitions are made ahead of time and dropped at their age, run history and
unused snapshots likewise."""

from datetime import timedelta

import dagster as dg

from sigmapilot_assets.platform import Platform
from sigmapilot_assets.report.run_history import prune_history
from sigmapilot_core.adapters.postgres import snapshot_store
from sigmapilot_core.adapters.postgres.partitions import PARTITIONED, ensure_months, month_of, next_month
from sigmapilot_core.adapters.postgres.retention import Dropped, drop_before, months_ago
from sigmapilot_core.adapters.settings_values import RUN_HISTORY_DAYS

UNUSED_SNAPSHOTS = timedelta(days=7)
"""How long a model snapshot stays that nothing was decided with."""


@dg.asset(
    name="report_storage__partitions",
    group_name="report",
    owners=["team:operations"],
    kinds={"postgres"},
    automation_condition=dg.AutomationCondition.on_cron("15 1 * * *"),
    retry_policy=dg.RetryPolicy(max_retries=2, delay=30),
)
def storage_partitions(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Make the partitions of this month and the next, drop those past their retention, chains anchored."""
    now = platform.now()
    months = [month_of(now), next_month(now)]
    dropped, snapshots = Dropped((), 0), 0
    with platform.transaction() as connection:
        ensure_months(connection, months)
    if platform.retention_months is not None:
        with platform.transaction() as connection:
            dropped = drop_before(connection, months_ago(now, platform.retention_months))
        with platform.transaction() as connection:
            snapshots = snapshot_store.prune(connection, now - UNUSED_SNAPSHOTS)
    return dg.MaterializeResult(
        metadata={
            "tables": ", ".join(item.table for item in PARTITIONED),
            "until": months[-1].date().isoformat(),
            "dropped": ", ".join(dropped.partitions) or "none",
            "chains_anchored": dropped.anchored,
            "unused_snapshots": snapshots,
        }
    )


@dg.asset(
    name="report_storage__run_history",
    group_name="report",
    owners=["team:operations"],
    kinds={"postgres"},
    automation_condition=dg.AutomationCondition.on_cron("20 1 * * *"),
)
def run_history(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Remove Dagster's finished runs, reports and check results of more than two weeks ago.

    Their age is measured by the clock that stamped them, which in a recording is not the feed's.
    """
    record = context.instance.get_run_record_by_id(context.run.run_id)
    assert record is not None, "the run that asks is recorded"
    before = record.create_timestamp - timedelta(days=RUN_HISTORY_DAYS)
    removed = prune_history(context.instance, before)
    return dg.MaterializeResult(
        metadata={
            "before": before.isoformat(),
            "runs": removed.runs,
            "reports": removed.reports,
            "check_results": removed.check_results,
        }
    )
