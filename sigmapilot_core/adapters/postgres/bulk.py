"""Bulk writes: COPY into a staging table, then one INSERT that skips or updates rows already there.

COPY is an order of magnitude faster than multi-row INSERT, and the staging step keeps every write idempotent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import sqlalchemy as sa
from psycopg import sql

OnConflict = Literal["skip", "update"]


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
    cursor = connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
    names = sql.SQL(", ").join(sql.Identifier(name) for name in columns)
    staging = sql.Identifier(f"staging_{table.name}")
    target = sql.Identifier(table.name)
    cursor.execute(sql.SQL("DROP TABLE IF EXISTS pg_temp.{}").format(staging))
    cursor.execute(
        sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(staging, names, target)
    )
    with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(staging, names)) as copy:
        for row in rows:
            copy.write_row(row)
    cursor.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT {}").format(
            target, names, names, staging, _conflict(table, columns, on_conflict)
        )
    )
    written: int = cursor.rowcount
    cursor.execute(sql.SQL("DROP TABLE pg_temp.{}").format(staging))
    cursor.close()
    return written


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
