"""The one place where the asset graph is put together."""

from collections.abc import Iterator

import dagster as dg

from sigmapilot_assets import jobs
from sigmapilot_assets.composition import platform_from_settings
from sigmapilot_assets.core.episodes import episodes
from sigmapilot_assets.core.filters import trader_filters_asset
from sigmapilot_assets.external import external_assets
from sigmapilot_assets.model.calibration import calibration
from sigmapilot_assets.model.correlations import correlations
from sigmapilot_assets.model.costs import costs
from sigmapilot_assets.model.pool import pool
from sigmapilot_assets.model.posteriors import posteriors, skill
from sigmapilot_assets.model.volatility import volatility
from sigmapilot_assets.out.snapshot import snapshot
from sigmapilot_assets.past.filters import filters_asof
from sigmapilot_assets.past.pool import pool_asof
from sigmapilot_assets.platform import Platform
from sigmapilot_assets.raw.fills_history import fills_history
from sigmapilot_assets.raw.leaderboard import raw_leaderboard
from sigmapilot_assets.raw.market import candles, market
from sigmapilot_assets.raw.minutes import minutes
from sigmapilot_assets.report.audit import audit_checks
from sigmapilot_assets.report.completeness import completeness
from sigmapilot_assets.report.dbt import dbt_resource, report_models
from sigmapilot_assets.report.science import gates, truth
from sigmapilot_assets.report.storage import run_history, storage_partitions
from sigmapilot_assets.report.walk_forward import walk_forward
from sigmapilot_assets.schedules import all_schedules
from sigmapilot_assets.sensors import all_sensors

PYTHON_ASSETS = [
    raw_leaderboard,
    market,
    candles,
    minutes,
    fills_history,
    trader_filters_asset,
    episodes,
    posteriors,
    skill,
    pool,
    correlations,
    volatility,
    costs,
    calibration,
    snapshot,
    completeness,
    filters_asof,
    pool_asof,
    storage_partitions,
    run_history,
    gates,
    truth,
    walk_forward,
]


@dg.resource(description="Database, venue, clock and parameters of the mode.")
def platform_resource(_: dg.InitResourceContext) -> Iterator[Platform]:
    """The platform of the settings, for one run or one look of a sensor; its connections are closed afterwards."""
    platform = platform_from_settings()
    try:
        yield platform
    finally:
        platform.engine.dispose()


def build(resources: dict[str, object] | None = None) -> dg.Definitions:
    """The whole graph; tests hand in their own resources."""
    return dg.Definitions(
        assets=[*PYTHON_ASSETS, report_models, *external_assets],
        asset_checks=audit_checks,
        jobs=jobs.all_jobs,
        schedules=all_schedules,
        sensors=all_sensors,
        executor=dg.in_process_executor,
        resources={"platform": platform_resource, "dbt": dbt_resource, **(resources or {})},
    )


defs = build()
