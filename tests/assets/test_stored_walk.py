"""Minutes and funding that a walk over stored days needs, and what the walk's asset says of a young installation."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from sigmapilot_assets.definitions import build
from sigmapilot_assets.platform import Platform
from sigmapilot_assets.raw.minutes import missing_pieces
from sigmapilot_core.adapters.postgres import leaderboard_store, market_store, science_store

from .asset_venue import address, row
from .test_graph_runs import run


def materialise(platform: Platform, instance: dg.DagsterInstance, names: list[str], config: Any = None) -> None:
    definitions = build({"platform": platform})
    job = dg.Definitions(
        assets=definitions.assets,
        jobs=[dg.define_asset_job("some", dg.AssetSelection.assets(*names), executor_def=dg.in_process_executor)],
        resources=definitions.resources,
    ).resolve_job_def("some")
    assert job.execute_in_process(instance=instance, run_config=config).success


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
