"""Reports of the science as tables that an analyst can ask, made by dbt."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from sigmapilot_assets.platform import Platform
from tests.ui.science_rows import MEANS, fill_science

from .asset_runs import checks_of, run_selection

MARTS = ("calibration_scores", "calibration_curve", "walk_forward", "gate_worth", "input_drift")


def report(platform: Platform, instance: dg.DagsterInstance) -> dict[str, bool]:
    """Build the marts and what they rest on; checks by name."""
    marts = dg.AssetSelection.assets(*(f"report_mart_{name}" for name in MARTS))
    chosen = (marts.upstream() & dg.AssetSelection.groups("report")) - dg.AssetSelection.assets(
        "report_science__walk_forward", "report_science__gates"
    )
    return checks_of(run_selection(platform, instance, chosen))


def rows(platform: Platform, query: str) -> list[tuple[Any, ...]]:
    with platform.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


@pytest.mark.slow
@pytest.mark.usefixtures("database_for_dbt")
def test_an_analyst_can_ask_scores_curves_walks_gates_and_drift(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    report(platform, instance)
    assert all(rows(platform, f"SELECT count(*) FROM report_marts.mart_{name}") == [(0,)] for name in MARTS)
    with platform.transaction() as connection:
        fill_science(connection, platform.now())
        fill_science(connection, platform.now() + timedelta(days=1))
    checks = report(platform, instance)
    named = {"folds_add_up_to_the_whole_walk", "the_curve_counts_every_scored_decision",
             "walked_intervals_have_their_ends_in_order", "each_gate_stands_once_in_a_report"}  # fmt: skip
    assert named <= checks.keys()
    assert [name for name, passed in checks.items() if not passed] == []
    scores = rows(
        platform, "SELECT series, decisions FROM report_marts.mart_calibration_scores ORDER BY 1, computed_at"
    )
    assert scores == [("mapped", 400), ("mapped", 400), ("raw", 400), ("raw", 400)]
    walked = rows(platform, "SELECT strategy, mean_r FROM report_marts.mart_walk_forward WHERE fold IS NULL")
    assert dict(walked)["consensus"] == MEANS["consensus"]
    assert dict(walked)["consensus, random pool"] is None, "unknown is null"
    assert len(rows(platform, "SELECT DISTINCT gate FROM report_marts.mart_gate_worth")) == 7
    shifted = rows(platform, "SELECT DISTINCT input FROM report_marts.mart_input_drift WHERE psi > .25")
    assert shifted == [("cost_r",)]
