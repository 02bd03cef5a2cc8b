"""Daily partitions: a past day from the UI or the command line, beside the live selection and never in its place."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
import sqlalchemy as sa

from sigmapilot_assets.definitions import build
from sigmapilot_assets.past.days import DAYS
from sigmapilot_assets.platform import Platform
from sigmapilot_assets.raw import leaderboard
from sigmapilot_assets.raw.simulated_past import Past, after, answers_of, backdated, past_of
from sigmapilot_assets.schedules import past_day_daily
from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.postgres import snapshot_store, trader_store
from sigmapilot_core.adapters.postgres.schema import model
from sigmapilot_core.domain.params import DAY_MS, FilterParams

from .asset_runs import rows, run, run_python_assets
from .asset_venue import NOW_MS, FakeVenue, address, row, trades_of
from .conftest import MakePlatform

TODAY = datetime.fromtimestamp(NOW_MS / 1000, UTC).date()


def later(platform: Platform, days: int) -> Platform:
    """The same platform, days later."""
    return replace(platform, clock=FeedClock(NOW_MS + days * DAY_MS))


def past_day(
    platform: Platform, instance: dg.DagsterInstance, day: date | None, *, raises: bool = True
) -> dg.ExecuteInProcessResult:
    job = build({"platform": platform}).resolve_job_def("evaluate_past_day")
    key = None if day is None else str(day)
    return job.execute_in_process(instance=instance, partition_key=key, raise_on_error=raises)


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    found = (e.asset_check_evaluation_data for e in result.all_events if e.event_type_value == "ASSET_CHECK_EVALUATION")
    return {check.check_name: check.passed for check in found}


def failure(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [e for e in result.all_events if e.event_type_value == "STEP_FAILURE"][:1]
    return str(event.event_specific_data.error_display_string)


def test_a_past_day_is_evaluated_beside_the_live_selection_and_repeats_its_run(
    learnt: Platform, instance: dg.DagsterInstance, venue: FakeVenue
) -> None:
    venue.rows = [row(user) for user in venue.histories if user != address(1)]
    run_python_assets(later(learnt, 2), instance)
    result = past_day(later(learnt, 2), instance, TODAY)
    assert checks(result) == {"draws_repeat_from_their_keys": True, "equals_the_run_of_that_day": True}
    selections = {(f["as_of_date"], f["selection_version"]) for f in rows(learnt, model.pool_selections)}
    assert selections == {(TODAY, 1), (TODAY + timedelta(days=2), 2), (TODAY, 0)}
    with learnt.engine.connect() as connection:
        assert snapshot_store.newest_version(connection) == 2
        newest = trader_store.newest_selection(connection)
        assert newest is not None
        assert newest["selection_version"] == 2
        (filtered,) = connection.execute(sa.select(sa.func.count()).select_from(model.trader_filters_asof)).one()
    assert filtered == 7
    by_version = {
        version: {f["address"] for f in rows(learnt, model.alpha_pool_addresses) if f["selection_version"] == version}
        for version in (0, 1)
    }
    assert by_version[0] == by_version[1] == {address(i) for i in range(1, 5)}


def test_a_day_that_is_not_over_is_refused_in_one_sentence(platform: Platform, instance: dg.DagsterInstance) -> None:
    result = past_day(platform, instance, TODAY, raises=False)
    assert f"partition {TODAY} is not over" in failure(result)
    assert "allowed are days before today" in failure(result)


def test_a_day_before_the_first_leaderboard_is_refused_in_one_sentence(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    run(platform, instance, "refresh_leaderboard")
    result = past_day(platform, instance, TODAY - timedelta(days=3), raises=False)
    assert "no leaderboard had been stored by the end of" in failure(result)
    assert rows(platform, model.pool_selections) == []


def test_a_run_without_a_day_is_refused_in_one_sentence(platform: Platform, instance: dg.DagsterInstance) -> None:
    assert "launch it with a partition" in failure(past_day(platform, instance, None, raises=False))


def test_a_backfill_of_many_days_is_one_run_that_evaluates_them_in_order(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    run(platform, instance, "refresh_leaderboard")
    first, last = TODAY, TODAY + timedelta(days=3)
    span = {"dagster/asset_partition_range_start": str(first), "dagster/asset_partition_range_end": str(last)}
    job = build({"platform": later(platform, 4)}).resolve_job_def("evaluate_past_day")
    result = job.execute_in_process(instance=instance, tags=span)
    assert checks(result) == {"draws_repeat_from_their_keys": True, "equals_the_run_of_that_day": True}
    days = [found["as_of_date"] for found in rows(platform, model.pool_selections)]
    assert days == [first + timedelta(days=n) for n in range(4)]
    filtered = {found["as_of_date"] for found in rows(platform, model.trader_filters_asof)}
    assert filtered == set(days)


def test_the_schedule_asks_for_the_day_before_by_the_clock_of_the_platform(platform: Platform) -> None:
    midnight = datetime.combine(TODAY, datetime.min.time(), UTC)
    just_over = replace(platform, clock=FeedClock(int(midnight.timestamp() * 1000)))
    just_before = replace(platform, clock=FeedClock(int(midnight.timestamp() * 1000) - 1))
    asked = [past_day_daily(dg.build_schedule_context(), platform=found) for found in (just_over, just_before)]
    assert [found.partition_key for found in asked] == [  # type: ignore[union-attr]
        str(TODAY - timedelta(days=1)),
        str(TODAY - timedelta(days=2)),
    ]
    assert DAYS.has_partition_key("2025-03-30"), "the day Europe changes its clocks is a day like any other"
    span = DAYS.time_window_for_partition_key("2025-03-30")
    assert (span.end - span.start) == timedelta(hours=24)


@pytest.mark.slow
def test_the_demo_stores_what_would_have_been_asked_on_its_past_days(
    make_platform: MakePlatform, instance: dg.DagsterInstance, venue: FakeVenue
) -> None:
    platform = make_platform("demo")
    run(platform, instance, "refresh_leaderboard")
    venue.rows = [row(user) for user in venue.histories if user != address(1)] + [row(address(1), pnl=0.0)]
    run(platform, instance, "refresh_leaderboard")
    run_python_assets(platform, instance)
    assert address(1) in venue.asked, "he passed the filters before and does not today: he counts"
    asked = [f["asked_at"].date() for f in rows(platform, model.trader_facts) if f["address"] == address(1)]  # type: ignore[attr-defined]
    assert len(asked) == 61
    known = {f["time_ms"]: f["known_since_ms"] for f in rows(platform, model.history_fills)}
    first_question = min(f["asked_at"] for f in rows(platform, model.trader_facts)).timestamp() * 1000  # type: ignore[attr-defined, type-var]
    assert all(since == max(at, first_question) for at, since in known.items())  # type: ignore[type-var]
    result = past_day(platform, instance, TODAY - timedelta(days=1))
    assert checks(result) == {"draws_repeat_from_their_keys": True, "equals_the_run_of_that_day": True}
    days = {f["as_of_date"] for f in rows(platform, model.pool_selections) if f["selection_version"] == 0}
    assert len(days) == 60


def test_a_simulated_answer_uses_the_fills_before_its_question_only() -> None:
    fills = trades_of(address(1), 20, 0.01)
    board = [row(address(1))]
    days = [TODAY - timedelta(days=back) for back in (8, 4)]
    past = past_of(dict.fromkeys(days, board), FilterParams())[address(1)]
    early, late = answers_of(past, address(1), fills, False, 60)
    assert 0 < early.fill_count < late.fill_count < len(fills)
    assert early.last_fill_at is not None
    assert early.last_fill_at < early.asked_at
    since = [fill.known_since_ms for fill in backdated(past, fills)]
    assert min(filter(None, since)) == past.known_since_ms
    assert since[-1] == fills[-1].time_ms


def test_a_day_evaluated_before_histories_were_fetched_stays_as_it_was(
    make_platform: MakePlatform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaderboard, "HISTORY_DAYS", 4)
    platform = make_platform("demo")
    run(platform, instance, "refresh_leaderboard")
    yesterday = TODAY - timedelta(days=1)
    past_day(platform, instance, yesterday)
    before = [f for f in rows(platform, model.trader_snapshots) if f["selection_version"] == 0]
    run_python_assets(platform, instance)
    assert rows(platform, model.history_fills), "histories are fetched, and reach further back"
    again = past_day(platform, instance, yesterday)
    assert checks(again) == {"draws_repeat_from_their_keys": True, "equals_the_run_of_that_day": True}
    assert [f for f in rows(platform, model.trader_snapshots) if f["selection_version"] == 0] == before
    midnight_ms = datetime.combine(TODAY, datetime.min.time(), UTC).timestamp() * 1000
    known = [f["known_since_ms"] for f in rows(platform, model.history_fills)]
    assert min(known) >= midnight_ms  # type: ignore[type-var]


def test_questions_that_a_draw_has_looked_back_at_are_not_answered_any_more() -> None:
    past = Past(tuple(TODAY - timedelta(days=back) for back in (3, 2, 1)))
    assert after(past, None) == past
    noon = datetime.combine(TODAY - timedelta(days=2), datetime.min.time(), UTC) + timedelta(hours=12)
    assert after(past, noon) == Past((TODAY - timedelta(days=1),))
    assert after(past, noon + timedelta(days=2)) is None


def test_a_leaderboard_fetched_after_a_draw_looked_back_at_its_day_counts_from_now(
    make_platform: MakePlatform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = make_platform("demo")
    monkeypatch.setattr(leaderboard, "HISTORY_DAYS", 1)
    run(platform, instance, "refresh_leaderboard")
    past_day(platform, instance, TODAY - timedelta(days=1))
    monkeypatch.setattr(leaderboard, "HISTORY_DAYS", 3)
    run(platform, instance, "refresh_leaderboard")
    fetched = {f["as_of_date"]: f["fetched_at"] for f in rows(platform, model.leaderboard_snapshots)}
    assert fetched[TODAY - timedelta(days=3)] == platform.now()
    assert fetched[TODAY - timedelta(days=1)] < platform.now()
    again = past_day(platform, instance, TODAY - timedelta(days=1))
    assert checks(again)["equals_the_run_of_that_day"]
