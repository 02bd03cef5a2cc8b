"""Calls that start work: each starts one Dagster run, answers 202 with its id, and 409 while one is under way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query

from sigmapilot_ui.api import jobs
from sigmapilot_ui.api.context import Context, Shared
from sigmapilot_ui.api.guard import NeedsToken

router = APIRouter(tags=["jobs"])
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"description": "no token, or a wrong one"},
    409: {"description": "a run of this job is under way"},
    502: {"description": "Dagster refuses"},
    503: {"description": "Dagster does not answer"},
}


def _start(context: Context, job: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """Start a job unless a run of it is queued or under way."""
    with context.launching:
        active = context.dagster.active_run(job)
        if active is not None:
            raise HTTPException(409, f"Run {active.run_id} of {job} is {active.status.lower()}; wait until it ends.")
        run_id = context.dagster.launch(job, {}, {"sigmapilot/started_by": "api", **tags})
    return {"status": "started", "job": job, "run_id": run_id, "message": f"Run {run_id} of {job} was started."}


@router.post("/alpha-pool/refresh", status_code=202, dependencies=[NeedsToken], responses=_REFUSALS)
def refresh_alpha_pool(
    shared: Shared, limit: Annotated[int, Query(ge=10, le=200, description="size of the pool")] = 50
) -> dict[str, Any]:
    """Fetch histories, filter, learn, draw a new pool, publish."""
    return _start(shared, jobs.REFRESH_ALPHA_POOL, {"sigmapilot/limit": str(limit)}) | {"limit": limit}


@router.get("/alpha-pool/refresh/status")
def refresh_status(shared: Shared) -> dict[str, Any]:
    """Steps and percent of the newest refresh of the pool."""
    return jobs.progress(shared.dagster.newest_run(jobs.REFRESH_ALPHA_POOL), shared.clock.now_ms() / 1000)


@router.post("/correlation/compute", status_code=202, dependencies=[NeedsToken], responses=_REFUSALS)
def compute_correlation(shared: Shared) -> dict[str, Any]:
    """Measure the correlations of the pool anew and publish them."""
    return _start(shared, jobs.COMPUTE_CORRELATION, {})


@router.post("/volatility/refresh", status_code=202, dependencies=[NeedsToken], responses=_REFUSALS)
def refresh_volatility(shared: Shared) -> dict[str, Any]:
    """Fetch candles, compute volatility, regimes and costs anew and publish them."""
    return _start(shared, jobs.REFRESH_VOLATILITY, {})


@router.post("/materialise-all", status_code=202, dependencies=[NeedsToken], responses=_REFUSALS)
def materialise_all(shared: Shared) -> dict[str, Any]:
    """Everything, from the leaderboard to the reports."""
    return _start(shared, jobs.MATERIALISE_ALL, {})
