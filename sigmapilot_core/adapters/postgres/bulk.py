"""Bulk writes that skip or update rows already there.

Rows travel as one array per column in a single INSERT, written here as the text of the array: the driver takes ten
times as long for it. Many rows of a caller who waits for each statement are copied into a staging table instead; a
connection keeps its staging tables, emptied by every commit: one for every batch would bloat the catalogue.

Within `unanswered` statements are sent on without waiting for the answers in between.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Literal

import sqlalchemy as sa
from psycopg import Connection, Cursor, sql
from sqlalchemy.dialects import postgresql

OnConflict = Literal["skip", "update", "refuse"]
FEW_ROWS = 100
SENT_AT_ONCE = 5_000
"""Rows of one statement that is not waited for."""

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Sent:
    """Statements on their way; their count is known once `unanswered` is left."""

    cursors: tuple[Cursor[Any], ...] = ()

    @property
    def count(self) -> int:
        """Rows that were inserted or changed."""
        return sum(cursor.rowcount for cursor in self.cursors)


def raw_of(connection: sa.Connection) -> Connection[Any]:
    """The driver's own connection, in the same transaction."""
    found = connection.connection.driver_connection
    assert isinstance(found, Connection)
    return found


@contextmanager
def unanswered(connection: sa.Connection) -> Iterator[None]:
    """Within it no statement waits for the answer to the one before; reading rows waits for all so far.

    What the server refuses is raised at the end at the latest.
    """
    with raw_of(connection).pipeline():
        yield


def send_rows(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    on_conflict: OnConflict = "skip",
) -> Sent:
    """`write_rows` that can stand within `unanswered`; `refuse` fails where a row is there already."""
    stream, raw = iter(rows), raw_of(connection)
    statement = _statement(table, tuple(columns), on_conflict)
    cursors = []
    while part := list(islice(stream, SENT_AT_ONCE)):
        arrays = [write(column) for write, column in zip(statement.writers, zip(*part, strict=True), strict=True)]
        cursors.append(raw.execute(statement.text, arrays))
    return Sent(tuple(cursors))


def write_rows(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    on_conflict: OnConflict = "skip",
) -> int:
    """Write rows and return how many were inserted or changed.

    `skip` leaves rows whose primary key exists as they are; `update` overwrites their other columns. Values follow
    the order of `columns`. Runs in the caller's transaction.
    """
    _check_columns(table, columns)
    stream = iter(rows)
    first = list(islice(stream, FEW_ROWS + 1))
    if len(first) <= FEW_ROWS:
        return send_rows(connection, table, columns, first, on_conflict).count
    with raw_of(connection).cursor() as cursor:
        _copy(cursor, table, columns, chain(first, stream), _conflict(table, columns, on_conflict))
        return cursor.rowcount


@dataclass(frozen=True, slots=True)
class _Statement:
    """An INSERT of arrays, and how each of its columns is written as the text of one."""

    text: str
    writers: tuple[Callable[[Sequence[Any]], str], ...]


@functools.cache
def _statement(table: sa.Table, columns: tuple[str, ...], on_conflict: OnConflict) -> _Statement:
    """Put together once: composing and quoting takes longer than sending some rows."""
    _check_columns(table, columns)
    kinds = [table.columns[name].type for name in columns]
    arrays = sql.SQL(", ").join(sql.SQL("%s::{}[]").format(sql.SQL(kind.compile(_DIALECT))) for kind in kinds)
    conflict = (
        sql.SQL("") if on_conflict == "refuse" else sql.SQL(" ON CONFLICT ") + _conflict(table, columns, on_conflict)
    )
    insert = sql.SQL("INSERT INTO {} ({}) SELECT * FROM unnest({}){}")
    text = insert.format(sql.Identifier(table.name), _names(columns), arrays, conflict).as_string()
    return _Statement(text, tuple(_plain if isinstance(kind, _PLAIN) else _quoted for kind in kinds))


_PLAIN = (sa.Numeric, sa.Integer, sa.Boolean)
"""Types whose values hold nothing that has a meaning within the text of an array. Doubles are a kind of Numeric."""


def _plain(values: Sequence[Any]) -> str:
    return "{" + ",".join(["NULL" if v is None else _quote(v) if type(v) is str else str(v) for v in values]) + "}"


def _quoted(values: Sequence[Any]) -> str:
    """Texts that need no care, which nearly all are, are joined at once."""
    try:
        joined = '","'.join(values)
    except TypeError:  # something that is unknown, or no text
        joined = '"'
    if "\\" in joined or joined.count('"') != 2 * (len(values) - 1):
        return "{" + ",".join(["NULL" if v is None else _quote(v) for v in values]) + "}"
    return f'{{"{joined}"}}'


def _quote(value: Any) -> str:
    text = value if isinstance(value, str) else f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if '"' in text:
        text = text.replace('"', '\\"')
    return f'"{text}"'


def array_of(values: Iterable[Any]) -> str:
    """Values as the text of an array, to be cast in the statement: `ANY(%s::uuid[])`."""
    return _quoted(list(values))


def _check_columns(table: sa.Table, columns: Sequence[str]) -> None:
    unknown = set(columns) - set(table.columns.keys())
    if unknown:
        raise ValueError(f"table {table.name}: no column named {sorted(unknown)}")


def _copy(
    cursor: Cursor[Any],
    table: sa.Table,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    conflict: sql.Composable,
) -> None:
    names, target = _names(columns), sql.Identifier(table.name)
    staging = sql.Identifier("pg_temp", _staging_name(table, columns))
    cursor.execute("SELECT to_regclass(%s)", [staging.as_string(cursor)])
    if cursor.fetchone() == (None,):
        create = "CREATE TEMP TABLE {} ON COMMIT DELETE ROWS AS SELECT {} FROM {} WITH NO DATA"
        cursor.execute(sql.SQL(create).format(staging, names, target))
    else:
        cursor.execute(sql.SQL("TRUNCATE {}").format(staging))
    with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(staging, names)) as copy:
        for row in rows:
            copy.write_row(row)
    cursor.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT {}").format(target, names, names, staging, conflict)
    )


def _staging_name(table: sa.Table, columns: Sequence[str]) -> str:
    """One staging table for each list of columns, within the length of a name."""
    return f"staging_{table.name[:30]}_{hashlib.sha256(','.join(columns).encode()).hexdigest()[:12]}"


def _names(columns: Sequence[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _conflict(table: sa.Table, columns: Sequence[str], on_conflict: OnConflict) -> sql.Composable:
    keys = [column.name for column in table.primary_key.columns]
    others = [name for name in columns if name not in keys]
    if on_conflict == "skip" or not others:
        return sql.SQL("DO NOTHING")
    pairs = sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in others)
    return sql.SQL("({}) DO UPDATE SET {}").format(sql.SQL(", ").join(map(sql.Identifier, keys)), pairs)


def write_dicts(
    connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]], on_conflict: OnConflict = "skip"
) -> int:
    """`write_rows` for dictionaries that all have the keys of the first."""
    if not rows:
        return 0
    columns = list(rows[0])
    return write_rows(connection, table, columns, ([row[name] for name in columns] for row in rows), on_conflict)


def send_dicts(
    connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]], on_conflict: OnConflict = "skip"
) -> Sent:
    """`send_rows` for dictionaries that all have the keys of the first."""
    if not rows:
        return Sent()
    columns = list(rows[0])
    return send_rows(connection, table, columns, ([row[name] for name in columns] for row in rows), on_conflict)
