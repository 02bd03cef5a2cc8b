"""The walk over what the assets stored of a world is the walk over the world itself."""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from sigmapilot_assets.platform import Platform
from sigmapilot_assets.raw.minutes import missing_pieces
from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.postgres import leaderboard_store, market_store, science_store
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.stored_record import Stored, read_learner
from sigmapilot_core.adapters.postgres.walk_stored import span_of
from sigmapilot_core.domain.evaluation.day_model import Learner
from sigmapilot_core.domain.evaluation.record import VenueRecord
from sigmapilot_core.domain.evaluation.replay import Judged
from sigmapilot_core.domain.evaluation.simulated import record_of
from sigmapilot_core.domain.evaluation.walk_forward import Walk, walk
from sigmapilot_core.domain.events import Verdict
from sigmapilot_core.domain.params import DAY_MS, MINUTE_MS, Params
from sigmapilot_core.domain.simulation import boards
from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.world import World
from sigmapilot_core.domain.traders import filters
from sigmapilot_core.domain.traders.filters import TraderFacts

from .asset_runs import run, run_selection
from .asset_venue import address, row
from .world_venue import WorldVenue

END_MS = 20_370 * DAY_MS
WORLD = WorldSettings(seed=3, epoch_ms=END_MS, traders=100, history_days=34)
ASKED_MS, BOARD_MS = 45 * MINUTE_MS, 30 * MINUTE_MS
NEVER = np.iinfo(np.int64).max


@pytest.fixture(scope="module")
def world() -> World:
    return World(WORLD)


@pytest.fixture
def platform_of_world(pg_url: str, world: World, tmp_path: Path) -> Iterator[Platform]:
    engine, venue = create_engine(pg_url), WorldVenue.of(world)
    yield Platform("demo", "normal", Params(), engine, FeedClock(END_MS), lambda: venue, venue, tmp_path)
    engine.dispose()


def materialise(platform: Platform, instance: dg.DagsterInstance, names: list[str], config: Any = None) -> None:
    assert run_selection(platform, instance, dg.AssetSelection.assets(*names), config).success


@pytest.fixture
def filled(platform_of_world: Platform, instance: dg.DagsterInstance) -> Platform:
    """The database as the assets fill it at the first start of a demo, with all minutes there are."""
    for names in (
        ["raw_hyperliquid__leaderboard", "raw_hyperliquid__market"],
        ["raw_hyperliquid__candles", "raw_hyperliquid__fills_history"],
        ["core_traders__episodes"],
    ):
        materialise(platform_of_world, instance, names)
    config = {"ops": {"raw_hyperliquid__minutes": {"config": {"requests": 1000}}}}
    materialise(platform_of_world, instance, ["raw_hyperliquid__minutes"], config)
    return platform_of_world


class Questions:
    """Who would have been asked on which days, told from the world alone."""

    def __init__(self, record: VenueRecord, world: World) -> None:
        self.plain = Learner.of(record, Params())
        self.days: dict[int, list[int]] = {}
        for day in range(record.start_ms, record.end_ms, DAY_MS):
            for listed in boards.leaderboard(world, day + BOARD_MS):
                if filters.evaluate(listed).leaderboard_verdict is Verdict.PASS:
                    self.days.setdefault(record.index_of[listed.address], []).append(day + ASKED_MS)

    def since(self, user: int) -> int:
        return self.days[user][0] if user in self.days else NEVER

    def answer(self, user: int, as_of_ms: int) -> TraderFacts | None:
        asked = self.days.get(user, [])
        index = bisect.bisect_right(asked, as_of_ms) - 1
        return self.plain.facts(user, asked[index]) if index >= 0 else None


def knowing(world: World, first_ms: int) -> Learner:
    """The world as an installation would have come to know it: no books, histories since the first question."""
    record = record_of(world)
    questions = Questions(record, world)
    since = np.array([questions.since(user) for user in range(len(record.addresses))])
    seen = replace(
        record,
        start_ms=first_ms,
        has_books=False,
        book=lambda _coin, _at: None,
        board=lambda at_ms: boards.leaderboard(world, at_ms - DAY_MS + BOARD_MS),
        known_ms=np.maximum(record.fills["t"], since[record.fills["user"]]),
        answers=questions.answer,
    )
    learner = Learner.of(seen, Params())
    known = np.maximum(learner.episodes.closed_ms, since[learner.episodes.user])
    return replace(learner, episodes=replace(learner.episodes, known_ms=known))


def named(one: Judged, record: VenueRecord) -> dict[str, Any]:
    """A decision with names for positions."""
    who = sorted(record.addresses[user] for user in one.agreeing)
    return asdict(one) | {"coin": record.coins[one.coin], "agreeing": who}


def decisions(found: Walk, record: VenueRecord) -> list[dict[str, Any]]:
    rows = [named(one, record) for one in found.judged]
    return sorted(rows, key=lambda row: (row["decided_at_ms"], row["coin"]))


