"""The decision log and its outcomes: append-only, sealed in hash chains whose heads are locked while writing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Generator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from psycopg import Cursor

from sigmapilot_core.adapters.postgres.bulk import array_of, raw_of, send_dicts
from sigmapilot_core.adapters.postgres.instants import at
from sigmapilot_core.adapters.postgres.partitions import ensure_between
from sigmapilot_core.adapters.postgres.schema.stream import (
    chain_anchors,
    chain_heads,
    consensus_signals,
    decision_ids,
    decision_inputs,
    decision_logs,
    outcome_tracking,
    ticket_outcomes,
)
from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.codec import from_json
from sigmapilot_core.domain.consensus import chain
from sigmapilot_core.domain.consensus.inputs import DecisionInputs
from sigmapilot_core.domain.consensus.outcome import Followed, Outcome
from sigmapilot_core.domain.consensus.record import Decision, DecisionType

DECISIONS, OUTCOMES = "decisions", "outcomes"


@dataclass(frozen=True, slots=True)
class MadeDecision:
    """A decision with the inputs it can be made again from, and what deduplication needs after a restart."""

    decision: Decision
    inputs: DecisionInputs
    key: str
    latency_ms: float | None


def append_decisions(connection: sa.Connection, made: Sequence[MadeDecision]) -> list[str]:
    """Append decisions that are not stored yet, in order; returns the ids that are new."""
    if not made:
        return []
    ensure_between(connection, min(m.decision.decided_at_ms for m in made), max(m.decision.decided_at_ms for m in made))
    of = _lock_heads(connection, DECISIONS, {chain.chain_of(item.decision.asset) for item in made})
    query, ids = "SELECT id::text FROM decision_ids WHERE id = ANY(%s::uuid[])", {item.decision.id for item in made}
    stored = raw_of(connection).execute(query, [array_of(sorted(ids))])
    heads = {number: chain.Head(number, seq, row_hash) for number, seq, row_hash in of.fetchall()}
    known = {found for (found,) in stored.fetchall()}
    new: list[tuple[MadeDecision, chain.ChainRow]] = []
    for item in made:
        if item.decision.id in known:
            continue
        known.add(item.decision.id)
        number = chain.chain_of(item.decision.asset)
        row = chain.append(heads[number], item.decision.id, item.decision.to_json())
        heads[number] = chain.head_of(row)
        new.append((item, row))
    if new:
        _write(connection, new)
        _move_heads(connection, DECISIONS, {row.chain: heads[row.chain] for _, row in new}.values())
    return [item.decision.id for item, _ in new]


def _lock_heads(connection: sa.Connection, log: str, numbers: Collection[int]) -> Cursor[Any]:
    """Rows (chain, seq, row_hash) of chains by number, locked until the transaction ends; always in one order, so that
    writers wait for one another and never in a circle.
    """
    fresh = [chain.Head(number) for number in sorted(numbers)]
    rows = [{"log": log, "chain": head.chain, "seq": head.seq, "row_hash": head.row_hash} for head in fresh]
    send_dicts(connection, chain_heads, rows)
    return raw_of(connection).execute(
        "SELECT chain, seq, row_hash FROM chain_heads WHERE log = %s AND chain = ANY(%s::integer[])"
        " ORDER BY chain FOR UPDATE",
        [log, sorted(numbers)],
    )


def _move_heads(connection: sa.Connection, log: str, heads: Iterable[chain.Head]) -> None:
    rows = [{"log": log, "chain": head.chain, "seq": head.seq, "row_hash": head.row_hash} for head in heads]
    send_dicts(connection, chain_heads, rows, "update")


def _write(connection: sa.Connection, new: Sequence[tuple[MadeDecision, chain.ChainRow]]) -> None:
    """One statement a table."""
    ids = [
        {"id": row.id, "decided_at": at(item.decision.decided_at_ms), "chain": row.chain, "seq": row.seq}
        for item, row in new
    ]
    inputs = [
        {
            "decision_id": item.decision.id,
            "decided_at": at(item.decision.decided_at_ms),
            "inputs": item.inputs.to_json(),
        }
        for item, _ in new
    ]
    signals = [
        signal_row(item.decision, item.latency_ms)
        for item, _ in new
        if item.decision.decision_type is DecisionType.SIGNAL
    ]
    send_dicts(connection, decision_ids, ids, "refuse")
    send_dicts(connection, decision_logs, [_log_row(item, row) for item, row in new], "refuse")
    send_dicts(connection, decision_inputs, inputs, "refuse")
    send_dicts(connection, consensus_signals, signals, "refuse")


def _log_row(item: MadeDecision, row: chain.ChainRow) -> dict[str, Any]:
    decision = item.decision
    return {
        "id": decision.id,
        "decided_at": at(decision.decided_at_ms),
        "symbol": decision.asset,
        "direction": decision.direction.value,
        "decision_type": decision.decision_type.value,
        "trader_count": decision.trader_count,
        "agreeing_count": decision.agreeing_count,
        "agreement_pct": decision.agreement_pct,
        "effective_k": decision.effective_k,
        "avg_confidence": decision.ev.p_win if decision.ev else None,
        "ev_estimate": decision.ev.net_r if decision.ev else None,
        "price_at_decision": decision.mid,
        "gates": shown_checks(decision.gates),
        "risk_checks": shown_checks(decision.risk_checks),
        "reasoning": decision.reasoning,
        "record": row.record,
        "decision_key": item.key,
        "snapshot_version": decision.snapshot_version,
        "settings_hash": decision.settings_hash,
        "mode": decision.mode,
        "chain": row.chain,
        "seq": row.seq,
        "prev_hash": row.prev_hash,
        "row_hash": row.row_hash,
        "latency_ms": item.latency_ms,
    }


def shown_checks(results: Sequence[Any]) -> str:
    """Gates or risk checks as a JSON list with plain numbers, for people and dbt; the record holds the exact text."""
    return json.dumps(
        [
            {
                "name": result.name,
                "passed": result.passed,
                "value": result.value,
                "threshold": result.threshold,
                "detail": result.detail,
            }
            for result in results
        ]
    )


def signal_row(decision: Decision, latency_ms: float | None) -> dict[str, Any]:
    """What people and older programs read of a signal. Errors: ValueError without an estimate of value or cost."""
    ev, cost = decision.ev, decision.cost
    if ev is None or cost is None:
        raise ValueError(f"decision {decision.id} is a signal without an estimate of value or cost")
    return {
        "id": decision.id,
        "symbol": decision.asset,
        "direction": decision.direction.value,
        "entry_price": decision.mid,
        "stop_price": decision.stop_price,
        "take_profit_price": decision.take_profit_price,
        "stop_fraction": decision.trade_stop_fraction,
        "n_traders": decision.trader_count,
        "n_agreeing": decision.agreeing_count,
        "eff_k": decision.effective_k,
        "p_win": ev.p_win,
        "ev_gross_r": ev.gross_r,
        "ev_cost_r": ev.cost_r,
        "ev_net_r": ev.net_r,
        "fees_bps": cost.entry_fee_bps + cost.exit_fee_bps,
        "slippage_bps": cost.slippage_bps,
        "funding_bps": cost.funding_bps,
        "median_voter_price": decision.median_vote_price,
        "mid_delta_bps": decision.price_drift_bps,
        "notional_usd": decision.size.notional_usd,
        "binding_cap": decision.size.binding_cap,
        "snapshot_version": decision.snapshot_version,
        "latency_ms": latency_ms,
        "created_at": at(decision.decided_at_ms),
    }


def last_keys(connection: sa.Connection, not_before: datetime) -> dict[str, str]:
    """Per asset the key of the last written decision: deduplication goes on from there."""
    table = decision_logs
    rows = connection.execute(
        sa.select(table.c.symbol, table.c.decision_key)
        .where(table.c.decided_at >= not_before)
        .distinct(table.c.symbol)
        .order_by(table.c.symbol, table.c.decided_at.desc(), table.c.seq.desc())
    )
    return {row.symbol: row.decision_key for row in rows}


def last_signals(connection: sa.Connection) -> dict[str, int]:
    """Per asset when the last signal was given: cooldowns survive a restart."""
    table = consensus_signals
    rows = connection.execute(sa.select(table.c.symbol, sa.func.max(table.c.created_at)).group_by(table.c.symbol))
    return {symbol: int(newest.timestamp() * 1000) for symbol, newest in rows}


def store_followed(connection: sa.Connection, states: Sequence[Followed]) -> None:
    """Where each followed decision stands."""
    if states:
        columns = (
            array_of([state.decision_id for state in states]),
            array_of([state.coin for state in states]),
            array_of([at(state.decided_at_ms) for state in states]),
            array_of([canonical_json(state) for state in states]),
        )
        raw_of(connection).execute(_FOLLOW, columns)


_FOLLOW = """
    INSERT INTO outcome_tracking (decision_id, symbol, decided_at, state, is_open, updated_at)
    SELECT decision_id, symbol, decided_at, state, true, now()
      FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::text[])
           AS moved (decision_id, symbol, decided_at, state)
    ON CONFLICT (decision_id) DO UPDATE SET state = EXCLUDED.state, updated_at = now() WHERE outcome_tracking.is_open
