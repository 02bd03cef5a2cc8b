"""Monthly partitions of the tables that grow without bound, and their retention."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from psycopg import sql

from sigmapilot_core.adapters.postgres.bulk import raw_of
from sigmapilot_core.adapters.postgres.instants import ms_of

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Partitioned:
    """A table partitioned by month; `by_ms` when its key is integer milliseconds rather than a timestamp."""

    table: str
    by_ms: bool


PARTITIONED = (
    Partitioned("history_fills", True),
    Partitioned("marks_1m", False),
    Partitioned("trades", True),
    Partitioned("fills", True),
    Partitioned("decision_logs", False),
    Partitioned("decision_inputs", False),
)


def month_of(at: datetime) -> datetime:
    """First instant of the month of `at`, UTC."""
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(at: datetime) -> datetime:
    """First instant of the following month, UTC."""
    start = month_of(at)
    return start.replace(year=start.year + 1, month=1) if start.month == 12 else start.replace(month=start.month + 1)


def months_between(first: datetime, last: datetime) -> list[datetime]:
    """All months that hold an instant of [first, last]."""
    month, months = month_of(first), []
    while month <= last:
        months.append(month)
        month = next_month(month)
    return months


def ensure_months(connection: sa.Connection, months: Iterable[datetime]) -> None:
    """Create the partitions of the given months where they are missing; safe to call from several processes.

    Creating one locks the whole table, therefore those that exist are not touched: this is called with every write. A
    connection remembers that those of the newest month are there, which no retention drops.
    """
    remembered = connection.info.setdefault(_REMEMBERED, _Remembered())
    asked = [start for start in months if start != remembered.month]
    if not asked:
        return
    wanted = {f"{item.table}_y{start:%Y}m{start:%m}": (item, start) for start in asked for item in PARTITIONED}
    raw = raw_of(connection)
    exists = "SELECT relname FROM pg_class WHERE relname = ANY(%s) AND relkind = 'r'"
    present = {name for (name,) in raw.execute(exists, [list(wanted)]).fetchall()}
    missing = sorted(set(wanted) - present)
    for name in missing:
        item, start = wanted[name]
        end = next_month(start)
        low, high = (ms_of(start), ms_of(end)) if item.by_ms else (start.isoformat(), end.isoformat())
        statement = sql.SQL("CREATE TABLE IF NOT EXISTS {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})").format(
            sql.Identifier(name), sql.Identifier(item.table), sql.Literal(low), sql.Literal(high)
        )
        # a plain IF NOT EXISTS still fails when two processes create the same name at once
        raw.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [name])
        raw.execute(statement)
    remembered.note(max(asked), connection.get_transaction(), are_present=not missing)


_REMEMBERED = "partitions"


@dataclass(slots=True)
class _Remembered:
    """The newest month of which a connection knows that all partitions are committed. Those that its own transaction
    makes may be rolled back with it: they count once a later transaction finds them."""

    month: datetime | None = None
    made_in: object = None

    def note(self, newest: datetime, transaction: object, *, are_present: bool) -> None:
        if not are_present:
            self.made_in = transaction
        elif transaction is not self.made_in and (self.month is None or newest > self.month):
            self.month = newest


def ensure_between(connection: sa.Connection, first_ms: int, last_ms: int) -> None:
    """Partitions for every month of an interval given in milliseconds since the epoch."""
    ensure_months(connection, months_between(_at(first_ms), _at(last_ms)))


def ensure_holding(connection: sa.Connection, instants_ms: Iterable[int]) -> None:
    """Partitions for the months that hold these instants, and no others: one row of another year among many must not
    lead to hundreds of partitions between."""
    days = {ms // _DAY_MS for ms in instants_ms}
    ensure_months(connection, sorted({month_of(_at(day * _DAY_MS)) for day in days}))


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
