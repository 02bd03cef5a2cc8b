"""Decisions, signals and how they ended (spec signals.md 4.3, 7). R above 0 is a win, below 0 a loss, 0 is neither."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from sigmapilot_core.adapters.postgres.queries import Row, first, number, one, parsed, rows, scalar
from sigmapilot_core.adapters.postgres.schema.stream import (
    consensus_signals,
    decision_logs,
    ticket_outcomes,
)

_D = decision_logs.c
_S = consensus_signals.c
_PUBLIC = (
    _D.id,
    _D.decided_at,
    _D.symbol,
    _D.direction,
    _D.decision_type,
    _D.trader_count,
    _D.agreeing_count,
    _D.agreement_pct,
    _D.effective_k,
    _D.avg_confidence,
    _D.ev_estimate,
    _D.price_at_decision,
    _D.gates,
    _D.risk_checks,
    _D.reasoning,
    _D.snapshot_version,
    _D.settings_hash,
    _D.mode,
    _D.outcome,
    _D.outcome_pnl,
    _D.outcome_r_multiple,
    _D.outcome_closed_at,
    _D.latency_ms,
)


_TYPES = ("signal", "skip", "risk_reject")


def _since(at: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """Decided at or after an instant; all types are named because the index begins with the type."""
    return _D.decision_type.in_(_TYPES), _D.decided_at >= at


def _newest(wanted: Sequence[sa.ColumnElement[bool]], limit: int) -> sa.Subquery:
    """Keys of the newest `limit` decisions of each type, at the cost of as many rows, however many there are."""
    of_each = [
        sa.select(_D.id, _D.decided_at)
        .where(_D.decision_type == kind, *wanted)
        .order_by(_D.decided_at.desc())
        .limit(limit)
        .subquery()
        .select()
        for kind in _TYPES
    ]
    return sa.union_all(*of_each).subquery("newest")


def _matching(symbol: str | None, decision_type: str | None) -> list[sa.ColumnElement[bool]]:
    wanted = []
    if symbol is not None:
        wanted.append(_D.symbol == symbol)
    if decision_type is not None:
        wanted.append(_D.decision_type == decision_type)
    return wanted


def _checks(text: str | None) -> list[Row] | None:
    """Stored gates or risk checks, their values and thresholds as numbers; unreadable text is unknown."""
    found = parsed(text)
    if not isinstance(found, list):
        return None
    return [
        {
            "name": item.get("name"),
            "passed": item.get("passed"),
            "value": number(item.get("value")),
            "threshold": number(item.get("threshold")),
            "detail": item.get("detail"),
        }
        for item in found
        if isinstance(item, dict)
    ]


def _public(row: Row) -> Row:
    """A row as it is shown: gates as values, `created_at` (the older name) beside `decided_at`."""
    return row | {
        "created_at": row["decided_at"],
        "gates": _checks(row["gates"]),
        "risk_checks": _checks(row["risk_checks"]),
    }


def decisions(
    connection: sa.Connection,
    symbol: str | None = None,
    decision_type: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[Row]:
    """Newest decisions first, without addresses."""
    newest = _newest(_matching(symbol, decision_type), limit + offset)
    statement = (
        sa.select(*_PUBLIC)
        .join(newest, (_D.id == newest.c.id) & (_D.decided_at == newest.c.decided_at))
        .order_by(_D.decided_at.desc(), _D.chain, _D.seq.desc())
        .limit(limit)
        .offset(offset)
    )
    return [_public(row) for row in rows(connection, statement)]


def count_decisions(connection: sa.Connection, symbol: str | None = None, decision_type: str | None = None) -> int:
    """How many decisions match."""
    return scalar(
        connection, sa.select(sa.func.count()).select_from(decision_logs).where(*_matching(symbol, decision_type))
    )


def decision(connection: sa.Connection, decision_id: str) -> Row | None:
    """One decision with its place in the hash chain and the hashed record itself."""
    chained = (_D.chain, _D.seq, _D.prev_hash, _D.row_hash, _D.record)
    found = first(connection, sa.select(*_PUBLIC, *chained).where(_D.id == decision_id))
    return None if found is None else _public(found) | {"record": parsed(found["record"])}


def decision_symbols(connection: sa.Connection, since: datetime) -> list[str]:
    """Symbols that were decided on."""
    statement = sa.select(_D.symbol).where(*_since(since)).group_by(_D.symbol).order_by(_D.symbol)
    return list(connection.execute(statement).scalars())


def _share_pct(part: int, whole: int) -> float | None:
    return 100.0 * part / whole if whole else None


def _ended(result_r: sa.ColumnElement[Any]) -> tuple[sa.ColumnElement[Any], ...]:
    """Counts and means over known results; an unknown result counts nowhere."""
    return (
        sa.func.count(result_r).label("closed"),
        sa.func.count().filter(result_r > 0).label("wins"),
        sa.func.count().filter(result_r < 0).label("losses"),
        sa.func.count().filter(result_r == 0).label("flat"),
        sa.func.avg(result_r).label("avg_result_r"),
        sa.func.sum(result_r).label("total_r"),
    )


def decision_stats(connection: sa.Connection, since: datetime) -> Row:
    """Counts by type, averages and outcomes of the decisions since an instant; rates in percent, null when 0 of 0."""
    statement = sa.select(
        sa.func.count().label("total"),
        sa.func.count().filter(_D.decision_type == "signal").label("signals"),
        sa.func.count().filter(_D.decision_type == "skip").label("skipped"),
        sa.func.count().filter(_D.decision_type == "risk_reject").label("risk_rejected"),
        sa.func.avg(_D.effective_k).label("avg_eff_k"),
        sa.func.avg(_D.ev_estimate).label("avg_ev"),
        *_ended(_D.outcome_r_multiple),
    ).where(*_since(since))
    found = one(connection, statement)
    return found | {
        "skip_rate": _share_pct(found["skipped"], found["total"]),
        "win_rate": _share_pct(found["wins"], found["closed"]),
    }


def consensus_signal_rows(connection: sa.Connection, limit: int = 20, symbol: str | None = None) -> list[Row]:
    """Newest signals first."""
    wanted = [] if symbol is None else [_S.symbol == symbol]
    return rows(
        connection, sa.select(consensus_signals).where(*wanted).order_by(_S.created_at.desc(), _S.id).limit(limit)
    )


def consensus_stats(connection: sa.Connection) -> Row:
    """All signals ever: counts, win rate in percent (null while none has ended), average R, average effective K."""
    statement = sa.select(
        sa.func.count().label("total_signals"),
        sa.func.avg(_S.eff_k).label("avg_eff_k"),
        sa.func.avg(_S.p_win).label("avg_p_win"),
        sa.func.avg(_S.ev_net_r).label("avg_ev_net_r"),
        sa.func.max(_S.created_at).label("last_signal_at"),
        *_ended(_S.result_r),
    )
    found = one(connection, statement)
    return found | {
        "open": found["total_signals"] - found["closed"],
        "win_rate": _share_pct(found["wins"], found["closed"]),
    }


def outcome_stats(connection: sa.Connection, since: datetime) -> Row:
    """Everything followed to its end since an instant, signals and risk rejections alike (spec 7)."""
    outcome = ticket_outcomes.c
    statement = sa.select(*_ended(outcome.result_r), sa.func.avg(outcome.cost_r).label("avg_cost_r")).where(
        outcome.closed_ts >= since
    )
    found = one(connection, statement)
    return found | {"win_rate": _share_pct(found["wins"], found["closed"])}


def outcome_results(connection: sa.Connection, since: datetime, limit: int = 5000) -> list[Row]:
    """How followed decisions ended, newest first: for the histogram of R."""
    outcome = ticket_outcomes.c
    columns = (outcome.symbol, outcome.closed_ts, outcome.result_r, outcome.gross_r, outcome.cost_r)
    statement = (
        sa.select(*columns, outcome.closed_reason, outcome.mfe_r, outcome.mae_r, _D.decision_type, _D.direction)
        .outerjoin(decision_logs, _D.id == outcome.ticket_id)
        .where(outcome.closed_ts >= since)
        .order_by(outcome.closed_ts.desc())
        .limit(limit)
    )
    return rows(connection, statement)


def gate_funnel(connection: sa.Connection, since: datetime, limit: int = 5000) -> list[Row]:
    """Per gate, in the order of evaluation: how often it passed, failed and was unknown among the newest decisions."""
    keys = _newest([_D.decided_at >= since], limit)
    newest = (
        sa.select(_D.gates)
        .join(keys, (_D.id == keys.c.id) & (_D.decided_at == keys.c.decided_at))
        .order_by(_D.decided_at.desc())
        .limit(limit)
        .subquery("judged")
    )
    gate = (
        sa.func.jsonb_array_elements(sa.cast(newest.c.gates, pg.JSONB))
        .table_valued(sa.column("value", pg.JSONB), with_ordinality="position", name="gate")
        .render_derived()
    )
    passed = gate.c.value["passed"].astext
    statement = (
        sa.select(
            gate.c.value["name"].astext.label("gate"),
            sa.func.min(gate.c.position).label("position"),
            sa.func.count().filter(passed == "true").label("passed"),
            sa.func.count().filter(passed == "false").label("failed"),
            sa.func.count().filter(passed.is_(None)).label("unknown"),
            sa.func.count().label("total"),
        )
        .select_from(newest.join(gate, sa.true()))
        .group_by(sa.text("1"))
        .order_by(sa.text("2"))
    )
    return rows(connection, statement)


def effective_k_bins(connection: sa.Connection, since: datetime, width: float = 0.25) -> list[Row]:
    """Distribution of effective K over decisions: lower bound of each bin of `width` and its count."""
    bound = (sa.func.floor(_D.effective_k / width) * width).label("effective_k")
    statement = (
        sa.select(bound, sa.func.count().label("decisions"))
        .where(*_since(since), _D.effective_k.is_not(None))
        .group_by(bound)
        .order_by(bound)
    )
    return rows(connection, statement)


def effective_k_summary(connection: sa.Connection, since: datetime) -> Row:
    """Count, average and largest effective K of the decisions since an instant."""
    statement = sa.select(
        sa.func.count(_D.effective_k).label("decisions"),
        sa.func.avg(_D.effective_k).label("average"),
        sa.func.max(_D.effective_k).label("largest"),
    ).where(*_since(since))
    return one(connection, statement)
