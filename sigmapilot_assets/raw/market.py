"""The venue's perpetuals and their candles."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import dagster as dg

from sigmapilot_assets.metadata import preview_table
from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import market_store
from sigmapilot_core.adapters.postgres.instants import ms_of
from sigmapilot_core.domain.events import Bar
from sigmapilot_core.domain.market.atr import wilder_atr_series
from sigmapilot_core.domain.params import HOUR_MS, MAJORS, MINUTE_MS, VolatilityParams
from sigmapilot_core.ports import VenueReader, VenueUnavailableError

HOURLY_HISTORY = timedelta(days=90)
MINUTE_HISTORY = timedelta(hours=6)
_FRESH = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=2), warn_window=timedelta(minutes=15))


@dg.asset(
    name="raw_hyperliquid__market",
    group_name="raw",
    owners=["team:research"],
    kinds={"python", "postgres"},
    freshness_policy=_FRESH,
    check_specs=[dg.AssetCheckSpec("universe_is_not_empty", asset="raw_hyperliquid__market", blocking=True)],
)
def market(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Every perpetual of the first dex: size decimals, volume of the day, hourly funding, mark."""
    with platform.open_venue() as venue:
        universe = venue.universe()
    with platform.transaction() as connection:
        stored = market_store.store_universe(connection, universe, platform.now())
    rows = [
        [entry.spec.coin, entry.context.day_notional_volume, entry.context.funding_rate, float(entry.context.mark_px)]
        for entry in universe[:15]
    ]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": stored,
            "preview": preview_table(["coin", "day_volume_usd", "funding_rate_hourly", "mark"], rows),
        },
        check_results=[dg.AssetCheckResult(check_name="universe_is_not_empty", passed=bool(universe))],
    )


@dg.asset(
    name="raw_hyperliquid__candles",
    group_name="raw",
    owners=["team:research"],
    kinds={"python", "postgres"},
    deps=["raw_hyperliquid__market"],
    freshness_policy=_FRESH,
)
def candles(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Closed hourly candles of the liquid perpetuals (90 days), one-minute candles of BTC and ETH with their ATR."""
    now = platform.now()
    coins = liquid_coins(platform)
    hourly, minutes, silent = 0, 0, []
    with platform.open_venue() as venue:
        for coin in coins:
            try:
                hourly += _fetch_hourly(platform, venue, coin, now)
                minutes += _fetch_minutes(platform, venue, coin, now) if coin in MAJORS else 0
            except VenueUnavailableError as error:
                context.log.warning("candles of %s: %s", coin, error)
                silent.append(coin)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": hourly + minutes,
            "coins": len(coins),
            "without_answer": ", ".join(silent) or "none",
            "as_of": now.isoformat(),
        }
    )


def liquid_coins(platform: Platform) -> list[str]:
    """Perpetuals above the volume floor of the day, BTC and ETH always."""
    floor = platform.params.consensus.min_day_volume_usd
    with platform.transaction() as connection:
        universe = market_store.read_universe(connection)
    return [
        row["coin"]
        for row in universe
        if not row["is_delisted"] and (row["day_volume_usd"] >= floor or row["coin"] in MAJORS)
    ]


def _fetch_hourly(platform: Platform, venue: VenueReader, coin: str, now: datetime) -> int:
    """Fetch from the newest stored hour on; a first start asks for 90 days."""
    with platform.transaction() as connection:
        newest = market_store.newest_hour(connection, coin)
    since = newest or now - HOURLY_HISTORY
    bars = closed_bars(venue.candles(coin, HOUR_MS, ms_of(since), ms_of(now)), now)
    with platform.transaction() as connection:
        return market_store.store_hourly(connection, bars)


def _fetch_minutes(platform: Platform, venue: VenueReader, coin: str, now: datetime) -> int:
    """Fetch the last hours of one-minute candles and store those that are new, each with its ATR."""
    with platform.transaction() as connection:
        newest = market_store.newest_minute(connection, coin)
    seed = timedelta(minutes=platform.params.volatility.seed_bars)
    since = max(now - MINUTE_HISTORY, newest - seed) if newest else now - MINUTE_HISTORY
    bars = closed_bars(venue.candles(coin, MINUTE_MS, ms_of(since), ms_of(now)), now)
    with platform.transaction() as connection:
        return market_store.store_minutes(connection, bars, minute_atr(bars, platform.params.volatility))


def minute_atr(bars: Sequence[Bar], params: VolatilityParams) -> list[float | None]:
    """ATR after each one-minute bar of an unbroken run; None until there are enough bars."""
    if not bars:
        return []
    series = wilder_atr_series(
        [bar.high for bar in bars],
        [bar.low for bar in bars],
        [bar.close for bar in bars],
        params.atr_period,
        params.seed_bars,
    )
    return [float(value) if value == value else None for value in series]


def closed_bars(bars: Sequence[Bar], now: datetime) -> list[Bar]:
    return [bar for bar in bars if bar.close_ms <= ms_of(now)]
