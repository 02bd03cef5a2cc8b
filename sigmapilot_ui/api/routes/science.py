"""How good the method is: calibration, walk-forward, gates, drift and the truth of simulated worlds."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from fastapi import APIRouter

from sigmapilot_core.adapters.postgres import queries_health, queries_science
from sigmapilot_ui.api.context import Db, Shared

router = APIRouter(tags=["science"])


class Report(StrEnum):
    """A kind of report."""

    CALIBRATION = "calibration"
    WALK_FORWARD = "walk_forward"
    GATES = "gates"
    TRUTH = "truth"


@router.get("/science")
def science(db: Db, shared: Shared) -> dict[str, Any]:
    """Which reports there are: when each was computed, whether that is fresh, what it rests on, the job that makes it;
    and how complete the feed is that they rest on."""
    least_share = shared.config.completeness.min_share
    return {"reports": queries_science.reports(db), "completeness": queries_health.completeness(db, least_share)}


@router.get("/science/{kind}")
def science_report(db: Db, kind: Report) -> dict[str, Any]:
    """The newest report of a kind with its content; `content` is null and `note` names the job before the first."""
    return queries_science.report(db, kind.value)
