"""Names that the scheduler gives its jobs; started here, defined there."""

from __future__ import annotations

from datetime import UTC, datetime

from sigmapilot_core.adapters.dagster_graphql import JobRun, Step
from sigmapilot_core.adapters.postgres.queries import Row

REFRESH_ALPHA_POOL = "refresh_alpha_pool"
COMPUTE_CORRELATION = "compute_correlation"
REFRESH_VOLATILITY = "refresh_volatility"
MATERIALISE_ALL = "materialise_all"
POOL_SCHEDULE = "pool_daily"


def _at(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _step(step: Step) -> Row:
    status = (step.status or "waiting").lower()
    return {"key": step.key, "status": status, "started_at": _at(step.started_at), "ended_at": _at(step.ended_at)}


def _elapsed_s(run: JobRun, now_s: float) -> float | None:
    return None if run.started_at is None else (now_s if run.ended_at is None else run.ended_at) - run.started_at


def progress(run: JobRun | None, now_s: float) -> Row:
    """How far a run is at `now_s` (seconds since the epoch); nulls when there was none."""
    if run is None:
        nothing = dict.fromkeys(
            ("run_id", "started_at", "completed_at", "progress", "percent", "current_step", "error")
        )
        return nothing | {"is_running": False, "status": "never_run", "steps": []}
    working = [step.key for step in run.steps if not step.is_finished and step.started_at is not None]
    failed = [step.key for step in run.steps if step.status == "FAILURE"]
    return {
        "is_running": run.is_active,
        "status": run.status.lower(),
        "run_id": run.run_id,
        "created_at": _at(run.created_at),
        "started_at": _at(run.started_at),
        "completed_at": _at(run.ended_at),
        "elapsed_seconds": _elapsed_s(run, now_s),
        "progress": run.percent,
        "percent": run.percent,
        "current_step": working[0] if working and run.is_active else None,
        "processed_steps": sum(step.is_finished for step in run.steps),
        "total_steps": len(run.steps),
        "steps": [_step(step) for step in run.steps],
        "error": f"Step {failed[0]} failed; Dagster's page of run {run.run_id} says why." if failed else None,
    }
