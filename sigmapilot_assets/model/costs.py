"""Inputs of the cost of a trade: fees, funding, expected holding time (spec 3)."""

from datetime import timedelta
from typing import Any

import dagster as dg
import sqlalchemy as sa

from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import market_store, trader_store
from sigmapilot_core.adapters.postgres.episode_store import read_learnable
from sigmapilot_core.adapters.postgres.schema.model import asset_costs
from sigmapilot_core.domain.market.costs import expected_hold_hours
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS
from sigmapilot_core.domain.traders.learning import LearnableEpisodes

_KEEP = timedelta(days=30)


@dg.asset(
    name="model_market__costs",
    group_name="model",
    owners=["team:research"],
    kinds={"python", "postgres"},
    deps=["raw_hyperliquid__market", "core_traders__episodes", "model_traders__pool", "stream_episodes"],
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=1)),
)
def costs(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Taker fee, hourly funding, volume of the day and the pool's median holding time, per asset."""
    with platform.transaction() as connection:
        pool = _pool(connection)
        now_ms = platform.clock.now_ms()
        since_ms = now_ms - platform.params.costs.hold_lookback_days * DAY_MS
        # this runs every five minutes: only what counts is read, not everything ever learnt
        held = read_learnable(connection, now_ms, since_ms, pool)
        rows = [
            _row(asset, held, platform) for asset in market_store.read_universe(connection) if not asset["is_delisted"]
        ]
        market_store.store_costs(connection, rows)
        market_store.prune(connection, asset_costs, platform.now(), _KEEP)
    measured = sum(row["hold_source"] == "episodes" for row in rows)
    return dg.MaterializeResult(metadata={"dagster/row_count": len(rows), "holds_from_episodes": measured})


def _pool(connection: sa.Connection) -> list[str]:
    selection = trader_store.newest_selection(connection)
    if selection is None:
        return []
    return [row["address"] for row in trader_store.pool_members(connection, selection["selection_version"])]


def _row(asset: dict[str, Any], held: LearnableEpisodes, platform: Platform) -> dict[str, Any]:
    params = platform.params.costs
    hold = expected_hold_hours((held.hold_ms[held.asset == asset["coin"]] / HOUR_MS).tolist(), params)
    return {
        "asset": asset["coin"],
        "computed_at": platform.now(),
        "taker_fee_bps": params.taker_fee_bps,
        "funding_rate_hourly": asset["funding_rate_hourly"],
        "hold_hours": hold.hours,
        "hold_source": hold.source,
        "hold_episodes": hold.episodes,
        "day_volume_usd": asset["day_volume_usd"],
    }
