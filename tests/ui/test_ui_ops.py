"""Metrics, alert rules and dashboards belong together: what is drawn or watched is declared, and nothing is lost."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from sigmapilot_core.adapters.metrics import ApiMetrics, DatabaseMetrics, Metrics, add_process_metrics, describe

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "metrics.txt"
PROMETHEUS = ROOT / "ops" / "prometheus"
GRAFANA = ROOT / "ops" / "grafana"
NAME = re.compile(r"\b(?:sigmapilot|decide|sage|hl)_[a-z0-9_]+")
JOBS = {"sigmapilot_api", "sigmapilot_stream"}
WORKERS = "sigmapilot_worker"
"""As many as there are, none without a broker: no rule asks whether one is up."""
SERIES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def series() -> set[str]:
    """Names under which the golden metrics are exported."""
    lines = [line.split()[:2] for line in GOLDEN.read_text().splitlines()]
    return {name + suffix for name, kind in lines for suffix in SERIES[kind]}


def rules() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load((PROMETHEUS / "sigmapilot.rules.yml").read_text())["groups"]:
        yield from group["rules"]


def dashboards() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))]


def used(expression: str) -> set[str]:
    """Metric names of an expression; label values in quotes are none."""
    return set(NAME.findall(re.sub(r'"[^"]*"', "", expression)))


def test_metrics_are_the_golden_metrics() -> None:
    assert describe() == GOLDEN.read_text().splitlines(), "a change here needs a new golden file, rules and dashboards"


def test_names_of_the_predecessor_are_kept() -> None:
    # predecessor.md 1.11, as its operators query them
    kept = """decide_atr_stale_total decide_atr_fallback_total decide_atr_blocked_total decide_atr_age_seconds
        decide_correlation_stale decide_correlation_age_days decide_correlation_decay_factor
        decide_correlation_pairs_loaded decide_correlation_coverage_pct decide_correlation_pool_size
        decide_correlation_default_used_total decide_effk_default_fallback_total decide_effk_value_bucket
        decide_vote_weight_bucket decide_vote_weight_max decide_vote_weight_gini decide_vote_weight_saturation_pct
        decide_vote_weight_saturated_total decide_signal_generated_total decide_signal_risk_rejected_total
        decide_safety_block_total decide_positions_opened_total decide_positions_closed_total decide_fills_total
        decide_consensus_signals_total decide_position_pnl_r_bucket sage_candidates_total sage_scores_total
        sage_score_latency_seconds_bucket hl_rate_limit_hits_total hl_rate_limit_retries_total
        hl_rate_limit_weight_consumed hl_rate_limit_budget_usage_pct hl_scout_candidate_publish_seconds_bucket
        hl_stream_fills_publish_seconds_bucket"""
    assert set(kept.split()) <= series()


def test_counters_start_at_zero_and_gauges_only_when_known() -> None:
    metrics = Metrics(CollectorRegistry())
    text = generate_latest(metrics.registry).decode()
    assert "\ndecide_fills_total 0.0" in text
    assert "decide_correlation_stale" not in text
    metrics.decide_correlation_stale.set(0)
    assert "\ndecide_correlation_stale 0.0" in generate_latest(metrics.registry).decode()


def test_all_groups_fit_into_one_registry() -> None:
    registry = CollectorRegistry()
    for group in (Metrics, DatabaseMetrics, ApiMetrics):
        declared = group(registry)
        for field in group.fields():
            declared.built(field)  # the registry refuses a name twice
    add_process_metrics(registry, "hl_stream")


def test_every_rule_uses_declared_metrics_and_says_what_to_do() -> None:
    known = series() | JOBS
    for rule in rules():
        assert used(rule["expr"]) <= known, rule["alert"]
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"].keys() == {"summary", "description", "action"}


def test_every_warning_sign_of_the_runbook_has_an_alert() -> None:
    assert {rule["alert"] for rule in rules()} >= {
        "EffectiveKAlwaysOne",
        "WinRateLow",
        "NoSignalForFourHours",
        "VolatilityFallback",
        "FeedSilent",
        "SnapshotTooOld",
        "DeadRecords",
        "FeedGaps",
    }


@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus.compose.yml"])
def test_prometheus_scrapes_each_process_once(name: str) -> None:
    found = yaml.safe_load((PROMETHEUS / name).read_text())
    assert {job["job_name"] for job in found["scrape_configs"]} == JOBS | {WORKERS}
    assert all((PROMETHEUS / path).exists() for path in found["rule_files"])
    api = next(job for job in found["scrape_configs"] if job["job_name"] == "sigmapilot_api")
    assert api["params"] == {"source": ["api"]}


def test_dashboards_draw_declared_metrics_from_the_provisioned_source() -> None:
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())["datasources"][0]
    known = series()
    for dashboard in dashboards():
        drawn = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
        assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
        for panel in drawn:
            assert panel["datasource"]["uid"] == source["uid"]
            for target in panel["targets"]:
                assert used(target["expr"]), panel["title"]
                assert used(target["expr"]) <= known, panel["title"]


def test_panels_of_a_dashboard_do_not_overlap() -> None:
    for dashboard in dashboards():
        taken: set[tuple[int, int]] = set()
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
            assert not cells & taken, panel["title"]
            taken |= cells


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "config", "prometheus.compose.yml"),
        ("test", "rules", "sigmapilot.rules.test.yml"),
    ],
)
def test_promtool_accepts_configuration_and_rules(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
