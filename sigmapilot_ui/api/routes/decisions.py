"""The decision log and the signals that came out of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query

from sigmapilot_core.adapters.postgres import queries_decisions as queries
from sigmapilot_core.adapters.postgres.queries import ago
from sigmapilot_ui.api.context import Days, Db, Limit, Offset, Symbol

router = APIRouter(tags=["decisions"])


class DecisionType(StrEnum):
    """What a decision came to."""

    SIGNAL = "signal"
    SKIP = "skip"
    RISK_REJECT = "risk_reject"


@router.get("/decisions")
def decisions(
    db: Db,
    symbol: Symbol = None,
    type_: Annotated[DecisionType | None, Query(alias="type", description="signal, skip or risk_reject")] = None,
    decision_type: Annotated[DecisionType | None, Query(description="older name of `type`")] = None,
    limit: Limit = 50,
    offset: Offset = 0,
    days: Days = 7,
) -> dict[str, Any]:
    """Newest decisions first, with all gates and without addresses; `days` is the span of `stats`, not of the items."""
    if type_ is not None and decision_type is not None and type_ != decision_type:
        raise HTTPException(400, f"type={type_} and decision_type={decision_type} contradict each other; give one.")
    wanted = type_ or decision_type
    return {
        "items": queries.decisions(db, symbol, wanted, limit, offset),
        "total": queries.count_decisions(db, symbol, wanted),
        "limit": limit,
        "offset": offset,
        "stats": queries.decision_stats(db, ago(db, days=days)),
    }


@router.get("/decisions/stats")
def decision_stats(db: Db, days: Days = 7) -> dict[str, Any]:
    """Counts by type, rates in percent, averages and outcomes of the last days, and how often each gate failed."""
    since = ago(db, days=days)
    return {"days": days, **queries.decision_stats(db, since), "gates": queries.gate_funnel(db, since)}


@router.get("/decisions/{decision_id}")
def decision(db: Db, decision_id: UUID) -> dict[str, Any]:
    """One decision with its hashed record and its place in the hash chain."""
    found = queries.decision(db, str(decision_id))
    if found is None:
        raise HTTPException(404, f"There is no decision {decision_id}.")
    return found


@router.get("/consensus/signals")
def signals(db: Db, limit: Limit = 20, symbol: Symbol = None) -> dict[str, Any]:
    """Newest signals first: prices, votes, probability, expected value and costs in R, outcome when it ended."""
    found = queries.consensus_signal_rows(db, limit, symbol)
    return {"count": len(found), "signals": found}


@router.get("/consensus/stats")
def consensus_stats(db: Db) -> dict[str, Any]:
    """All signals: counts, win rate in percent of those ended (null while none has), average R and effective K."""
    return queries.consensus_stats(db)
