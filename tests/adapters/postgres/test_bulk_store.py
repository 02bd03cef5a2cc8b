"""Bulk writes: few rows as arrays, many by COPY, both with the same result."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigmapilot_core.adapters.postgres import bulk
from sigmapilot_core.adapters.postgres.bulk import (
    array_of,
    raw_of,
    send_dicts,
    send_rows,
    unanswered,
    write_dicts,
    write_rows,
)

TABLE = sa.Table(
    "bulk_trial",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("amount", sa.Numeric),
    sa.Column("share", sa.Double),
    sa.Column("is_on", sa.Boolean),
    sa.Column("day", sa.Date),
    sa.Column("at", sa.DateTime(timezone=True)),
    sa.Column("body", sa.dialects.postgresql.JSONB),
    sa.Column("raw", sa.LargeBinary),
)
COLUMNS = [column.name for column in TABLE.columns]
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def connection(rolled_back: sa.Connection) -> sa.Connection:
    TABLE.create(rolled_back)
    return rolled_back


@pytest.fixture(params=["arrays", "copy"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of writing, for the same rows."""
    if request.param == "copy":
        monkeypatch.setattr(bulk, "FEW_ROWS", 0)
    return str(request.param)


def row(number: int, **changes: Any) -> dict[str, Any]:
    values = {
        "id": number, "name": "a'b\t\\ü", "amount": Decimal("0.1"), "share": 0.25, "is_on": True,
        "day": date(2026, 3, 1), "at": AT, "body": '{"k": [1, null]}', "raw": b"\x00\xff",
    }  # fmt: skip
    return values | changes


def stored(connection: sa.Connection) -> list[dict[str, Any]]:
    return [dict(found._mapping) for found in connection.execute(sa.select(TABLE).order_by(TABLE.c.id))]


def test_every_type_comes_back_as_it_was(connection: sa.Connection, way: str) -> None:
    assert write_dicts(connection, TABLE, [row(1), dict.fromkeys(COLUMNS) | {"id": 2}]) == 2
    first, nothing = stored(connection)
    assert first == row(1, body={"k": [1, None]})
    assert nothing == dict.fromkeys(COLUMNS) | {"id": 2}


def test_rows_that_exist_are_skipped_or_updated(connection: sa.Connection, way: str) -> None:
    write_dicts(connection, TABLE, [row(1)])
    assert write_dicts(connection, TABLE, [row(1, name="new"), row(2)], "skip") == 1
    assert [found["name"] for found in stored(connection)] == ["a'b\t\\ü"] * 2
    assert write_dicts(connection, TABLE, [row(1, name="new"), row(3)], "update") == 2
    assert [found["name"] for found in stored(connection)] == ["new", "a'b\t\\ü", "a'b\t\\ü"]


def test_numbers_of_several_types_may_share_a_column(connection: sa.Connection, way: str) -> None:
    write_dicts(connection, TABLE, [row(1, amount=1, share=2), row(2, amount=Decimal("1.5"), share=0.5)])
    assert [(found["amount"], found["share"]) for found in stored(connection)] == [(1, 2.0), (Decimal("1.5"), 0.5)]


def test_one_batch_may_name_a_row_twice_where_the_second_is_skipped(connection: sa.Connection, way: str) -> None:
    assert write_dicts(connection, TABLE, [row(1), row(1, name="again")]) == 1


def test_a_stream_of_rows_is_taken_as_it_comes(connection: sa.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "FEW_ROWS", 10)
    assert write_rows(connection, TABLE, ("id", "name"), ((n, "x") for n in range(25))) == 25
    assert write_rows(connection, TABLE, ("id",), iter(())) == 0
    assert len(stored(connection)) == 25


def test_a_column_that_does_not_exist_is_named(connection: sa.Connection) -> None:
    with pytest.raises(ValueError, match="no column named \\['nmae'\\]"):
        write_rows(connection, TABLE, ("id", "nmae"), [(1, "x")])


TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(values=st.lists(st.none() | TEXTS))
def test_texts_come_back_from_our_arrays_as_from_the_drivers(
    connection: sa.Connection, values: list[str | None]
) -> None:
    query, raw = "SELECT %s::text[], %s::text[]", raw_of(connection)
    ours, theirs = raw.execute(query, [array_of(values), values]).fetchone() or ()
    assert ours == theirs == values


SOUND = st.decimals(-(10**30), 10**30, allow_nan=False, allow_infinity=False)
NUMBERS = st.none() | st.integers(-(10**30), 10**30) | SOUND | st.sampled_from([Decimal("NaN"), Decimal("Infinity")])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(amounts=st.lists(NUMBERS), shares=st.lists(st.none() | st.floats()))
def test_numbers_come_back_from_our_arrays_as_from_the_drivers(
    connection: sa.Connection, amounts: list[Any], shares: list[float | None]
) -> None:
    raw = raw_of(connection)
    for values, kind in ((amounts, "numeric"), (shares, "double precision")):
        texts = [None if value is None else str(value) for value in values]
        query = f"SELECT %s::{kind}[]::text, %s::{kind}[]::text"
        ours, theirs = raw.execute(query, [bulk._plain(values), texts]).fetchone() or ()
        assert ours == theirs


def test_statements_that_are_not_waited_for_tell_their_rows_at_the_end(
    connection: sa.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "SENT_AT_ONCE", 10)
    with unanswered(connection):
        many = send_rows(connection, TABLE, ("id", "name"), ((n, "x") for n in range(25)))
        again = send_rows(connection, TABLE, ("id", "name"), ((n, "y") for n in range(20, 30)))
        changed = send_dicts(connection, TABLE, [row(3)], "update")
        nothing = send_dicts(connection, TABLE, [])
    assert (many.count, again.count, changed.count, nothing.count) == (25, 5, 1, 0)
    assert [found["name"] for found in stored(connection)][2:5] == ["x", row(3)["name"], "x"]


def send_both(connection: sa.Connection, first: dict[str, Any], second: dict[str, Any]) -> None:
    with unanswered(connection):
        send_dicts(connection, TABLE, [first], "refuse")
        send_dicts(connection, TABLE, [second])


def test_a_row_that_may_not_be_there_is_an_error_at_the_end(connection: sa.Connection) -> None:
    write_dicts(connection, TABLE, [row(1)])
    with connection.begin_nested() as savepoint:
        with pytest.raises(psycopg.errors.UniqueViolation):
            send_both(connection, row(1), row(2))
        savepoint.rollback()
    assert len(stored(connection)) == 1
