"""Inputs of the cost of a trade: fees, funding, expected holding time (spec 3)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
import sqlalchemy as sa

from sigmapilot_assets.metadata import preview_table
from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import market_store, trader_store
from sigmapilot_core.adapters.postgres.episode_store import read_learnable
from sigmapilot_core.adapters.postgres.schema.model import asset_costs
from sigmapilot_core.domain.market.costs import expected_hold_hours
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS
from sigmapilot_core.domain.traders.learning import LearnableEpisodes
from sigmapilot_core.ports import VenueUnavailableError

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
    """Taker fee, hourly funding, volume of the day and the pool's median holding time, per asset, each with its source.

    The fee is the own account's where one is set and answers, else the base tier; funding and volume are as of the
    venue's last statement, holding times name the episodes behind them.
    """
    fee = own_fee(platform)
    with platform.transaction() as connection:
        pool = _pool(connection)
        now_ms = platform.clock.now_ms()
        since_ms = now_ms - platform.params.costs.hold_lookback_days * DAY_MS
        # this runs every five minutes: only what counts is read, not everything ever learnt
        held = read_learnable(connection, now_ms, since_ms, pool)
        rows = [
            _row(asset, held, fee, platform)
            for asset in market_store.read_universe(connection)
            if not asset["is_delisted"]
        ]
        market_store.store_costs(connection, rows)
        market_store.prune(connection, asset_costs, platform.now(), _KEEP)
    measured = sum(row["hold_source"] == "episodes" for row in rows)
    columns = [
        "asset", "taker_fee_bps", "fee_source", "funding_rate_hourly", "funding_as_of", "hold_hours", "hold_source",
        "hold_episodes",
    ]  # fmt: skip
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(rows),
            "holds_from_episodes": measured,
            "fee": fee.said,
            "preview": preview_table(columns, [[row[name] for name in columns] for row in rows[:15]]),
        }
    )


@dataclass(frozen=True, slots=True)
class Fee:
    """Taker rate in force; `as_of` is None for the base tier, which does not age."""

    bps: float
    source: str
    as_of: datetime | None
    said: str


def own_fee(platform: Platform) -> Fee:
    """The own account's rate; without an account, or without an answer, the base tier and the reason."""
    base = platform.params.costs.taker_fee_bps
    if platform.account is None:
        return Fee(base, "base_tier", None, "base tier: no account is set")
    try:
        with platform.open_venue() as venue:
            rate = venue.taker_fee_bps(platform.account)
    except VenueUnavailableError as error:
        return Fee(base, "base_tier", None, f"base tier: {error}")
    return Fee(rate, "account", platform.now(), "the account's own rate")


def _pool(connection: sa.Connection) -> list[str]:
    selection = trader_store.newest_selection(connection)
    if selection is None:
        return []
    return [row["address"] for row in trader_store.pool_members(connection, selection["selection_version"])]


def _row(asset: dict[str, Any], held: LearnableEpisodes, fee: Fee, platform: Platform) -> dict[str, Any]:
    params = platform.params.costs
    hold = expected_hold_hours((held.hold_ms[held.asset == asset["coin"]] / HOUR_MS).tolist(), params)
    return {
        "asset": asset["coin"],
        "computed_at": platform.now(),
        "taker_fee_bps": fee.bps,
        "fee_source": fee.source,
        "fee_as_of": fee.as_of,
        "funding_as_of": asset["seen_at"],
        "funding_rate_hourly": asset["funding_rate_hourly"],
        "hold_hours": hold.hours,
        "hold_source": hold.source,
        "hold_episodes": hold.episodes,
        "day_volume_usd": asset["day_volume_usd"],
    }
