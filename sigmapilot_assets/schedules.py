"""Clocks: all UTC, all running by default (Dagster's own default is stopped)."""

from datetime import timedelta

import dagster as dg

from sigmapilot_assets import jobs
from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import trader_store

_RUNNING = dg.DefaultScheduleStatus.RUNNING


def _schedule(name: str, job: "dg.UnresolvedAssetJobDefinition", cron: str, description: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=_RUNNING,
        description=description,
    )


@dg.schedule(
    job=jobs.refresh_volatility,
    cron_schedule="*/5 * * * *",
    execution_timezone="UTC",
    default_status=_RUNNING,
    description="Volatility, regime and costs, once there is a pool to publish them with.",
)
def volatility_every_5_minutes(platform: dg.ResourceParam[Platform]) -> dg.RunRequest | dg.SkipReason:
    """A fresh installation has no pool: a run would fail at the snapshot, every five minutes until one is drawn."""
    with platform.transaction() as connection:
        if trader_store.newest_selection(connection) is None:
            return dg.SkipReason("no pool was drawn yet: materialise all assets once")
    return dg.RunRequest()


@dg.schedule(
    job=jobs.evaluate_past_day,
    cron_schedule="0 1 * * *",
    execution_timezone="UTC",
    default_status=_RUNNING,
    description="Yesterday as of its end, at 01:00 UTC; days missed before are evaluated first.",
)
def past_day_daily(platform: dg.ResourceParam[Platform]) -> dg.RunRequest:
    """The day before the platform's today: in a recording that is the recording's."""
    return dg.RunRequest(partition_key=str(platform.today() - timedelta(days=1)))


all_schedules = [
    _schedule("leaderboard_daily", jobs.refresh_leaderboard, "30 0 * * *", "Leaderboard at 00:30 UTC."),
    _schedule("pool_daily", jobs.refresh_alpha_pool, "45 0 * * *", "Pool, correlations and snapshot after it."),
    volatility_every_5_minutes,
    _schedule("gates_daily", jobs.judge_gates, "40 1 * * *", "What the gates were worth, drift of the inputs."),
    _schedule("truth_daily", jobs.ask_truth, "10 2 * * *", "One more simulated world is asked its truth."),
    _schedule("minutes_hourly", jobs.fetch_minutes, "25 * * * *", "Minutes and funding that are not stored yet."),
    _schedule("walk_forward_daily", jobs.walk_forward, "30 2 * * *", "Stored days walked over, beside the baselines."),
    _schedule("calibration_daily", jobs.fit_calibration, "15 0 * * *", "Calibration maps of yesterday's outcomes."),
    _schedule(
        "audit_nightly", jobs.audit_logs, "20 1 * * *", "Decisions made again and hash chains walked, 01:20 UTC."
    ),
    _schedule(
        "completeness_every_15_minutes",
        jobs.measure_completeness,
        "7,22,37,52 * * * *",
        "The feed against the venue: about 1000 of the assets' request weight a time.",
    ),
    past_day_daily,
]
