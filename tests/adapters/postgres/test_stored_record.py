"""Stored history as the record the evaluation walks over: nothing is known earlier than it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
import sqlalchemy as sa
from as_of_world import DAYS, TRADERS, day, facts, moment, ms, store_world

from sigmapilot_core.adapters.postgres import history_store, market_store, stream_store
from sigmapilot_core.adapters.postgres.partitions import ensure_between
from sigmapilot_core.adapters.postgres.stored_record import Connect, NoHistoryError, read_learner, stored_range
from sigmapilot_core.adapters.postgres.walk_stored import (
    BadRangeError,
    IncompleteHistoryError,
    span_of,
    walk_stored,
)
from sigmapilot_core.domain.evaluation.walk_forward import rules_for
from sigmapilot_core.domain.events import Bar, Fill
from sigmapilot_core.domain.params import HOUR_MS, MINUTE_MS, Params
from sigmapilot_core.domain.venue import AssetContext, AssetSpec, FundingRate
from sigmapilot_core.ports import UniverseEntry

PARAMS = Params()


@pytest.fixture
def connect(rolled_back: sa.Connection) -> Connect:
    """Hands out the test's own connection, as the readers ask for it."""

    @contextmanager
    def same() -> Iterator[sa.Connection]:
        yield rolled_back

    return same


def bar(at_ms: int, length: int) -> Bar:
    return Bar("BTC", at_ms, at_ms + length, 100.0, 101.0, 99.0, 100.0, 5.0)


def bought(user: str, at_ms: int, tid: int, start: str, px: str = "100.5", sz: str = "0.25") -> Fill:
    return Fill(user, "BTC", True, Decimal(px), Decimal(sz), at_ms, tid, True, "0x", oid=tid,
                start_position=Decimal(start))  # fmt: skip


def store_market(connection: sa.Connection, first: int = 0, last: int = DAYS) -> None:
    """BTC with hours of all days, minutes and funding of days [first, last)."""
    ensure_between(connection, ms(moment(-1)), ms(moment(DAYS + 1)))
    px = Decimal(100)
    context = AssetContext("BTC", 0, px, px, px, px, 5e7, 1.0, 1e-5, 0.0)
    market_store.store_universe(connection, [UniverseEntry(0, AssetSpec("BTC", 5, 40), context)], moment(0))
    market_store.store_hourly(connection, [bar(ms(moment(0, h)), HOUR_MS) for h in range(24 * DAYS)])
    begun, ended = ms(moment(first, 0)), ms(moment(last, 0))
    bars = [bar(at, MINUTE_MS) for at in range(begun, ended, MINUTE_MS)]
    market_store.store_minutes(connection, bars, [None] * len(bars))
    hours = range(begun, ended, HOUR_MS)
    market_store.store_funding(connection, [FundingRate("BTC", at + 7, 1e-5, 0.0) for at in hours])


def test_without_history_the_sentence_says_which_job_to_run(rolled_back: sa.Connection) -> None:
    with pytest.raises(NoHistoryError, match="no leaderboard was fetched yet; run job materialise_all"):
        stored_range(rolled_back)
    store_world(rolled_back)
    with pytest.raises(NoHistoryError, match="no trader's fills were fetched yet; run job refresh_alpha_pool"):
        stored_range(rolled_back)
    ensure_between(rolled_back, ms(moment(-1)), ms(moment(DAYS)))
    history_store.store_history(rolled_back, facts(TRADERS[0], moment(1)), [bought(TRADERS[0], ms(moment(1)), 1, "0")],
                                ms(moment(1)))  # fmt: skip
    with pytest.raises(NoHistoryError, match="no minute was fetched yet; run job fetch_minutes"):
        stored_range(rolled_back)


@pytest.fixture
def history(rolled_back: sa.Connection) -> sa.Connection:
    """Ten days; one fill was fetched on the fifth, one heard live on the sixth and fetched again on the seventh."""
    store_world(rolled_back)
    store_market(rolled_back)
    fetched, live = bought(TRADERS[0], ms(moment(2, 3)), 1, "0"), bought(TRADERS[0], ms(moment(6, 3)), 2, "0.25")
    history_store.store_fills(rolled_back, [fetched], ms(moment(5)))
    received = ms(moment(6, 3)) + 40
    applied = stream_store.AppliedFill(live, Decimal("0.5"), None, "add", None, received, 9)
    stream_store.store_fills(rolled_back, [applied])
    history_store.store_fills(rolled_back, [live], ms(moment(7)))
    return rolled_back


