"""What the feed knows of engines elsewhere: as reported, and not taken for waiting what was answered since."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import partition_store
from sigmapilot_core.domain.engine.share import shares
from sigmapilot_stream.decode import PRIMED, RECONCILED
from sigmapilot_stream.kafka.followed import Followed
from tests.domain.engine.engine_builders import POOL, snapshot, trader

EXTRA = trader(77)


def report(seq: int, **changes: Any) -> dict[str, Any]:
    return {
        "seq": seq, "version": 1, "unprimed": [], "unknown": [], "disagreed": [], "fills": 2, "duplicates": 1,
    } | changes  # fmt: skip


@pytest.fixture
def database(new_database: Callable[[], sa.Engine]) -> sa.Engine:
    return new_database()


def followed(database: sa.Engine, gaps: list[str]) -> Followed:
    found = Followed(database, shares(2), gaps.append)
    found.adopt(snapshot(tracked=[EXTRA]))
    return found


def say(database: sa.Engine, **reports: dict[str, Any]) -> None:
    names = {"p0": "0-of-2", "p1": "1-of-2", "other": "0-of-4"}
    with database.begin() as connection:
        partition_store.store_reports(connection, {names[name]: report for name, report in reports.items()})


async def test_partitions_together_are_as_far_as_the_last_of_them(database: sa.Engine) -> None:
    found = followed(database, [])
    await found.look()
    assert (found.handled_seq, found.snapshot_version, found.silent) == (-1, None, ["0-of-2", "1-of-2"])
    say(database, p0=report(9, version=3), other=report(500))
    await found.look()
    assert (found.handled_seq, found.snapshot_version, found.silent) == (9, None, ["1-of-2"])
    say(database, p1=report(4, version=2))
    await found.look()
    assert (found.handled_seq, found.snapshot_version, found.silent) == (14, 2, [])
    assert (found.counters.fills, found.counters.duplicate) == (4, 2)


async def test_who_waits_anywhere_waits_and_the_pool_comes_first(database: sa.Engine) -> None:
    found = followed(database, [])
    say(database, p0=report(9, unprimed=[EXTRA, trader(999)]), p1=report(9, unprimed=[POOL[1], EXTRA]))
    await found.look()
    assert found.unprimed == [POOL[1], EXTRA]
    assert [name for name, one in found.traders.items() if not one.is_primed] == sorted([POOL[1], EXTRA])
    assert found.traders[EXTRA].member is None
    assert found.traders[POOL[1]].member is not None


async def test_who_was_asked_about_waits_again_only_if_a_later_report_says_so(database: sa.Engine) -> None:
    found = followed(database, [])
    say(database, p0=report(9, unprimed=[EXTRA]), p1=report(9))
    await found.look()
    found.submitted([(PRIMED, 0, orjson.dumps({"user": EXTRA}))], (12, 12))
    assert found.unprimed == []
    say(database, p0=report(11, unprimed=[EXTRA]))
    await found.look()
    assert found.unprimed == []
    say(database, p0=report(12, unprimed=[EXTRA]))
    await found.look()
    assert found.unprimed == [EXTRA]


async def test_a_coin_with_a_hole_is_told_until_it_was_compared(database: sa.Engine) -> None:
    gaps: list[str] = []
    found = followed(database, gaps)
    say(database, p0=report(9, unknown=["SOL"]), p1=report(9))
    await found.look()
    found.submitted([(RECONCILED, 0, orjson.dumps({"coin": "SOL"}))], (15, 9))
    await found.look()
    assert gaps == ["SOL"]
    say(database, p0=report(15, unknown=["SOL"]))
    await found.look()
    assert gaps == ["SOL", "SOL"]


async def test_accounts_that_the_venue_contradicted_are_told(database: sa.Engine) -> None:
    told: list[str] = []
    found = followed(database, [])
    found.on_disagreement = told.append
    say(database, p0=report(9, disagreed=[EXTRA]))
    await found.look()
    assert told == [EXTRA]
