"""Assets: volatility, stop and regime in force, costs, candles, and what the stream says of each."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.queries import Row, rows
from sigmapilot_core.adapters.postgres.schema.model import asset_costs, asset_volatility, candles_1h
from sigmapilot_core.adapters.postgres.schema.stream import asset_status


def _assets(table: sa.Table) -> sa.CTE:
    """Distinct assets of a table keyed by (asset, time): jumps from key to key instead of reading every row."""
    asset = table.c.asset
    start = sa.select(sa.func.min(asset).label("asset")).cte(f"{table.name}_assets", recursive=True)
    following = sa.select(sa.func.min(asset)).where(asset > start.c.asset).scalar_subquery()
    return start.union_all(sa.select(following).where(start.c.asset.is_not(None)))


def _newest_per_asset(connection: sa.Connection, table: sa.Table) -> list[Row]:
    assets = _assets(table)
    newest = (
        sa.select(table)
        .where(table.c.asset == assets.c.asset)
        .order_by(table.c.computed_at.desc())
        .limit(1)
        .lateral("newest")
    )
    statement = sa.select(*newest.c).select_from(assets.join(newest, sa.true())).order_by(newest.c.asset)
    return rows(connection, statement)


def volatilities(connection: sa.Connection) -> list[Row]:
    """Newest ATR, stop fraction, source and regime of every asset."""
    return _newest_per_asset(connection, asset_volatility)


def costs(connection: sa.Connection) -> list[Row]:
    """Newest fee, funding and expected holding hours of every asset."""
    return _newest_per_asset(connection, asset_costs)


def asset_statuses(connection: sa.Connection) -> list[Row]:
    """What the stream last wrote of each asset: mid, votes by side, ages and limits of its inputs."""
    c = asset_status.c
    return rows(connection, sa.select(asset_status).order_by(c.symbol))


def hourly_closes(connection: sa.Connection, asset: str, since: datetime) -> list[Row]:
    """Hourly closes since an instant, oldest first."""
    c = candles_1h.c
    statement = sa.select(c.open_ts, c.close).where(c.asset == asset, c.open_ts >= since).order_by(c.open_ts)
    return rows(connection, statement)
