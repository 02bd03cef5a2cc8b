"""Pinned accounts: lower case, once, at most three that no leaderboard names."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import history_store, pinned_store
from sigmapilot_core.adapters.postgres.history_store import TraderFacts
from sigmapilot_core.adapters.postgres.pinned_store import Change
from sigmapilot_core.adapters.postgres.schema.model import leaderboard_snapshots

NOW = datetime(2026, 3, 15, tzinfo=UTC)
ANNA, BEN = Change("anna", NOW, "cli"), Change("ben", NOW, "api")
GONE = Change("ben", NOW + timedelta(hours=1), "cli", " trades no longer ")


def address(number: int) -> str:
    return f"0x{number:040x}"


@pytest.fixture
def connection(rolled_back: sa.Connection) -> sa.Connection:
    rolled_back.execute(
        leaderboard_snapshots.insert().values(
            as_of_date=date(2026, 3, 15), address=address(1), account_value=5e5, roi_approximate=False, fetched_at=NOW
        )
    )
    return rolled_back


def test_three_custom_accounts_and_any_number_of_the_leaderboards(connection: sa.Connection) -> None:
    for number in (0xA, 0xB, 0xC):
        assert pinned_store.pin(connection, address(number), None, ANNA)["is_custom"]
    assert not pinned_store.pin(connection, address(1), "whale", ANNA)["is_custom"]
    with pytest.raises(ValueError, match="allowed are 3: remove one first"):
        pinned_store.pin(connection, address(0xD), None, ANNA)
    assert pinned_store.unpin(connection, address(0xA), GONE)
    pinned_store.pin(connection, address(0xD), None, ANNA)
    assert pinned_store.pinned_addresses(connection) == [address(n) for n in (1, 0xB, 0xC, 0xD)]
    custom = connection.execute(sa.text("SELECT address FROM hl_custom_accounts ORDER BY 1")).scalars()
    assert list(custom) == [address(n) for n in (0xB, 0xC, 0xD)]


def test_an_address_is_pinned_once_in_lower_case_and_may_be_renamed(connection: sa.Connection) -> None:
    upper = "0x" + "AB" * 20
    pinned_store.pin(connection, upper, None, ANNA)
    pinned_store.pin(connection, upper.lower(), " big  whale ", BEN)
    (row,) = pinned_store.pinned_accounts(connection)
    assert (row["address"], row["nickname"], row["pinned_by"]) == (upper.lower(), "big whale", "anna")
    assert (row["in_pool"], row["is_followed"], row["eligible"]) == (False, False, None)
    assert pinned_store.unpin(connection, upper, GONE)
    assert not pinned_store.unpin(connection, upper, GONE)


@pytest.mark.parametrize("text", ["", "0x12", "BTC", address(1) + "0", "0x" + "g" * 40])
def test_what_is_no_address_is_refused(connection: sa.Connection, text: str) -> None:
    with pytest.raises(ValueError, match="allowed is 0x and 40 hexadecimal digits"):
        pinned_store.pin(connection, text, None, ANNA)


def test_every_change_leaves_who_when_and_why(connection: sa.Connection) -> None:
    pinned_store.pin(connection, address(1), "whale", ANNA)
    pinned_store.pin(connection, address(1), "minnow", BEN)
    assert pinned_store.unpin(connection, address(1), GONE)
    assert not pinned_store.unpin(connection, address(1), GONE)
    told = [
        (row["action"], row["nickname"], row["changed_by"], row["via"], row["reason"], row["changed_at"])
        for row in pinned_store.pinned_changes(connection, 10)
    ]
    assert told == [
        ("unpin", "minnow", "ben", "cli", "trades no longer", NOW + timedelta(hours=1)),
        ("rename", "minnow", "ben", "api", None, NOW),
        ("pin", "whale", "anna", "cli", None, NOW),
    ]


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_nothing_is_unpinned_without_a_reason(connection: sa.Connection, reason: str | None) -> None:
    pinned_store.pin(connection, address(1), None, ANNA)
    with pytest.raises(ValueError, match="a reason is needed"):
        pinned_store.unpin(connection, address(1), Change("ben", NOW, "cli", reason))
    assert pinned_store.pinned_addresses(connection) == [address(1)]


def test_an_account_asked_on_many_days_is_listed_once_with_its_newest_answer(connection: sa.Connection) -> None:
    pinned_store.pin(connection, address(1), None, ANNA)
    for days in range(3):
        answer = TraderFacts(address(1), NOW + timedelta(days=days), 1.0, False, True, 10 + days)
        history_store.store_facts(connection, answer)
    (row,) = pinned_store.pinned_accounts(connection)
    assert row["history_fills"] == 12
