"""The whole asset graph in a started demo: from leaderboard to reports, the first time and again."""

from __future__ import annotations

from benchmarks.figures import Figure
from benchmarks.system import JOB, Demo, NotMeasuredError, demo
from sigmapilot_core.adapters.dagster_graphql import JobRun

PORT_BASE = 23100
RUN_TIMEOUT_S = 600.0


def run() -> list[Figure]:
    """Seconds of the run in which histories are fetched, and of one that finds them fresh; with their longest steps."""
    with demo(PORT_BASE) as system:
        first = _ended(system, "")
        system.dagster.launch(JOB, {}, {"source": "benchmark"})
        again = _ended(system, first.run_id)
    return [_figure("first run", first), _figure("second run, histories known", again)]


def _ended(system: Demo, other_than: str) -> JobRun:
    found = system.until(lambda: system.finished_run(other_than), "a finished run of the graph", RUN_TIMEOUT_S)
    if found.status != "SUCCESS":
        raise NotMeasuredError(f"run {found.run_id} ended as {found.status}")
    return found


def _figure(name: str, found: JobRun) -> Figure:
    if found.started_at is None or found.ended_at is None:
        raise NotMeasuredError(f"run {found.run_id} has no times")
    took = {
        step.key: step.ended_at - step.started_at
        for step in found.steps
        if step.started_at is not None and step.ended_at is not None
    }
    longest = sorted(took, key=lambda key: -took[key])[:3]
    note = f"{len(found.steps)} steps; " + ", ".join(f"{key} {took[key]:.1f} s" for key in longest)
    return Figure(name, found.ended_at - found.started_at, "s", note=note)
