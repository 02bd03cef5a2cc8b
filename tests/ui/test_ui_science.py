"""The science section and its endpoints: figures with intervals, time, freshness and source; or which job to run."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from science_rows import MEANS, walk_report
from test_ui_page import opened, text_of

from sigmapilot_core.adapters.postgres import queries_science
from sigmapilot_core.adapters.postgres.queries import reading
from sigmapilot_ui.status_page.panels import ablation, calibration, reported, truth, walked


def test_each_report_says_when_it_was_computed_whether_that_is_fresh_and_what_it_rests_on(full: TestClient) -> None:
    found = {row["kind"]: row for row in full.get("/science").json()["reports"]}
    assert set(found) == {"calibration", "walk_forward", "gates", "truth"}
    assert {kind: row["verdict"] for kind, row in found.items()} == {
        "calibration": "fail", "walk_forward": "pass", "gates": "pass", "truth": "pass"
    }  # fmt: skip
    assert found["gates"]["job"] == "judge_gates"
    assert "stored decisions" in found["gates"]["source"]
    assert found["walk_forward"]["age_s"] == pytest.approx(36_000, abs=600)


def test_a_report_is_answered_with_its_content(full: TestClient) -> None:
    content = full.get("/science/walk_forward").json()["content"]
    lines = {line["strategy"]: line for line in content["evaluation"]["lines"] if line["fold"] is None}
    assert lines["consensus"]["mean_r"]["value"] == MEANS["consensus"]
    assert (content["first"], content["missing"]["traders"]) == ("2026-01-10", 3)


def test_a_report_that_was_never_made_is_null_and_names_its_job(empty: TestClient) -> None:
    found = empty.get("/science/truth").json()
    assert (found["content"], found["verdict"]) == (None, "unknown")
    assert found["note"] == "not computed yet: run job ask_truth"
    assert empty.get("/science/nothing").status_code == 400
    assert empty.get("/science").json()["completeness"]["verdict"] == "unknown"


def test_the_section_shows_every_report_with_its_freshness(filled: sa.Engine) -> None:
    text = text_of(opened(filled, "Science"))
    for heading in ("Walk-forward", "Calibration", "What each gate was worth", "Drift of the inputs", "Truth of"):
        assert heading in text
    assert "✓ fresh" in text
    assert "✗ older than 26 h" in text
    assert "the history of 3 of 160 traders is not complete; no leaderboard was in force on 1 day" in text
    assert "87.0 %" in text
    assert "12 are gone and counted: copied, all of them make +0.08 R, who is left +0.11 R" in text
    assert "1 of 2" in text, "one input of two known ones drifts"


def test_the_truth_is_shown_in_a_demo_only(filled: sa.Engine) -> None:
    assert "Truth of simulated worlds" not in text_of(opened(filled, "Science", mode="live"))


def test_strategies_stand_in_total_first_with_their_intervals() -> None:
    lines = json.loads(json.dumps(asdict(walk_report()), default=str))["evaluation"]["lines"]
    shown = walked.line_rows(lines)
    assert [row["Fold"] for row in shown[:5]] == ["all"] * 5
    assert (shown[0]["Strategy"], shown[0]["Mean R"], shown[0]["95 %"]) == ("consensus", "+0.62", "+0.42 to +0.82")
    copied = next(row for row in shown if row["Strategy"] == "all leaderboard traders")
    assert (copied["Consensus − this"], copied["95 % of that"]) == ("+0.54", "+0.34 to +0.74")
    unknown = next(row for row in shown if row["Strategy"] == "consensus, random pool")
    assert (unknown["Mean R"], unknown["95 %"]) == ("—", "—"), "unknown is not 0"


def content(engine: sa.Engine, kind: str) -> dict[str, object]:
    with reading(engine) as db:
        found: dict[str, object] = queries_science.report(db, kind)["content"]
    return found


def test_the_curve_has_points_of_both_series(filled: sa.Engine) -> None:
    points = calibration.curve_rows(content(filled, "calibration"))
    assert {point["series"] for point in points} == {"as pooled", "as published"}
    assert sum(point["decisions"] for point in points if point["series"] == "as pooled") == 400
    assert all(0 <= point["realised"] <= 1 for point in points)


def test_inputs_that_shifted_come_first_and_unknown_ones_last(filled: sa.Engine) -> None:
    drift = ablation.drift_rows(content(filled, "gates")["drift"])  # type: ignore[arg-type]
    assert [(row["Input"], row["Verdict"]) for row in drift] == [
        ("cost_r", "✗ shifted"), ("voters", "✓ alike"), ("age_s", "? too few")
    ]  # fmt: skip


def test_goals_are_told_as_met_missed_or_unknown(filled: sa.Engine) -> None:
    goals = truth.goal_rows(content(filled, "truth")["goals"])  # type: ignore[arg-type]
    assert [row["Met"] for row in goals] == ["✗ missed", "✓ met", "? unknown"]


def test_a_chart_of_unknown_figures_is_not_drawn() -> None:
    assert reported.interval_chart([("a", {"value": None, "low": None, "high": None})], "R") is None
