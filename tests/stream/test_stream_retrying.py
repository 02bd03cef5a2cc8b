"""What is said of a database that does not take a transaction, and that it is tried again."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from psycopg import errors
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from sigmapilot_stream import retrying

DEADLOCK = errors.DeadlockDetected("deadlock detected")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (psycopg.OperationalError("connection refused"), "database does not answer"),
        (errors.AdminShutdown("terminating connection"), "database does not answer"),
        (errors.CannotConnectNow("the database system is starting up"), "database does not answer"),
        (errors.ConnectionFailure("gone"), "database does not answer"),
        (DEADLOCK, "database gave the transaction up"),
        (OperationalError("UPDATE", None, DEADLOCK), "database gave the transaction up"),
    ],
)
def test_a_database_that_is_away_is_told_from_one_that_gave_a_transaction_up(error: Exception, words: str) -> None:
    assert retrying.is_down(error)
    assert retrying.words_of(error) == words


def test_a_transaction_that_was_given_up_is_tried_until_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_WAIT_S", 0.0)
    tried: list[str] = []

    def write() -> int:
        if len(tried) < 2:
            tried.append("given up")
            raise DEADLOCK
        return 7

    with capture_logs() as said:
        assert asyncio.run(retrying.until_written(write, "fills")) == 7
    assert [line["event"] for line in said] == ["database gave the transaction up; waiting"] * 2


def test_a_statement_that_is_refused_is_not_tried_again() -> None:
    tried: list[str] = []

    def write() -> None:
        tried.append("once")
        raise errors.UndefinedTable("no such table")

    with pytest.raises(errors.UndefinedTable):
        asyncio.run(retrying.until_written(write, "fills"))
    assert tried == ["once"]
