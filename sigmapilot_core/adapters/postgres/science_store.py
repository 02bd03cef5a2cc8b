"""Reports of the science and what they are made of: outcomes with the estimates of their decisions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.schema.model import science_reports
from sigmapilot_core.adapters.postgres.schema.stream import decision_logs, ticket_outcomes
from sigmapilot_core.domain.codec import from_json
from sigmapilot_core.domain.consensus.expected_value import CalibrationMaps
from sigmapilot_core.domain.evaluation.calibration import CalibrationReport, Closed

CALIBRATION = "calibration"
WALK_FORWARD = "walk_forward"
TRUTH = "truth"


@dataclass(frozen=True, slots=True)
class Report:
    """One stored report: its kind, when it was computed by the feed's clock, and its JSON."""

    kind: str
    computed_at: datetime
    content: str


def store_report(connection: sa.Connection, report: Report) -> None:
    """Append a report; one of the same kind and instant stays as it is."""
    table = science_reports
    values = {"kind": report.kind, "computed_at": report.computed_at, "content": report.content}
    exists = sa.select(table.c.kind).where(table.c.kind == report.kind, table.c.computed_at == report.computed_at)
    if connection.execute(exists).first() is None:
        connection.execute(table.insert().values(**values))


def newest_report(connection: sa.Connection, kind: str) -> Report | None:
    """The newest report of a kind."""
    table = science_reports
    query = sa.select(table).where(table.c.kind == kind).order_by(table.c.computed_at.desc()).limit(1)
    row = connection.execute(query).first()
    return None if row is None else Report(row.kind, row.computed_at, row.content)


def newest_maps(connection: sa.Connection) -> CalibrationMaps:
    """The maps in force: those of the newest fit, identities before the first."""
    report = newest_report(connection, CALIBRATION)
    return CalibrationMaps() if report is None else from_json(CalibrationReport, report.content, CALIBRATION).maps


def closed_decisions(connection: sa.Connection) -> list[Closed]:
    """Every outcome with the estimate of its decision, by closing; decisions without an estimate are left out."""
    d, o = decision_logs.c, ticket_outcomes.c
    query = (
        sa.select(d.record, o.closed_ts, o.gross_r)
        .join_from(ticket_outcomes, decision_logs, d.id == o.ticket_id)
        .order_by(o.closed_ts, o.ticket_id)
    )
    found = (_closed(row.record, row.closed_ts, row.gross_r) for row in connection.execute(query))
    return [one for one in found if one is not None]


def _closed(record: str, closed_at: datetime, gross_r: float) -> Closed | None:
    ev = json.loads(record)["ev"] or {}
    names = ("p_raw", "p_win", "win_r", "loss_r", "gross_r")
    if any(ev.get(name) is None for name in names):
        return None
    p_raw, p_win, win, loss, estimated = (float(ev[name]) for name in names)
    return Closed(int(closed_at.timestamp() * 1000), p_raw, p_win, win, loss, estimated, gross_r)
