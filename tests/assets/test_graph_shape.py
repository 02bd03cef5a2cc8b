"""The asset graph as a golden file, and what must run by default."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from sigmapilot_assets import jobs
from sigmapilot_assets.definitions import defs
from sigmapilot_assets.schedules import all_schedules
from sigmapilot_assets.sensors import all_sensors

GOLDEN = Path(__file__).parents[1] / "golden" / "asset_graph.txt"


def described() -> str:
    """One line an asset: group, name, what it follows from, its checks."""
    graph = defs.resolve_asset_graph()
    lines = []
    for key in sorted(graph.get_all_asset_keys(), key=lambda found: found.to_user_string()):
        node = graph.get(key)
        parents = ", ".join(sorted(parent.to_user_string() for parent in node.parent_keys))
        checks = ", ".join(sorted(check.name for check in node.check_keys))
        lines.append(f"{node.group_name} {key.to_user_string()} <- [{parents}] checks [{checks}]")
    return "\n".join(lines)


def test_the_asset_graph_is_the_golden_graph() -> None:
    assert described() == GOLDEN.read_text().rstrip("\n")


def test_the_asset_graph_has_no_circle() -> None:
    graph = defs.resolve_asset_graph()
    assert {*graph.toposorted_asset_keys} == graph.get_all_asset_keys()


def test_schedules_and_sensors_run_without_being_switched_on() -> None:
    assert all(s.default_status is dg.DefaultScheduleStatus.RUNNING for s in all_schedules)
    assert all(s.default_status is dg.DefaultSensorStatus.RUNNING for s in all_sensors)
    crons = {schedule.name: schedule.cron_schedule for schedule in all_schedules}
    assert crons["leaderboard_daily"] == "30 0 * * *"
    assert crons["volatility_every_5_minutes"] == "*/5 * * * *"


def test_every_asset_says_what_it_is_and_who_owns_it() -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.group_name in {"raw", "core", "model", "out", "report", "stream"}, key
        assert node.description, f"{key} has no description"


def test_every_job_resolves() -> None:
    for job in jobs.all_jobs:
        assert defs.resolve_job_def(job.name).nodes  # assets, or checks alone