def test_fills_are_told_once_on_the_coins_grid_with_when_they_became_known(
    history: sa.Connection, connect: Connect
) -> None:
    record = read_learner(connect, day(1), day(DAYS), PARAMS).learner.record
    assert record.fills["px"].tolist() == [1005, 1005]
    assert record.fills["lots"].tolist() == [25_000, 25_000]
    assert record.fills["start"].tolist() == [0, 25_000]
    assert record.known_ms is not None
    assert record.known_ms.tolist() == [ms(moment(5)), ms(moment(6, 3)) + 40]
    assert record.addresses[record.fills["user"][0]] == TRADERS[0]
    assert record.funding_at(0, ms(moment(3, 4.5))) == 1e-5
    assert record.fill_of(record.fills[0]).px == Decimal("100.5")


def test_boards_and_answers_are_those_that_had_been_fetched(history: sa.Connection, connect: Connect) -> None:
    record = read_learner(connect, day(1), day(DAYS), PARAMS).learner.record
    at_ms = ms(moment(4, 0))
    rows = {row.address: row.account_value_usd for row in record.board(at_ms) or ()}
    assert rows[TRADERS[0]] == 300_030.0, "the board of the day before: that of the day is fetched at 00:30"
    assert record.board(ms(moment(DAYS + 3, 0))) is None, "older than a decision accepts"
    assert record.answers is not None
    user = record.index_of[TRADERS[0]]
    assert record.answers(user, ms(moment(0, 0.7))) is None
    assert record.answers(user, ms(moment(0, 0.8))) is not None


def test_an_episode_teaches_from_when_it_was_known(history: sa.Connection, connect: Connect) -> None:
    learner = read_learner(connect, day(1), day(DAYS), PARAMS).learner
    user = learner.record.index_of[TRADERS[0]]
    # the episode of a day ends at 12:00 and is known six minutes later
    known = [int(learner.learning(ms(moment(3, hour))).n_episodes[user]) for hour in (12.0, 12.05, 12.2)]
    assert known == [3, 3, 4]


def test_ranges_that_cannot_be_walked_over_are_one_sentence(history: sa.Connection, connect: Connect) -> None:
    store_market(history, DAYS - 1, DAYS)
    with pytest.raises(BadRangeError, match="--from 2026-03-05 is not before --to 2026-03-05"):
        span_of(connect, day(4), day(4))
    with pytest.raises(BadRangeError, match="history reaches from 2026-03-02 to 2026-03-11"):
        span_of(connect, day(0), None)
    with pytest.raises(BadRangeError, match="is too short: the range has 9 days; at least 20 are needed"):
        span_of(connect, None, None)


def test_what_is_missing_is_counted(history: sa.Connection, connect: Connect) -> None:
    broken = facts(TRADERS[1], moment(DAYS))
    history_store.store_facts(history, history_store.TraderFacts(broken.address, broken.asked_at, None, None, None, 0,
                                                                 error="fills: timed out"))  # fmt: skip
    market = sa.text("DELETE FROM marks_1m WHERE ts < :until")
    history.execute(market, {"until": moment(5, 0)})
    missing = read_learner(connect, day(1), day(DAYS), PARAMS).missing
    assert (missing.traders, missing.of_traders, missing.days_without_board) == (1, 6, 0)
    assert missing.sentence() == (
        "the history of 1 of 6 traders is not complete; 56% of the minutes of its coins are stored"
    )


def test_an_incomplete_history_is_refused_with_what_it_lacks(history: sa.Connection, connect: Connect) -> None:
    ensure_between(history, ms(moment(-1)), ms(moment(40)))
    far = ms(moment(25, 0))
    market_store.store_minutes(history, [bar(far, MINUTE_MS)], [None])
    with pytest.raises(IncompleteHistoryError, match="no leaderboard was in force on 13 days"):
        walk_stored(connect, day(1), day(25), PARAMS)
    report = walk_stored(connect, day(1), day(25), PARAMS, accepts_gaps=True, compares=False)
    assert report.missing.days_without_board == 13
    assert report.evaluation.folds[0].start_ms == ms(moment(13, 0))
    assert {line.strategy for line in report.evaluation.lines} >= {"consensus", "no trade"}


@pytest.mark.parametrize(("days", "warm_up", "tests"), [(20, 10, 5), (60, 30, 15), (89, 44, 23), (90, 60, 30)])
def test_a_young_history_teaches_for_half_its_days_and_is_tested_in_two_folds(
    days: int, warm_up: int, tests: int
) -> None:
    rules = rules_for(days)
    assert (rules.warm_up_days, rules.test_days, rules.gap_days) == (warm_up, tests, 7)
    assert 0 < rules.learn_days < warm_up - rules.gap_days


def test_minutes_are_counted_by_day(history: sa.Connection) -> None:
    held = market_store.minutes_by_day(history, "BTC", moment(8, 0))
    assert held == {day(8): 1440, day(9): 1440}
