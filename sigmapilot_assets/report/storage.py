"""Partitions of the tables that grow without bound: made ahead of time, dropped when their retention ends."""

import dagster as dg

from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres.partitions import PARTITIONED, ensure_months, month_of, next_month


@dg.asset(
    name="report_storage__partitions",
    group_name="report",
    owners=["team:operations"],
    kinds={"postgres"},
    automation_condition=dg.AutomationCondition.on_cron("15 1 * * *"),
)
def storage_partitions(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Make the partitions of this month and the next."""
    now = platform.now()
    months = [month_of(now), next_month(now)]
    with platform.transaction() as connection:
        ensure_months(connection, months)
    return dg.MaterializeResult(
        metadata={"tables": ", ".join(item.table for item in PARTITIONED), "until": months[-1].date().isoformat()}
    )
