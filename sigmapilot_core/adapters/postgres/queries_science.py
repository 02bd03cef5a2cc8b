"""Newest reports of the science, each with its time, freshness, source and the job that makes it."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import science_store
from sigmapilot_core.adapters.postgres.queries import Row, feed_now, parsed

FRESH_S = 26 * 3600.0
"""All of them are made nightly."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of report: what it rests on, and the job that makes it."""

    job: str
    source: str


KINDS = {
    science_store.CALIBRATION: Kind("fit_calibration", "outcomes of stored decisions, as each estimated at its time"),
    science_store.WALK_FORWARD: Kind("walk_forward", "stored fills, leaderboards and minutes of this installation"),
    science_store.GATES: Kind("judge_gates", "60 days of stored decisions over stored minutes"),
    science_store.TRUTH: Kind("ask_truth", "simulated worlds, whose truth no decision sees"),
}


def report(connection: sa.Connection, kind: str) -> Row:
    """The newest report of a kind; content and age are None before the first. Errors: KeyError for another kind."""
    about = KINDS[kind]
    found = science_store.newest_report(connection, kind)
    age_s = None if found is None else max(0.0, (feed_now(connection) - found.computed_at).total_seconds())
    return {
        "kind": kind,
        "computed_at": None if found is None else found.computed_at,
        "age_s": age_s,
        "limit_s": FRESH_S,
        "verdict": "unknown" if age_s is None else "pass" if age_s <= FRESH_S else "fail",
        "source": about.source,
        "job": about.job,
        "note": f"not computed yet: run job {about.job}" if found is None else None,
        "content": None if found is None else parsed(found.content),
    }


def reports(connection: sa.Connection) -> list[Row]:
    """All kinds in the order people read them, without their content."""
    return [{name: value for name, value in report(connection, kind).items() if name != "content"} for kind in KINDS]
