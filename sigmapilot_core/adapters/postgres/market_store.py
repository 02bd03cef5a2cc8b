"""Assets of the venue, candles, and the volatility, regime and costs computed from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.bulk import write_dicts, write_rows
from sigmapilot_core.adapters.postgres.instants import at
from sigmapilot_core.adapters.postgres.partitions import ensure_between
from sigmapilot_core.adapters.postgres.schema.model import (
    asset_costs,
    asset_volatility,
    candles_1h,
    funding_1h,
    marks_1m,
    venue_assets,
)
from sigmapilot_core.domain.events import Bar
from sigmapilot_core.domain.params import HOUR_MS
from sigmapilot_core.domain.venue import FundingRate
from sigmapilot_core.ports import UniverseEntry

_BAR_COLUMNS = ("open", "high", "low", "close", "volume")


def store_universe(connection: sa.Connection, universe: Sequence[UniverseEntry], seen_at: datetime) -> int:
    """Overwrite what is known of each perpetual; its place in the universe is its id on the wire."""
    rows = [
        {
            "coin": entry.spec.coin,
            "asset_id": entry.asset_id,
            "sz_decimals": entry.spec.sz_decimals,
            "max_leverage": entry.spec.max_leverage,
            "is_delisted": entry.spec.is_delisted,
            "day_volume_usd": entry.context.day_notional_volume,
            "funding_rate_hourly": entry.context.funding_rate,
            "mark_px": float(entry.context.mark_px),
            "seen_at": seen_at,
        }
        for entry in universe
    ]
    return write_dicts(connection, venue_assets, rows, "update")


def read_universe(connection: sa.Connection) -> list[dict[str, Any]]:
    """Every perpetual, in the order of the universe."""
    return [dict(row) for row in connection.execute(sa.select(venue_assets).order_by("asset_id")).mappings()]


def store_hourly(connection: sa.Connection, bars: Iterable[Bar]) -> int:
    """Store closed hourly candles; one already there is overwritten by the venue's newest word."""
    rows = ([bar.coin, at(bar.open_ms), *(getattr(bar, name) for name in _BAR_COLUMNS)] for bar in bars)
    return write_rows(connection, candles_1h, ("asset", "open_ts", *_BAR_COLUMNS), rows, "update")


def newest_hour(connection: sa.Connection, coin: str) -> datetime | None:
    """Opening of the newest stored hourly candle of a coin."""
    table = candles_1h
    return connection.execute(sa.select(sa.func.max(table.c.open_ts)).where(table.c.asset == coin)).scalar()


def read_hourly(connection: sa.Connection, coin: str, since: datetime) -> list[Bar]:
    """Hourly candles of a coin that opened at or after an instant, ascending."""
    table = candles_1h
    rows = connection.execute(
        sa.select(table).where(table.c.asset == coin, table.c.open_ts >= since).order_by(table.c.open_ts)
    )
    return [_bar(row, HOUR_MS) for row in rows]


def coins_with_candles(connection: sa.Connection) -> list[str]:
    """Coins that have hourly candles, sorted."""
    return list(connection.execute(sa.select(candles_1h.c.asset).distinct().order_by(candles_1h.c.asset)).scalars())


def _bar(row: Any, length_ms: int) -> Bar:
    open_ms = int(row.open_ts.timestamp() * 1000)
    return Bar(row.asset, open_ms, open_ms + length_ms, row.open, row.high, row.low, row.close, row.volume)


def store_minutes(connection: sa.Connection, bars: Sequence[Bar], atr14: Sequence[float | None]) -> int:
    """Store closed one-minute candles with the ATR of one-minute bars (operators read `marks_1m.atr14`)."""
    if not bars:
        return 0
    ensure_between(connection, bars[0].open_ms, bars[-1].open_ms)
    rows = (
        [bar.coin, at(bar.open_ms), bar.close, *(getattr(bar, name) for name in _BAR_COLUMNS), atr]
        for bar, atr in zip(bars, atr14, strict=True)
    )
    return write_rows(connection, marks_1m, ("asset", "ts", "mid", *_BAR_COLUMNS, "atr14"), rows, "update")


def newest_minute(connection: sa.Connection, coin: str) -> datetime | None:
    """Opening of the newest stored one-minute candle of a coin."""
    table = marks_1m
    return connection.execute(sa.select(sa.func.max(table.c.ts)).where(table.c.asset == coin)).scalar()


def minutes_by_day(connection: sa.Connection, coin: str, since: datetime) -> dict[date, int]:
    """How many one-minute candles of a coin are stored of each UTC day from an instant on."""
    c = marks_1m.c
    day = sa.func.date(sa.func.timezone("UTC", c.ts))
    query = sa.select(day, sa.func.count()).where(c.asset == coin, c.ts >= since).group_by(day)
    return {found: int(count) for found, count in connection.execute(query)}


def store_funding(connection: sa.Connection, rates: Sequence[FundingRate]) -> int:
    """Store hourly rates by their full hour; one already there stays."""
    rows = ([rate.coin, at(rate.time_ms // HOUR_MS * HOUR_MS), rate.rate] for rate in rates)
    return write_rows(connection, funding_1h, ("asset", "hour", "rate"), rows, "skip")


def newest_funding(connection: sa.Connection, coin: str) -> datetime | None:
    """The newest hour whose rate is stored."""
    c = funding_1h.c
    return connection.execute(sa.select(sa.func.max(c.hour)).where(c.asset == coin)).scalar()


def read_funding(connection: sa.Connection, since: datetime, until: datetime) -> list[tuple[str, datetime, float]]:
    """(coin, hour, rate) of [since, until)."""
    c = funding_1h.c
    found = connection.execute(sa.select(c.asset, c.hour, c.rate).where(c.hour >= since, c.hour < until))
    return [(row.asset, row.hour, row.rate) for row in found]


def store_volatility(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> int:
    """Append estimates of volatility and regime."""
    return write_dicts(connection, asset_volatility, list(rows), "update")


def store_costs(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> int:
    """Append cost inputs."""
    return write_dicts(connection, asset_costs, list(rows), "update")


def newest_per_asset(connection: sa.Connection, table: sa.Table, not_before: datetime) -> list[dict[str, Any]]:
    """The newest row of each asset computed at or after an instant."""
    rows = connection.execute(
        sa.select(table)
        .where(table.c.computed_at >= not_before)
        .distinct(table.c.asset)
        .order_by(table.c.asset, table.c.computed_at.desc())
    )
    return [dict(row) for row in rows.mappings()]


def prune(connection: sa.Connection, table: sa.Table, now: datetime, keep: timedelta) -> int:
    """Drop estimates older than `keep`; the ones a decision used are in its own inputs."""
    result = connection.execute(table.delete().where(table.c.computed_at < now - keep))
    return result.rowcount
