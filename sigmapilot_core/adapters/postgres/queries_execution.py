"""Own orders, positions, account value and the state of the risk governor."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.queries import Row, first, parsed, rows, scalar
from sigmapilot_core.adapters.postgres.schema.stream import (
    execution_config,
    execution_logs,
    live_positions,
    paper_funding,
    portfolio_snapshots,
    risk_daily_pnl,
    risk_governor_state,
)


def config(connection: sa.Connection) -> Row | None:
    """The switch in force: enabled or not, and the venue's limits."""
    return first(connection, sa.select(execution_config).order_by(execution_config.c.updated_at.desc()).limit(1))


def logs(connection: sa.Connection, limit: int = 50, offset: int = 0) -> list[Row]:
    """Newest attempts first."""
    c = execution_logs.c
    return rows(
        connection, sa.select(execution_logs).order_by(c.created_at.desc(), c.id.desc()).limit(limit).offset(offset)
    )


def count_logs(connection: sa.Connection) -> int:
    """How many attempts there were."""
    return scalar(connection, sa.select(sa.func.count()).select_from(execution_logs))


def positions(connection: sa.Connection) -> list[Row]:
    """Own open positions, oldest first, with the funding received (positive) or paid so far."""
    c = live_positions.c
    funding = sa.select(sa.func.coalesce(sa.func.sum(paper_funding.c.usd), 0)).where(
        paper_funding.c.decision_id == c.decision_id
    )
    shown = funding.correlate(live_positions).scalar_subquery().label("funding_usd")
    return rows(connection, sa.select(live_positions, shown).order_by(c.opened_at, c.symbol))


def funding(connection: sa.Connection, limit: int = 100) -> list[Row]:
    """Newest hours of funding of own positions."""
    c = paper_funding.c
    return rows(connection, sa.select(paper_funding).order_by(c.hour.desc(), c.symbol).limit(limit))


def accounts(connection: sa.Connection) -> list[Row]:
    """Newest account value of each venue."""
    c = portfolio_snapshots.c
    return rows(connection, sa.select(portfolio_snapshots).distinct(c.exchange).order_by(c.exchange, c.ts.desc()))


def account_curve(connection: sa.Connection, since: datetime, limit: int = 2000) -> list[Row]:
    """Account value over time, newest `limit` rows, oldest first."""
    c = portfolio_snapshots.c
    newest = sa.select(c.exchange, c.ts, c.account_value).where(c.ts >= since).order_by(c.ts.desc()).limit(limit)
    return rows(connection, newest)[::-1]


def governor(connection: sa.Connection) -> dict[str, Row]:
    """State of the risk governor by key: value (JSON where it is JSON, else its text) and when it changed."""
    found = rows(connection, sa.select(risk_governor_state).order_by(risk_governor_state.c.key))
    return {row["key"]: {"value": _read(row["value"]), "updated_at": row["updated_at"]} for row in found}


def _read(text: str) -> object:
    value = parsed(text)
    return text if value is None else value


def today(connection: sa.Connection) -> Row | None:
    """The newest day's opening equity and PnL."""
    return first(connection, sa.select(risk_daily_pnl).order_by(risk_daily_pnl.c.date.desc()).limit(1))
