"""What is learnt of traders: posteriors, skill, the pool, its correlations, one row a trader and day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.bulk import write_dicts
from sigmapilot_core.adapters.postgres.schema.model import (
    alpha_pool_addresses,
    pool_selections,
    trader_corr,
    trader_performance,
    trader_snapshots,
)
from sigmapilot_core.adapters.postgres.schema.stream import fills
from sigmapilot_core.domain.traders.correlation import PairCorrelation
from sigmapilot_core.domain.traders.day import AS_OF_VERSION, Before
from sigmapilot_core.domain.traders.status import DailyStatus, DeathCause

_SELECTION_LOCK = 727_003


def store_performance(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> int:
    """Replace all posteriors. A trader of whom nothing can be learnt any more (his history was corrected) stands on the
    prior again; his old row would age, and with it the pool he may be in."""
    connection.execute(trader_performance.delete())
    return write_dicts(connection, trader_performance, rows, "update")


def read_performance(connection: sa.Connection) -> dict[str, dict[str, Any]]:
    """Newest posterior of every trader, by address."""
    return {row["address"]: dict(row) for row in connection.execute(sa.select(trader_performance)).mappings()}


def lock_selections(connection: sa.Connection) -> None:
    """One draw at a time, until the transaction ends: two runs at once must not take the same version."""
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SELECTION_LOCK})


def evaluated_until(connection: sa.Connection) -> datetime | None:
    """The latest instant that a draw, live or of a whole day, was evaluated at; None before the first.

    Nothing may become known at an earlier instant any more: the draw could not be made again. Taken under the lock of
    the draws, so that none is made between this answer and what is written because of it.
    """
    lock_selections(connection)
    newest = connection.execute(sa.select(sa.func.max(pool_selections.c.drawn_at))).scalar()
    return newest.astimezone(UTC) if newest else None


def next_selection_version(connection: sa.Connection) -> int:
    """Versions count up over all days, so that a version names one draw; held until the transaction ends."""
    lock_selections(connection)
    newest = connection.execute(sa.select(sa.func.max(pool_selections.c.selection_version))).scalar()
    return (newest or 0) + 1


def store_selection(connection: sa.Connection, selection: dict[str, Any], members: Sequence[dict[str, Any]]) -> None:
    """Store one draw of the pool and its members."""
    connection.execute(pool_selections.insert().values(**selection))
    write_dicts(connection, alpha_pool_addresses, members)


def newest_selection(connection: sa.Connection) -> dict[str, Any] | None:
    """The newest live draw, None before the first; evaluations of past days are none."""
    table = pool_selections
    query = sa.select(table).where(table.c.selection_version > AS_OF_VERSION)
    row = connection.execute(query.order_by(table.c.selection_version.desc()).limit(1)).mappings().first()
    return dict(row) if row else None


def pool_members(connection: sa.Connection, version: int) -> list[dict[str, Any]]:
    """Members of one draw, by rank."""
    table = alpha_pool_addresses
    rows = connection.execute(
        sa.select(table).where(table.c.selection_version == version).order_by(table.c.selection_rank)
    )
    return [dict(row) for row in rows.mappings()]


def store_trader_days(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> int:
    """One row a trader, day and draw; never deleted."""
    return write_dicts(connection, trader_snapshots, rows, "update")


def chain_before(connection: sa.Connection, selection_date: date, version: int) -> dict[str, Before]:
    """The newest earlier row of each trader: of earlier live draws, or of earlier whole days for version 0."""
    c = trader_snapshots.c
    if version == AS_OF_VERSION:
        is_earlier = sa.and_(c.selection_version == AS_OF_VERSION, c.snapshot_date < selection_date)
    else:
        is_earlier = sa.and_(c.selection_version > AS_OF_VERSION, c.selection_version < version)
    rows = connection.execute(
        sa.select(c.address, c.event_type, c.death_type, c.is_selected)
        .where(is_earlier)
        .distinct(c.address)
        .order_by(c.address, c.selection_version.desc(), c.snapshot_date.desc())
    )
    return {
        row.address: Before(
            DailyStatus(row.event_type), DeathCause(row.death_type) if row.death_type else None, row.is_selected
        )
        for row in rows
    }


def last_live_fills(connection: sa.Connection, since_ms: int, heard_by_ms: int) -> dict[str, int]:
    """Instant of the newest fill of each trader from an instant on, among those the stream had heard by another."""
    query = sa.select(fills.c.address, sa.func.max(fills.c.time_ms)).where(
        fills.c.time_ms >= since_ms, fills.c.received_ms <= heard_by_ms
    )
    return {address: int(newest) for address, newest in connection.execute(query.group_by(fills.c.address))}


def store_skill(connection: sa.Connection, as_of: date, version: int, rows: Sequence[dict[str, Any]]) -> None:
    """Fill in p-values and FDR labels of the rows of one draw."""
    table = trader_snapshots
    if rows:
        connection.execute(
            table.update()
            .where(
                table.c.snapshot_date == as_of,
                table.c.selection_version == version,
                table.c.address == sa.bindparam("of"),
            )
            .values(skill_p_value=sa.bindparam("p"), fdr_qualified=sa.bindparam("q")),
            list(rows),
        )


def store_correlations(
    connection: sa.Connection, as_of: date, pairs: Iterable[PairCorrelation], computed_at: object
) -> int:
    """Replace the pairs of one day."""
    connection.execute(trader_corr.delete().where(trader_corr.c.as_of_date == as_of))
    rows = [
        {
            "as_of_date": as_of,
            "addr_a": pair.addr_a,
            "addr_b": pair.addr_b,
            "rho": pair.rho,
            "n_buckets": pair.n_buckets,
            "n_common": pair.n_common,
            "phi_common": pair.phi_common,
            "computed_at": computed_at,
        }
        for pair in pairs
    ]
    return write_dicts(connection, trader_corr, rows, "update")


def newest_correlations(connection: sa.Connection) -> tuple[Any, list[PairCorrelation]]:
    """(computed at, pairs) of the newest day; (None, []) before the first."""
    table = trader_corr
    day = connection.execute(sa.select(sa.func.max(table.c.as_of_date))).scalar()
    if day is None:
        return None, []
    rows = connection.execute(
        sa.select(table).where(table.c.as_of_date == day).order_by(table.c.addr_a, table.c.addr_b)
    ).all()
    pairs = [PairCorrelation(r.addr_a, r.addr_b, r.rho, r.n_buckets, r.n_common, r.phi_common) for r in rows]
    return rows[0].computed_at, pairs
