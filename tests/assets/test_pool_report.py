"""The report on the pool by day, made by dbt from live draws and whole days."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import dagster as dg
import pytest
import sqlalchemy as sa

from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.postgres import queries_pool
from sigmapilot_core.domain.params import DAY_MS

from .asset_runs import checks_of, run_python_assets, run_selection
from .asset_venue import NOW_MS, FakeVenue, address, row
from .test_past_days import TODAY, later, past_day

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("database_for_dbt")
def test_each_day_tells_composition_turnover_and_the_dead(
    platform: Platform, instance: dg.DagsterInstance, venue: FakeVenue
) -> None:
    run_python_assets(platform, instance)
    venue.rows = [row(user) for user in venue.histories if user != address(1)] + [row(address(1), value=5_000.0)]
    tomorrow = later(platform, 1)
    run_python_assets(tomorrow, instance)
    past_day(replace(platform, clock=FeedClock(NOW_MS + 2 * DAY_MS)), instance, TODAY + timedelta(days=1))
    chosen = dg.AssetSelection.assets("report_mart_pool_days").upstream() & dg.AssetSelection.groups("report")
    found = checks_of(run_selection(platform, instance, chosen))
    assert {"one_row_a_day_and_draw", "the_reasons_of_a_pool_add_up", "the_dead_stay_dead"} <= found.keys()
    assert [name for name, passed in found.items() if not passed] == []
    with platform.engine.connect() as connection:
        days = {(day["as_of_date"], day["chain"]): day for day in queries_pool.pool_days(connection)}
        assert connection.execute(sa.text("SELECT count(*) FROM report_marts.mart_pool_days")).scalar_one() == 4
    for chain in ("live", "whole_day"):
        first, second = days[TODAY, chain], days[TODAY + timedelta(days=1), chain]
        assert (first["members"], first["entered"], first["gone"], first["dead"]) == (4, 4, 0, 0)
        assert (second["members"], second["entered"], second["gone"], second["dead"]) == (3, 0, 1, 1)
        assert (second["followed"], second["turnover"]) == (6, 0.0)
        assert second["mean_r"] > second["mean_r_of_survivors"], "a winner died: leaving him out would hide it"
