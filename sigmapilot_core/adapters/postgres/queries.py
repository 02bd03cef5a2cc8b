"""Reading for people: what the HTTP API and the status page share. One transaction, one picture, nothing written.

The queries themselves stand in `queries_decisions`, `queries_traders`, `queries_market`, `queries_execution` and
`queries_health`; all take a connection and plain arguments and return rows as dictionaries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.schema.stream import stream_status

Row = dict[str, Any]


@contextmanager
def reading(engine: sa.Engine, timeout_ms: int = 10_000) -> Iterator[sa.Connection]:
    """A read-only transaction that sees one state of the database; a statement may take `timeout_ms`."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect() as connection:
        connection = connection.execution_options(**options)
        with connection.begin():
            connection.execute(sa.select(sa.func.set_config("statement_timeout", str(timeout_ms), True)))
            yield connection


def rows(connection: sa.Connection, statement: sa.sql.Executable) -> list[Row]:
    """All rows; decimals are read as floats, and a stored number that is not finite as unknown."""
    return [{name: _finite(value) for name, value in row.items()} for row in connection.execute(statement).mappings()]


def first(connection: sa.Connection, statement: sa.sql.Executable) -> Row | None:
    """The first row, if there is one."""
    return next(iter(rows(connection, statement)), None)


def one(connection: sa.Connection, statement: sa.sql.Executable) -> Row:
    """The only row of an aggregate, which always has one."""
    return rows(connection, statement)[0]


def scalar(connection: sa.Connection, statement: sa.sql.Executable) -> Any:
    """The only value of a one-column, one-row result."""
    return _finite(connection.execute(statement).scalar())


def _finite(value: Any) -> Any:
    shown = float(value) if isinstance(value, Decimal) else value
    return None if isinstance(shown, float) and not math.isfinite(shown) else shown


def parsed(text: str | None) -> Any:
    """Stored JSON text as values; text that is none reads as unknown, so that one bad row hides no other."""
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def number(value: Any) -> float | None:
    """A number of a stored record, which may be written as a decimal string; anything else is unknown."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        return _finite(float(value))
    except (TypeError, ValueError):
        return None


def feed_now(connection: sa.Connection) -> datetime:
    """`Now` of the feed: the machine's in live modes, the virtual receive time in a recording.

    It is the instant of the stream's newest heartbeat plus the time that passed since it was written, and the
    database's clock as long as there is no heartbeat.
    """
    found = one(
        connection,
        sa.select(sa.func.now().label("now"), stream_status.c.value, stream_status.c.updated_at).select_from(
            sa.select(sa.literal(1)).subquery().outerjoin(stream_status, stream_status.c.key == "heartbeat")
        ),
    )
    at_ms = number((found["value"] or {}).get("at_ms"))
    if at_ms is None:
        return found["now"]
    return datetime.fromtimestamp(at_ms / 1000, UTC) + (found["now"] - found["updated_at"])


def ago(connection: sa.Connection, **span: float) -> datetime:
    """An instant before the feed's now: `ago(connection, hours=4)`."""
    return feed_now(connection) - timedelta(**span)
