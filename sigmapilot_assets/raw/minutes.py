"""Minutes and funding of past days: what outcomes and costs of past decisions are told from."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import dagster as dg

from sigmapilot_assets.platform import Platform
from sigmapilot_assets.raw.market import closed_bars, liquid_coins, minute_atr
from sigmapilot_core.adapters.postgres import leaderboard_store, market_store
from sigmapilot_core.adapters.postgres.instants import midnight, ms_of
from sigmapilot_core.domain.params import DAY_MS, MINUTE_MS
from sigmapilot_core.ports import VenueReader, VenueUnavailableError

LOOKBACK = timedelta(days=90)
DAYS_A_REQUEST = 3
"""The venue answers with at most 5,000 candles: three days and what seeds the ATR."""
_DAY_MINUTES = DAY_MS // MINUTE_MS
_SETTLES = timedelta(minutes=5)


class MinutesConfig(dg.Config):
    """How many requests of minutes a run may make, each of the weight of about 100."""

    requests: int = 12


@dg.asset(
    name="raw_hyperliquid__minutes",
    group_name="raw",
    owners=["team:research"],
    kinds={"python", "postgres"},
    deps=["raw_hyperliquid__market", "raw_hyperliquid__leaderboard"],
)
def minutes(
    context: dg.AssetExecutionContext, config: MinutesConfig, platform: dg.ResourceParam[Platform]
) -> dg.MaterializeResult:
    """Minutes that are not stored yet of the coins voted on, newest first, and their hourly funding.

    The exchange keeps the last 5,000 minutes, so that what was missed for three days is lost; a coin of which it brings
    nothing more is left. A run asks a limited number of times and the next goes on.
    """
    now = platform.now()
    with platform.transaction() as connection:
        listed = leaderboard_store.first_day(connection)
    first = max(listed or now.date(), (now - LOOKBACK).date())
    stored, asked, rates, silent = 0, 0, 0, []
    with platform.open_venue() as venue:
        for coin in liquid_coins(platform):
            try:
                rates += _fetch_funding(platform, venue, coin, first)
                found, requests = _fetch_missing(platform, venue, coin, first, config.requests - asked)
            except VenueUnavailableError as error:
                context.log.warning("minutes of %s: %s", coin, error)
                silent.append(coin)
                continue
            stored, asked = stored + found, asked + requests
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": stored,
            "funding_rates": rates,
            "requests": asked,
            "without_answer": ", ".join(silent) or "none",
            "as_of": now.isoformat(),
        }
    )


def _fetch_missing(platform: Platform, venue: VenueReader, coin: str, first: date, requests: int) -> tuple[int, int]:
    """(minutes stored, requests made) of one coin: pieces of days that are not whole, until one brings nothing new."""
    now = platform.now()
    with platform.transaction() as connection:
        held = market_store.minutes_by_day(connection, coin, midnight(first))
    total, asked = 0, 0
    for days in missing_pieces(held, first, now):
        if asked == requests:
            break
        asked += 1
        known = sum(held.get(day, 0) for day in days)
        found = _fetch_piece(platform, venue, coin, midnight(days[0]), min(now, midnight(days[-1]) + timedelta(1)))
        if found <= known:
            break
        total += found - known
    return total, asked


def missing_pieces(held: dict[date, int], first: date, now: datetime) -> Iterator[list[date]]:
    """Runs of at most three days that are not stored whole, newest first, each ascending; of today what is over."""
    piece: list[date] = []
    day = now.date()
    while day >= first:
        until = min(now - _SETTLES, midnight(day) + timedelta(days=1))
        is_whole = held.get(day, 0) >= (until - midnight(day)) // timedelta(minutes=1)
        if not is_whole:
            piece.insert(0, day)
        if piece and (is_whole or len(piece) == DAYS_A_REQUEST):
            yield piece
            piece = []
        day -= timedelta(days=1)
    if piece:
        yield piece


def _fetch_piece(platform: Platform, venue: VenueReader, coin: str, since: datetime, until: datetime) -> int:
    """Fetch and store the minutes of a piece; returns how many the venue has of it."""
    params = platform.params.volatility
    seeded = since - timedelta(minutes=params.seed_bars)
    bars = closed_bars(venue.candles(coin, MINUTE_MS, ms_of(seeded), ms_of(until)), platform.now())
    atr = minute_atr(bars, params)
    inside = next((i for i, bar in enumerate(bars) if bar.open_ms >= ms_of(since)), len(bars))
    with platform.transaction() as connection:
        market_store.store_minutes(connection, bars[inside:], atr[inside:])
    return len(bars) - inside


def _fetch_funding(platform: Platform, venue: VenueReader, coin: str, first: date) -> int:
    with platform.transaction() as connection:
        newest = market_store.newest_funding(connection, coin)
    since = midnight(first) if newest is None else newest + timedelta(minutes=30)
    rates = venue.funding_rates(coin, ms_of(since), ms_of(platform.now()))
    with platform.transaction() as connection:
        return market_store.store_funding(connection, rates)
