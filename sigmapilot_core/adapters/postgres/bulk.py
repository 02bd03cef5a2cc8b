"""Bulk writes that skip or update rows already there.

Few rows travel as one array per column in a single INSERT. More are copied into a staging table first: COPY is several
times faster. A connection keeps its staging tables, emptied by every commit: one for every batch would bloat the
catalogue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import Any, Literal

import sqlalchemy as sa
from psycopg import Cursor, sql
from sqlalchemy.dialects import postgresql

OnConflict = Literal["skip", "update"]
FEW_ROWS = 100

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


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
    unknown = set(columns) - set(table.columns.keys())
    if unknown:
        raise ValueError(f"table {table.name}: no column named {sorted(unknown)}")
    stream = iter(rows)
    first = list(islice(stream, FEW_ROWS + 1))
    if not first:
        return 0
    conflict = _conflict(table, columns, on_conflict)
    with connection.connection.driver_connection.cursor() as cursor:  # type: ignore[union-attr]
        if len(first) <= FEW_ROWS:
            _insert(cursor, table, columns, first, conflict)
        else:
            _copy(cursor, table, columns, chain(first, stream), conflict)
        written: int = cursor.rowcount
    return written


def _insert(
    cursor: Cursor[Any], table: sa.Table, columns: Sequence[str], rows: list[Sequence[Any]], conflict: sql.Composable
) -> None:
    arrays = sql.SQL(", ").join(
        sql.SQL("%s::{}[]").format(sql.SQL(table.columns[name].type.compile(_DIALECT))) for name in columns
    )
    cursor.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT * FROM unnest({}) ON CONFLICT {}").format(
            sql.Identifier(table.name), _names(columns), arrays, conflict
        ),
        [_array(column) for column in zip(*rows, strict=True)],
    )


def _array(values: Sequence[Any]) -> list[Any]:
    """One column; the driver takes arrays of one type only, so that mixed numbers travel as text."""
    if len({type(value) for value in values if value is not None}) <= 1:
        return list(values)
    return [None if value is None else str(value) for value in values]


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
