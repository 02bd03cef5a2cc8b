"""Clocks: all UTC, all running by default (Dagster's own default is stopped)."""

from __future__ import annotations

import dagster as dg

from sigmapilot_assets import jobs


def _schedule(name: str, job: dg.UnresolvedAssetJobDefinition, cron: str, description: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )


all_schedules = [
    _schedule("leaderboard_daily", jobs.refresh_leaderboard, "30 0 * * *", "Leaderboard at 00:30 UTC."),
    _schedule("pool_daily", jobs.refresh_alpha_pool, "45 0 * * *", "Pool, correlations and snapshot after it."),
    _schedule("volatility_every_5_minutes", jobs.refresh_volatility, "*/5 * * * *", "Volatility, regime and costs."),
]
