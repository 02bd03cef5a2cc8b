"""Pinned accounts: lower case, once, at most three that no leaderboard names."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import pinned_store
from sigmapilot_core.adapters.postgres.schema.model import leaderboard_snapshots

NOW = datetime(2026, 3, 15, tzinfo=UTC)


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
        assert pinned_store.pin(connection, address(number), None, "anna", NOW)["is_custom"]
    assert not pinned_store.pin(connection, address(1), "whale", "anna", NOW)["is_custom"]
    with pytest.raises(ValueError, match="allowed are 3: remove one first"):
        pinned_store.pin(connection, address(0xD), None, "anna", NOW)
    assert pinned_store.unpin(connection, address(0xA))
    pinned_store.pin(connection, address(0xD), None, "anna", NOW)
    assert pinned_store.pinned_addresses(connection) == [address(n) for n in (1, 0xB, 0xC, 0xD)]
    custom = connection.execute(sa.text("SELECT address FROM hl_custom_accounts ORDER BY 1")).scalars()
    assert list(custom) == [address(n) for n in (0xB, 0xC, 0xD)]


def test_an_address_is_pinned_once_in_lower_case_and_may_be_renamed(connection: sa.Connection) -> None:
    upper = "0x" + "AB" * 20
    pinned_store.pin(connection, upper, None, "anna", NOW)
    pinned_store.pin(connection, upper.lower(), " big  whale ", "ben", NOW)
    (row,) = pinned_store.pinned_accounts(connection)
    assert (row["address"], row["nickname"], row["pinned_by"]) == (upper.lower(), "big whale", "anna")
    assert (row["in_pool"], row["is_followed"], row["eligible"]) == (False, False, None)
    assert pinned_store.unpin(connection, upper)
    assert not pinned_store.unpin(connection, upper)


@pytest.mark.parametrize("text", ["", "0x12", "BTC", address(1) + "0", "0x" + "g" * 40])
def test_what_is_no_address_is_refused(connection: sa.Connection, text: str) -> None:
    with pytest.raises(ValueError, match="allowed is 0x and 40 hexadecimal digits"):
        pinned_store.pin(connection, text, None, "anna", NOW)
