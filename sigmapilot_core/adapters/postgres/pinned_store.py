"""Pinned accounts, written by people through the command line and the API (spec 1.6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.queries import Row, first, rows
from sigmapilot_core.adapters.postgres.schema.model import (
    alpha_pool_addresses,
    leaderboard_snapshots,
    pool_selections,
    trader_facts,
    trader_filters,
    trader_performance,
)
from sigmapilot_core.adapters.postgres.schema.operators import hl_pinned_accounts, hl_pinned_changes
from sigmapilot_core.adapters.postgres.schema.stream import tracked_traders
from sigmapilot_core.domain.traders.pinned import address_of, check_pin

_PIN_LOCK = 727_004
LONGEST_REASON = 500
_A = hl_pinned_accounts.c


@dataclass(frozen=True, slots=True)
class Change:
    """Who changes what is pinned, when, through what (`cli` or `api`) and why; a reason is asked for when unpinning."""

    by: str
    at: datetime
    via: str
    reason: str | None = None


def pin(connection: sa.Connection, address: str, nickname: str | None, change: Change) -> Row:
    """Follow an account from the next snapshot on; one on no leaderboard is custom. Pinning it again renames it.

    Errors: ValueError for what is no address, or for a custom account too many.
    """
    wanted = address_of(address)
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _PIN_LOCK})
    held = {row["address"]: row for row in rows(connection, sa.select(hl_pinned_accounts))}
    is_custom = held[wanted]["is_custom"] if wanted in held else not _is_on_leaderboard(connection, wanted)
    check_pin(wanted, is_custom, [name for name, row in held.items() if row["is_custom"]])
    named = " ".join(nickname.split())[:64] if nickname and nickname.strip() else None
    values = {"is_custom": is_custom, "nickname": named, "pinned_by": _name(change.by), "pinned_at": change.at}
    if wanted in held:
        connection.execute(hl_pinned_accounts.update().where(_A.address == wanted).values(nickname=named))
    else:
        connection.execute(hl_pinned_accounts.insert().values(address=wanted, **values))
    _record(connection, wanted, "rename" if wanted in held else "pin", named, change)
    found = first(connection, sa.select(hl_pinned_accounts).where(_A.address == wanted))
    assert found is not None
    return found


def unpin(connection: sa.Connection, address: str, change: Change) -> bool:
    """No longer follow an account for its own sake; False if it was not pinned. Its history stays.

    Errors: ValueError for what is no address, or without a reason.
    """
    wanted = address_of(address)
    if not change.reason or not change.reason.strip():
        raise ValueError("a reason is needed: it stays in hl_pinned_changes")
    statement = hl_pinned_accounts.delete().where(_A.address == wanted).returning(_A.nickname)
    removed = connection.execute(statement).first()
    if removed is not None:
        _record(connection, wanted, "unpin", removed.nickname, change)
    return removed is not None


def pinned_changes(connection: sa.Connection, limit: int) -> list[Row]:
    """What was pinned, renamed and unpinned, by whom, when and why; newest first."""
    c = hl_pinned_changes.c
    return rows(connection, sa.select(hl_pinned_changes).order_by(c.changed_at.desc(), c.id.desc()).limit(limit))


def _record(connection: sa.Connection, address: str, action: str, nickname: str | None, change: Change) -> None:
    reason = change.reason.strip()[:LONGEST_REASON] if change.reason and change.reason.strip() else None
    connection.execute(
        hl_pinned_changes.insert().values(
            address=address,
            action=action,
            nickname=nickname,
            changed_by=_name(change.by),
            via=change.via,
            reason=reason,
            changed_at=change.at,
        )
    )


def _name(by: str) -> str:
    return by.strip()[:64] or "unknown"


def pinned_addresses(connection: sa.Connection) -> list[str]:
    """All of them, in order."""
    return list(connection.execute(sa.select(_A.address).order_by(_A.address)).scalars())


def pinned_accounts(connection: sa.Connection) -> list[Row]:
    """Pinned accounts with what is known of them: whether they vote and are followed, their filters and record."""
    pool, draw, seen = alpha_pool_addresses.c, pool_selections.c, tracked_traders.c
    newest = sa.select(sa.func.max(draw.selection_version)).scalar_subquery()
    day = sa.select(sa.func.max(trader_filters.c.as_of_date)).scalar_subquery()
    in_pool = sa.exists(sa.select(sa.literal(1)).where(pool.address == _A.address, pool.selection_version == newest))
    asked = sa.select(sa.func.max(trader_facts.c.asked_at)).where(trader_facts.c.address == _A.address)
    as_of = sa.select(sa.func.max(trader_performance.c.as_of)).where(trader_performance.c.address == _A.address)
    statement = (
        sa.select(
            hl_pinned_accounts,
            in_pool.label("in_pool"),
            sa.func.coalesce(seen.is_active, sa.false()).label("is_followed"),
            seen.primed_at_ms,
            trader_filters.c.eligible,
            trader_facts.c.asked_at.label("history_asked_at"),
            trader_facts.c.fill_count.label("history_fills"),
            trader_performance.c.n_eff,
            trader_performance.c.nig_m,
        )
        .outerjoin(tracked_traders, seen.address == _A.address)
        .outerjoin(
            trader_facts,
            (trader_facts.c.address == _A.address)
            & (trader_facts.c.asked_at == asked.correlate(hl_pinned_accounts).scalar_subquery()),
        )
        .outerjoin(trader_filters, (trader_filters.c.address == _A.address) & (trader_filters.c.as_of_date == day))
        .outerjoin(
            trader_performance,
            (trader_performance.c.address == _A.address)
            & (trader_performance.c.as_of == as_of.correlate(hl_pinned_accounts).scalar_subquery()),
        )
        .order_by(_A.pinned_at, _A.address)
    )
    return rows(connection, statement)


def _is_on_leaderboard(connection: sa.Connection, address: str) -> bool:
    board = leaderboard_snapshots.c
    newest = sa.select(sa.func.max(board.as_of_date)).scalar_subquery()
    is_there = sa.exists(sa.select(sa.literal(1)).where(board.as_of_date == newest, board.address == address))
    return bool(connection.execute(sa.select(is_there)).scalar_one())