@pytest.mark.slow
def test_the_walk_over_stored_history_is_the_walk_over_the_world(
    filled: Platform, instance: dg.DagsterInstance, world: World
) -> None:
    first, last, rules = span_of(filled.transaction, None, None)
    assert (first, last) == (date(2025, 9, 6), date(2025, 10, 9))
    stored: Stored = read_learner(filled.transaction, first, last, Params())
    assert stored.missing.sentence() is None
    truth = knowing(world, stored.learner.record.start_ms)
    made, expected = walk(stored.learner, Params(), rules), walk(truth, Params(), rules)
    of_store, of_world = decisions(made, stored.learner.record), decisions(expected, truth.record)
    assert any(one.passed_gates for one in expected.judged)
    assert [(row["decided_at_ms"], row["coin"], row["agreeing"]) for row in of_store] == [
        (row["decided_at_ms"], row["coin"], row["agreeing"]) for row in of_world
    ]
    for stored_row, world_row in zip(of_store, of_world, strict=True):
        assert_same(stored_row, world_row)
    ours, theirs = ([one.result_r for one in found.scored] for found in (made, expected))
    assert [r is None for r in ours] == [r is None for r in theirs]  # those that had no end by the last minute
    assert [r for r in ours if r is not None] == pytest.approx([r for r in theirs if r is not None], rel=1e-9)
    config = {"ops": {"report_science__walk_forward": {"config": {"compares": False}}}}
    materialise(filled, instance, ["report_science__walk_forward"], config)
    with filled.transaction() as connection:
        report = science_store.newest_report(connection, science_store.WALK_FORWARD)
    assert report is not None
    content = json.loads(report.content)
    assert (content["first"], content["last"]) == (str(first), str(last))
    lines = {line["strategy"]: line for line in content["evaluation"]["lines"] if line["fold"] is None}
    assert lines["consensus"]["mean_r"]["n"] == len(expected.tested())
    assert lines["no trade"]["total_r"] == 0


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    for name, value in theirs.items():
        if isinstance(value, float):
            assert ours[name] == pytest.approx(value, rel=1e-9), name
        else:
            assert ours[name] == value, name


def test_an_installation_too_young_to_be_walked_over_says_so_and_stores_no_report(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    result = run(platform, instance, "walk_forward")
    (made,) = result.asset_materializations_for_node("report_science__walk_forward")
    assert "run job materialise_all" in str(made.metadata["not computed"].value)
    with platform.transaction() as connection:
        assert science_store.newest_report(connection, science_store.WALK_FORWARD) is None
    config = {"ops": {"report_science__walk_forward": {"config": {"first": "2026-03-02", "last": "2026-03-01"}}}}
    with pytest.raises(dg.Failure, match="--from 2026-03-02 is not before --to 2026-03-01"):
        materialise(platform, instance, ["report_science__walk_forward"], config)


def test_minutes_and_funding_of_liquid_coins_are_fetched_in_pieces_and_the_next_run_goes_on(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    for names in (["raw_hyperliquid__leaderboard"], ["raw_hyperliquid__market"]):
        materialise(platform, instance, names)
    with platform.transaction() as connection:
        long_ago = platform.today() - timedelta(days=4)
        leaderboard_store.store_leaderboard(connection, long_ago, platform.now() - timedelta(days=4), [row(address(1))])
    config = {"ops": {"raw_hyperliquid__minutes": {"config": {"requests": 1}}}}
    held = []
    for _ in range(3):
        materialise(platform, instance, ["raw_hyperliquid__minutes"], config)
        with platform.transaction() as connection:
            held.append(sum(market_store.minutes_by_day(connection, "BTC", platform.now() - timedelta(9)).values()))
    assert held[0] < held[1] == held[2], "a coin that is whole is not asked for again"
    assert held[1] == (platform.now() - datetime.combine(long_ago, datetime.min.time(), UTC)) // timedelta(minutes=1)
    with platform.transaction() as connection:
        rates = market_store.read_funding(connection, platform.now() - timedelta(9), platform.now())
        assert {coin for coin, _, _ in rates} == {"BTC", "ETH", "SOL"}
        assert market_store.minutes_by_day(connection, "ETH", platform.now() - timedelta(9)), "the third run's request"


def test_days_that_are_not_whole_are_asked_for_newest_first_three_at_a_time() -> None:
    today = date(2026, 3, 10)
    now = datetime(2026, 3, 10, 1, tzinfo=UTC)
    held = {today: 60, today - timedelta(days=2): 1440, today - timedelta(days=4): 1000}
    pieces = list(missing_pieces(held, today - timedelta(days=7), now))
    back = [[(today - day).days for day in piece] for piece in pieces]
    assert back == [[1], [5, 4, 3], [7, 6]]
    assert list(missing_pieces({today: 54}, today, now)) == [[today]]
