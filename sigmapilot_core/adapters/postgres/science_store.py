"""Reports of the science and what they are made of: outcomes with the estimates of their decisions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.instants import at
from sigmapilot_core.adapters.postgres.schema.model import marks_1m, science_reports
from sigmapilot_core.adapters.postgres.schema.stream import decision_logs, ticket_outcomes
from sigmapilot_core.domain.codec import from_json
from sigmapilot_core.domain.consensus.expected_value import CalibrationMaps
from sigmapilot_core.domain.consensus.gates import GATE_NAMES
from sigmapilot_core.domain.consensus.record import DecisionType
from sigmapilot_core.domain.evaluation.calibration import CalibrationReport, Closed
from sigmapilot_core.domain.evaluation.record import Minutes
from sigmapilot_core.domain.evaluation.replay import Judged
from sigmapilot_core.domain.events import Direction
from sigmapilot_core.domain.params import MINUTE_MS

CALIBRATION = "calibration"
GATES = "gates"
TRUTH = "truth"
TRUTH_WORLD = "truth_world"
WALK_FORWARD = "walk_forward"


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


def newest_reports(connection: sa.Connection, kind: str, limit: int) -> list[Report]:
    """The newest reports of a kind, newest first."""
    table = science_reports
    query = sa.select(table).where(table.c.kind == kind).order_by(table.c.computed_at.desc()).limit(limit)
    return [Report(row.kind, row.computed_at, row.content) for row in connection.execute(query)]


def written_decisions(connection: sa.Connection, since: datetime) -> tuple[tuple[str, ...], list[Judged]]:
    """(coins, decisions since an instant in order of time); `coin` of a decision is its place among the coins. Who
    agreed is not in the public record."""
    d = decision_logs.c
    query = sa.select(d.record).where(d.decided_at >= since).order_by(d.decided_at, d.id)
    records = [json.loads(record) for record in connection.execute(query).scalars()]
    coins = tuple(sorted({record["asset"] for record in records}))
    return coins, [_judged(record, coins.index(record["asset"])) for record in records]


def read_minutes(connection: sa.Connection, coins: Sequence[str], start_ms: int, end_ms: int) -> Minutes:
    """Stored one-minute candles of the coins over [start, end); NaN where none is stored."""
    size = max(0, (end_ms - start_ms) // MINUTE_MS)
    columns = {name: np.full((size, len(coins)), np.nan) for name in ("open", "high", "low", "close", "volume")}
    table = marks_1m
    for place, coin in enumerate(coins):
        query = sa.select(table.c.ts, *(table.c[name] for name in columns)).where(
            table.c.asset == coin, table.c.ts >= at(start_ms), table.c.ts < at(start_ms + size * MINUTE_MS)
        )
        found = connection.execute(query).all()
        if found:
            times, *figures = zip(*found, strict=True)
            rows = np.array([(round(ts.timestamp() * 1000) - start_ms) // MINUTE_MS for ts in times])
            for values, figure in zip(columns.values(), figures, strict=True):
                values[rows, place] = figure
    return Minutes(start_ms, **columns)


def _judged(record: dict[str, Any], coin: int) -> Judged:
    ev = record["ev"] or {}
    gates = {gate["name"]: gate for gate in record["gates"]}
    names = ("p_raw", "p_win", "win_r", "loss_r", "gross_raw_r", "gross_r", "cost_r", "net_r")
    return Judged(
        coin=coin,
        direction=Direction(record["direction"]),
        decided_at_ms=int(record["decided_at_ms"]),
        decision_type=DecisionType(record["decision_type"]),
        passed=tuple(gates[name]["passed"] for name in GATE_NAMES),
        agreeing=(),
        n_voters=int(record["trader_count"]),
        effective_k=_number(record["effective_k"]),
        mid=_number(record["mid"]),
        trade_stop=_number(record["trade_stop_fraction"]),
        regime=record["regime"],
        age_s=_number(gates["freshness"]["value"]),
        drift_r=_number(gates["price_band"]["value"]),
        **{name: _number(ev.get(name)) for name in names},
    )


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def _closed(record: str, closed_at: datetime, gross_r: float) -> Closed | None:
    ev = json.loads(record)["ev"] or {}
    names = ("p_raw", "p_win", "win_r", "loss_r", "gross_r")
    if any(ev.get(name) is None for name in names):
        return None
    p_raw, p_win, win, loss, estimated = (float(ev[name]) for name in names)
    return Closed(int(closed_at.timestamp() * 1000), p_raw, p_win, win, loss, estimated, gross_r)
