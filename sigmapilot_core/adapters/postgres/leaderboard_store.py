"""Leaderboard rows by day: stored whole, so that traders that later vanish stay in history (spec 1.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmapilot_core.adapters.postgres.bulk import write_rows
from sigmapilot_core.adapters.postgres.schema.model import (
    addresses,
    leaderboard_downloads,
    leaderboard_snapshots,
    leaderboard_superseded,
)
from sigmapilot_core.domain.venue import LeaderboardRow, LeaderboardWindow

_WINDOWS = (("day", "day"), ("week", "week"), ("month", "month"), ("all_time", "allTime"))
_EDITIONS = (leaderboard_snapshots, leaderboard_superseded)
_COLUMNS = (
    "as_of_date",
    "address",
    "account_value",
    *(f"{prefix}_{figure}" for prefix, _ in _WINDOWS for figure in ("pnl", "roi", "vlm")),
    "display_name",
    "roi_approximate",
    "fetched_at",
)


def store_leaderboard(
    connection: sa.Connection, as_of: date, fetched_at: datetime, rows: Iterable[LeaderboardRow]
) -> int:
    """Replace the rows of one day and remember every address with the days it was seen; returns the row count.

    Rows of an earlier download of that day move to `leaderboard_superseded`: a draw may rest on them.
    """
    _supersede(connection, as_of, fetched_at)
    connection.execute(leaderboard_snapshots.delete().where(leaderboard_snapshots.c.as_of_date == as_of))
    written = write_rows(
        connection, leaderboard_snapshots, _COLUMNS, (_values(as_of, fetched_at, row) for row in rows), "update"
    )
    day = leaderboard_snapshots
    seen = sa.select(day.c.address, day.c.display_name, day.c.as_of_date, day.c.as_of_date).where(
        day.c.as_of_date == as_of
    )
    statement = insert(addresses).from_select(["address", "nickname", "first_seen_date", "last_seen_date"], seen)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["address"],
            set_={
                "nickname": sa.func.coalesce(statement.excluded.nickname, addresses.c.nickname),
                "first_seen_date": sa.func.least(addresses.c.first_seen_date, statement.excluded.first_seen_date),
                "last_seen_date": sa.func.greatest(addresses.c.last_seen_date, statement.excluded.last_seen_date),
            },
        )
    )
    return written


def _supersede(connection: sa.Connection, as_of: date, fetched_at: datetime) -> None:
    held, kept = leaderboard_snapshots, leaderboard_superseded
    earlier = sa.select(*(held.c[column.name] for column in kept.columns)).where(
        held.c.as_of_date == as_of, held.c.fetched_at < fetched_at
    )
    statement = insert(kept).from_select([column.name for column in kept.columns], earlier)
    connection.execute(statement.on_conflict_do_nothing())


def _values(as_of: date, fetched_at: datetime, row: LeaderboardRow) -> list[Any]:
    figures: list[Any] = []
    for _, name in _WINDOWS:
        window = row.windows.get(name, LeaderboardWindow(None, None, None))
        figures += [window.pnl_usd, window.roi, window.volume_usd]
    return [as_of, row.address, row.account_value_usd, *figures, row.display_name, row.roi_approximate, fetched_at]


def record_download(
    connection: sa.Connection,
    *,
    fetched_at: datetime,
    source: str,
    status: str,
    sha256: str | None,
    row_count: int,
    bad_row_count: int,
    error: str | None = None,
) -> None:
    """Log one download, successful or not."""
    connection.execute(
        leaderboard_downloads.insert().values(
            fetched_at=fetched_at,
            source=source,
            status=status,
            sha256=sha256,
            row_count=row_count,
            bad_row_count=bad_row_count,
            error=error,
        )
    )


def stored_days(connection: sa.Connection) -> list[date]:
    """Days with a stored leaderboard, ascending."""
    day = leaderboard_snapshots.c.as_of_date
    return list(connection.execute(sa.select(day).distinct().order_by(day)).scalars())


def read_leaderboard(connection: sa.Connection, as_of: date) -> list[LeaderboardRow]:
    """All rows of one stored day, by address."""
    table = leaderboard_snapshots
    result = connection.execute(sa.select(table).where(table.c.as_of_date == as_of).order_by(table.c.address))
    return list(_rows(result.mappings()))


def newest_day(connection: sa.Connection, not_after: date) -> date | None:
    """Newest stored day up to and including `not_after`; None when there is none."""
    day = leaderboard_snapshots.c.as_of_date
    return connection.execute(sa.select(sa.func.max(day)).where(day <= not_after)).scalar()


def fetched_at(connection: sa.Connection, as_of: date) -> datetime | None:
    """When the rows of a day were fetched."""
    table = leaderboard_snapshots
    found = connection.execute(sa.select(sa.func.max(table.c.fetched_at)).where(table.c.as_of_date == as_of)).scalar()
    return found.astimezone(UTC) if found else None


def _rows(mappings: Iterable[Any]) -> Iterator[LeaderboardRow]:
    for row in mappings:
        yield LeaderboardRow(
            address=row["address"],
            account_value_usd=row["account_value"],
            windows={
                name: LeaderboardWindow(row[f"{prefix}_pnl"], row[f"{prefix}_roi"], row[f"{prefix}_vlm"])
                for prefix, name in _WINDOWS
            },
            display_name=row["display_name"],
            roi_approximate=row["roi_approximate"],
        )


def read_known(connection: sa.Connection, as_of: datetime) -> tuple[date, list[LeaderboardRow]] | None:
    """(day, rows) of the newest leaderboard fetched by an instant, by address; None before the first.

    Rows that a later download of the same day replaced are found too.
    """
    editions = [
        connection.execute(
            sa.select(table.c.as_of_date, table.c.fetched_at)
            .where(table.c.fetched_at <= as_of, table.c.as_of_date <= as_of.astimezone(UTC).date())
            .order_by(table.c.as_of_date.desc(), table.c.fetched_at.desc())
            .limit(1)
        ).first()
        for table in _EDITIONS
    ]
    known = [(row.as_of_date, row.fetched_at, table) for row, table in zip(editions, _EDITIONS, strict=True) if row]
    if not known:
        return None
    day, fetched, table = max(known, key=lambda item: item[:2])
    result = connection.execute(
        sa.select(table)
        .where(table.c.as_of_date == day, table.c.fetched_at == fetched)
        .order_by(sa.collate(table.c.address, "C"))
    )
    return day, list(_rows(result.mappings()))


def known_peaks(connection: sa.Connection, users: Sequence[str], as_of: datetime) -> dict[str, float]:
    """Highest account value of each user in any leaderboard fetched by an instant: what drawdown is measured from."""
    wanted = sa.literal(list(users), sa.ARRAY(sa.Text))
    each = sa.union_all(
        *(
            sa.select(table.c.address, table.c.account_value).where(
                table.c.address == sa.any_(wanted), table.c.fetched_at <= as_of
            )
            for table in _EDITIONS
        )
    ).subquery()
    result = connection.execute(sa.select(each.c.address, sa.func.max(each.c.account_value)).group_by(each.c.address))
    return {address: float(peak) for address, peak in result}


def first_day(connection: sa.Connection) -> date | None:
    """Oldest stored day; None when there is none."""
    return connection.execute(sa.select(sa.func.min(leaderboard_snapshots.c.as_of_date))).scalar()
