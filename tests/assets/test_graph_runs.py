"""The whole graph, run in one process over a real database and a small venue."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from sigmapilot_assets.definitions import build
from sigmapilot_assets.model.pool import bandit_rules
from sigmapilot_assets.out.snapshot import BEHIND_FAST, BEHIND_SLOW
from sigmapilot_assets.out.snapshot import build as build_snapshot
from sigmapilot_assets.platform import Platform
from sigmapilot_assets.sensors import deferred_snapshot
from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.postgres import science_store, snapshot_store
from sigmapilot_core.adapters.postgres.schema import model
from sigmapilot_core.adapters.postgres.science_store import Report
from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.evaluation.calibration import Closed, calibrate
from sigmapilot_core.domain.params import BanditParams

from .asset_runs import rows, run, run_python_assets
from .asset_venue import NOW_MS, FakeVenue, address
from .conftest import FirstRun


def test_all_checks_of_a_first_run_pass(first_run: FirstRun) -> None:
    assert len(first_run.checks) > 10
    assert [name for name, passed in first_run.checks.items() if not passed] == []


@pytest.mark.slow
@pytest.mark.usefixtures("database_for_dbt")
def test_the_whole_graph_materialises_and_all_blocking_checks_pass(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    result = run(platform, instance, "materialise_all")
    assert result.success
    failed = [
        event.asset_check_evaluation_data.check_name
        for event in result.all_events
        if event.event_type_value == "ASSET_CHECK_EVALUATION" and not event.asset_check_evaluation_data.passed
    ]
    assert failed == ["feed_is_complete"]  # nobody is tracked yet: unknown never passes, and blocks nothing


def test_winners_are_learnt_and_chosen_and_the_snapshot_carries_them(learnt: Platform) -> None:
    records = {found["address"]: found for found in rows(learnt, model.trader_performance)}
    assert records[address(1)]["episode_count"] == 60
    assert records[address(1)]["nig_m"] > 0 > records[address(5)]["nig_m"]
    with learnt.engine.connect() as connection:
        snapshot = snapshot_store.read_snapshot(connection, 1)
    chosen = {member.address for member in snapshot.slow.pool}
    assert chosen == {address(i) for i in range(1, 5)}, "the loser's mean is below 0, the master has sub-accounts"
    assert snapshot.fast.assets["BTC"].volatility.source.value == "atr"


def test_every_row_gets_seven_verdicts(learnt: Platform) -> None:
    verdicts = {found["address"]: found for found in rows(learnt, model.trader_filters)}
    assert len(verdicts) == 7
    assert verdicts[address(6)]["no_sub_accounts"] == "fail"
    assert verdicts[address(7)]["month_pnl"] == "fail"
    assert verdicts[address(7)]["not_hft"] == "unknown", "it was not worth a request"


def test_a_second_run_asks_nobody_twice_within_a_day(
    learnt: Platform, first_run: FirstRun, instance: dg.DagsterInstance, venue: FakeVenue
) -> None:
    run_python_assets(learnt, instance)
    assert venue.asked == []
    assert sorted(first_run.asked) == [address(i) for i in range(1, 7)], "survivors of filters 1-4 only"


def test_a_silent_venue_leaves_the_facts_unknown_with_a_reason(
    platform: Platform, instance: dg.DagsterInstance, venue: FakeVenue
) -> None:
    venue.silent = frozenset({address(1)})
    run_python_assets(platform, instance)
    facts = {found["address"]: found for found in rows(platform, model.trader_facts)}
    assert facts[address(1)]["orders_per_day"] is None
    assert "timed out" in str(facts[address(1)]["error"])
    verdicts = {found["address"]: found for found in rows(platform, model.trader_filters)}
    assert verdicts[address(1)]["eligible"] == "unknown"


def test_the_draw_can_be_repeated_from_its_stored_key(learnt: Platform) -> None:
    from sigmapilot_core.domain.traders.thompson import philox_key

    (selection,) = rows(learnt, model.pool_selections)
    assert selection["philox_key"] == f"{philox_key(selection['as_of_date'], selection['selection_version']):032x}"


def test_a_failed_download_keeps_the_last_good_leaderboard(
    learnt: Platform, instance: dg.DagsterInstance, venue: FakeVenue
) -> None:
    venue.is_down = True
    result = run(learnt, instance, "refresh_leaderboard", raises=False)
    assert not result.success
    assert len(rows(learnt, model.leaderboard_snapshots)) == 7
    downloads = rows(learnt, model.leaderboard_downloads)
    assert [found["status"] for found in downloads] == ["ok", "failed"]
    assert "truncated" in str(downloads[1]["error"])


def test_more_than_one_percent_bad_rows_fail_the_check(
    platform: Platform, instance: dg.DagsterInstance, venue: FakeVenue
) -> None:
    venue.bad_rows = 1
    result = run(platform, instance, "refresh_leaderboard")
    (check,) = [
        e.asset_check_evaluation_data for e in result.all_events if e.event_type_value == "ASSET_CHECK_EVALUATION"
    ]
    assert check.check_name == "rows_parse"
    assert not check.passed


def steps_of(instance: dg.DagsterInstance) -> str:
    """What became of the newest draft."""
    event = instance.get_latest_materialization_event(dg.AssetKey("out_stream__snapshot"))
    assert event is not None
    assert event.asset_materialization is not None
    return str(event.asset_materialization.metadata["step"].value)


def test_news_within_a_minute_are_held_back_and_asked_for_when_it_is_over(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    def asked_for() -> list[dg.RunRequest]:
        context = dg.build_sensor_context(instance=instance, resources={"platform": platform})
        return list(deferred_snapshot.evaluate_tick(context).run_requests or [])

    clock = platform.clock
    assert isinstance(clock, FeedClock)
    run_python_assets(platform, instance)
    assert (steps_of(instance), asked_for()) == ("publish", [])
    run(platform, instance, "publish_snapshot")
    assert steps_of(instance) == "unchanged"

    with platform.engine.begin() as connection:
        connection.execute(model.asset_costs.update().values(taker_fee_bps=4.0, fee_source="account"))
    clock.advance_to(NOW_MS + 59_000)
    run(platform, instance, "publish_snapshot")
    assert (steps_of(instance), asked_for()) == ("deferred", [])
    clock.advance_to(NOW_MS + 60_000)
    (request,) = asked_for()
    assert request.run_key.startswith("deferred-")
    run(platform, instance, "publish_snapshot")
    assert (steps_of(instance), asked_for()) == ("publish", [])
    with platform.engine.connect() as connection:
        assert snapshot_store.newest_version(connection) == 2
        second = snapshot_store.read_snapshot(connection, 2)
    assert (second.slow_version, second.fast_version) == (1, 2), "nothing new was learnt of the traders"
    made_by = {
        (row["part"], row["version"], row["asset"]): row["run_id"] for row in rows(platform, model.model_part_runs)
    }
    assert {asset for part, _, asset in made_by if part == "slow"} == {*BEHIND_SLOW, "out_stream__snapshot"}
    assert {asset for part, version, asset in made_by if (part, version) == ("fast", 2)} == {
        *BEHIND_FAST,
        "out_stream__snapshot",
    }
    assert made_by["fast", 2, "out_stream__snapshot"] != made_by["fast", 1, "out_stream__snapshot"]
    assert made_by["fast", 2, "model_market__volatility"] == made_by["fast", 1, "out_stream__snapshot"], (
        "made by the first run"
    )


def test_a_recording_asks_nothing_and_takes_filters_one_to_four(
    make_platform: object, instance: dg.DagsterInstance, venue: FakeVenue
) -> None:
    platform = make_platform("recording:test", "recording")  # type: ignore[operator]
    run_python_assets(platform, instance)
    assert venue.asked == []
    with platform.engine.connect() as connection:
        snapshot = snapshot_store.read_snapshot(connection, 1)
    assert {member.address for member in snapshot.slow.pool} == {address(i) for i in range(1, 7)}
    assert {found["not_hft"] for found in rows(platform, model.trader_filters)} == {"unknown"}


@pytest.mark.parametrize("wanted", ["9", "201", "many", "-5", ""])
def test_a_limit_that_is_not_allowed_is_one_sentence(wanted: str) -> None:
    with pytest.raises(dg.Failure, match="allowed is a whole number from 10 to 200"):
        bandit_rules(BanditParams(), {"sigmapilot/limit": wanted})


def test_a_run_may_ask_for_another_number_of_slots() -> None:
    assert bandit_rules(BanditParams(), {"sigmapilot/limit": "20"}).pool_size == 20
    assert bandit_rules(BanditParams(), {}).pool_size == 50


def test_the_snapshot_carries_the_maps_of_the_newest_fit(learnt: Platform) -> None:
    said = [Closed(i, 0.9, 0.9, 1.2, 0.8, 1.0, 2.0 if i % 2 else -1.0) for i in range(300)]
    fitted = calibrate(said, learnt.params.probability, known_until_ms=NOW_MS)
    later = datetime.fromtimestamp(NOW_MS / 1000, UTC) + timedelta(hours=1)
    with learnt.engine.begin() as connection:
        assert snapshot_store.read_snapshot(connection, 1).slow.calibration.probability.is_identity
        science_store.store_report(connection, Report(science_store.CALIBRATION, later, canonical_json(fitted)))
        assert build_snapshot(connection, learnt).slow.calibration == fitted.maps


def test_gates_without_a_decision_are_unknown_and_alarm_nobody(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    result = run(platform, instance, "judge_gates")
    assert result.success
    with platform.engine.connect() as connection:
        found = science_store.newest_report(connection, science_store.GATES)
    assert found is not None
    content = json.loads(found.content)
    assert (content["decisions"], content["sharpe"]) == (0, None)
    assert [row["stopped"]["value"] for row in content["gates"]] == [None] * 7


@pytest.mark.slow
def test_one_more_world_is_asked_its_truth(platform: Platform, instance: dg.DagsterInstance) -> None:
    definitions = build({"platform": platform})
    config = {"ops": {"report_science__truth": {"config": {"seed": 4, "traders": 60}}}}
    result = definitions.resolve_job_def("ask_truth").execute_in_process(instance=instance, run_config=config)
    assert result.success
    with platform.engine.connect() as connection:
        found = science_store.newest_report(connection, science_store.TRUTH)
    assert found is not None
    assert json.loads(found.content)["seeds"] == [4]