"""


def read_followed(connection: sa.Connection) -> list[Followed]:
    """Decisions that are still followed, oldest first."""
    table = outcome_tracking
    rows = connection.execute(sa.select(table.c.state).where(table.c.is_open).order_by(table.c.decided_at)).scalars()
    return [from_json(Followed, text, "followed") for text in rows]


def append_outcomes(connection: sa.Connection, outcomes: Sequence[Outcome]) -> list[str]:
    """Append outcomes that are not stored yet and project them onto the decision; returns the new ids."""
    new: list[str] = []
    for outcome in outcomes:
        number = chain.chain_of(outcome.coin)
        ((_, seq, row_hash),) = _lock_heads(connection, OUTCOMES, {number}).fetchall()
        head = chain.Head(number, seq, row_hash)
        known = sa.select(sa.literal(1)).where(ticket_outcomes.c.ticket_id == outcome.decision_id)
        if connection.execute(known).first() is not None:
            continue
        row = chain.append(head, outcome.decision_id, canonical_json(outcome))
        _write_outcome(connection, outcome, row)
        _move_heads(connection, OUTCOMES, [chain.head_of(row)])
        new.append(outcome.decision_id)
    return new


def _write_outcome(connection: sa.Connection, outcome: Outcome, row: chain.ChainRow) -> None:
    closed_at = at(outcome.closed_at_ms)
    connection.execute(
        ticket_outcomes.insert().values(
            ticket_id=outcome.decision_id,
            symbol=outcome.coin,
            closed_ts=closed_at,
            exit_price=outcome.exit_price,
            result_r=outcome.result_r,
            gross_r=outcome.gross_r,
            cost_r=outcome.cost_r,
            closed_reason=outcome.reason.value,
            mfe_r=outcome.mfe_r,
            mae_r=outcome.mae_r,
            notes=outcome.notes,
            record=row.record,
            chain=row.chain,
            seq=row.seq,
            prev_hash=row.prev_hash,
            row_hash=row.row_hash,
        )
    )
    connection.execute(
        outcome_tracking.update().where(outcome_tracking.c.decision_id == outcome.decision_id).values(is_open=False)
    )
    signals = consensus_signals
    connection.execute(
        signals.update()
        .where(signals.c.id == outcome.decision_id)
        .values(
            outcome=outcome.reason.value,
            exit_price=outcome.exit_price,
            result_r=outcome.result_r,
            closed_at=closed_at,
        )
    )
    logs = decision_logs
    connection.execute(
        logs.update()
        .where(logs.c.id == outcome.decision_id)
        .values(
            outcome=outcome.reason.value,
            outcome_r_multiple=outcome.result_r,
            outcome_closed_at=closed_at,
        )
    )


def read_chain(connection: sa.Connection, log: str, number: int) -> Generator[chain.ChainRow, None, None]:
    """Rows of one chain by sequence number."""
    table, row_id = (
        (decision_logs, decision_logs.c.id) if log == DECISIONS else (ticket_outcomes, ticket_outcomes.c.ticket_id)
    )
    query = (
        sa.select(row_id.label("id"), table.c.chain, table.c.seq, table.c.prev_hash, table.c.row_hash, table.c.record)
        .where(table.c.chain == number)
        .order_by(table.c.seq)
    )
    with connection.execute(query, execution_options={"yield_per": 500}) as rows:
        for row in rows:
            yield chain.ChainRow(str(row.id), row.chain, row.seq, row.prev_hash, row.row_hash, row.record)


def verify_chain(connection: sa.Connection, log: str, number: int) -> chain.Verification:
    """Walk one chain from its anchor to its head and name the first damage."""
    anchors, heads = chain_anchors, chain_heads
    anchor = connection.execute(
        sa.select(anchors.c.seq, anchors.c.row_hash)
        .where(anchors.c.log == log, anchors.c.chain == number)
        .order_by(anchors.c.seq.desc())
        .limit(1)
    ).first()
    head = connection.execute(
        sa.select(heads.c.seq, heads.c.row_hash).where(heads.c.log == log, heads.c.chain == number)
    ).first()
    start = chain.Head(number, anchor.seq, anchor.row_hash) if anchor else chain.Head(number)
    end = chain.Head(number, head.seq, head.row_hash) if head else start
    with contextlib.closing(read_chain(connection, log, number)) as rows:  # it may stop before the last row
        return chain.verify(rows, start, end)
