"""Paper orders, open round trips, equity and the governor's state: written before they are acted on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmapilot_core.adapters.postgres.instants import at
from sigmapilot_core.adapters.postgres.schema.stream import (
    consensus_signals,
    execution_config,
    execution_logs,
    kill_switch_events,
    live_positions,
    paper_funding,
    portfolio_snapshots,
    risk_daily_pnl,
    risk_governor_state,
)
from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.codec import from_json
from sigmapilot_core.domain.execution.desk import DeskState, FundingPaid, OrderReport
from sigmapilot_core.domain.execution.paper import RoundTrip
from sigmapilot_core.domain.params import DAY_MS
from sigmapilot_core.domain.risk.kill_switch import SwitchAnswer, SwitchRequest, SwitchResult
from sigmapilot_core.domain.risk.state import KillSwitch, RiskState
from sigmapilot_core.domain.risk.steps import daily_loss

PAPER = "paper"


def store_order(connection: sa.Connection, report: OrderReport, figures: dict[str, Any]) -> None:
    """One order and what became of it; the same client order id is stored once. `figures` hold sizing and account."""
    row = {
        "client_order_id": report.client_order_id,
        "decision_id": report.decision_id,
        "leg": report.leg.value,
        "exchange": PAPER,
        "symbol": report.coin,
        "side": "buy" if report.is_buy else "sell",
        "size": report.size,
        "leverage": 1.0,
        "order_type": report.order_type,
        "limit_price": report.limit_px,
        "is_reduce_only": report.is_reduce_only,
        "status": report.status,
        "fill_price": None if report.average_px is None else float(report.average_px),
        "fill_size": report.filled_size,
        "fee_usd": float(report.fee_usd),
        "error_message": report.error,
        "created_at": at(report.at_ms),
        **figures,
    }
    connection.execute(insert(execution_logs).values(**row).on_conflict_do_nothing(index_elements=["client_order_id"]))


def store_trip(connection: sa.Connection, trip: RoundTrip, stop_px: float, target_px: float) -> None:
    """An open paper position."""
    values = {
        "exchange": PAPER,
        "symbol": trip.signal.coin,
        "decision_id": trip.signal.decision_id,
        "side": trip.signal.direction.value,
        "size": trip.size,
        "entry_price": float(trip.entry_px) if trip.entry_px is not None else float(trip.signal.mid),
        "stop_price": stop_px,
        "take_profit_price": target_px,
        "timeout_at": at(trip.timeout_at_ms),
        "opened_at": at(trip.signal.decided_at_ms),
        "state": canonical_json(trip),
    }
    statement = insert(live_positions).values(**values)
    changed = {name: statement.excluded[name] for name in values if name not in ("exchange", "symbol")}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["exchange", "symbol"], set_={**changed, "updated_at": sa.func.now()}
        )
    )


def store_funding(connection: sa.Connection, paid: FundingPaid) -> None:
    """One hour of funding of a paper position; an hour is settled once."""
    values = {
        "decision_id": paid.decision_id,
        "hour": at(paid.hour_ms),
        "symbol": paid.coin,
        "rate_hourly": paid.rate_hourly,
        "size": paid.size,
        "usd": paid.usd,
        "is_estimated": paid.is_estimated,
    }
    connection.execute(insert(paper_funding).values(**values).on_conflict_do_nothing())


def remove_trip(connection: sa.Connection, coin: str) -> None:
    """The paper position in a coin is over."""
    table = live_positions
    connection.execute(table.delete().where(table.c.exchange == PAPER, table.c.symbol == coin))


def mark_positions(connection: sa.Connection, marks: dict[str, tuple[float, float]]) -> None:
    """(mark price, unrealised PnL in USD) of open positions, for people."""
    table = live_positions
    for coin, (mark, pnl) in marks.items():
        connection.execute(
            table.update()
            .where(table.c.exchange == PAPER, table.c.symbol == coin)
            .values(mark_price=mark, unrealized_pnl=pnl, updated_at=sa.func.now())
        )


def read_desk(connection: sa.Connection, initial_equity_usd: Decimal) -> DeskState:
    """Cash and open round trips; a fresh installation starts with the configured paper equity."""
    cash = _read(connection, "paper_cash")
    trips = connection.execute(
        sa.select(live_positions.c.state)
        .where(live_positions.c.exchange == PAPER, live_positions.c.state.is_not(None))
        .order_by(live_positions.c.symbol)
    ).scalars()
    return DeskState(
        initial_equity_usd if cash is None else Decimal(json.loads(cash)),
        tuple(from_json(RoundTrip, text, "round trip") for text in trips),
    )


def store_desk(connection: sa.Connection, cash_usd: Decimal, now_ms: int) -> None:
    """Cash of the paper account."""
    _write(connection, "paper_cash", json.dumps(str(cash_usd)), now_ms)


def read_risk(connection: sa.Connection) -> RiskState:
    """The governor's state; that of a fresh installation when there is none."""
    found = _read(connection, "state")
    return RiskState() if found is None else from_json(RiskState, found, "risk state")


def store_risk(connection: sa.Connection, state: RiskState, now_ms: int) -> None:
    """The governor's state, the kill switch for the sensor, and the day's profit."""
    _write(connection, "state", canonical_json(state), now_ms)
    switch = state.kill_switch
    shown = None if switch is None else {"since_ms": switch.since_ms, "reason": switch.reason, "auto": switch.is_auto}
    _write(connection, "kill_switch", json.dumps(shown), now_ms)
    loss, opening = daily_loss(state), state.opening_equity_usd
    if loss is None or opening is None or state.day is None:
        return
    statement = insert(risk_daily_pnl).values(
        date=at(state.day * DAY_MS).date(), opening_equity=opening, pnl=-loss * opening, updated_at=at(now_ms)
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["date"],
            set_={
                "pnl": statement.excluded.pnl,
                "opening_equity": opening,
                "updated_at": statement.excluded.updated_at,
            },
        )
    )


def store_switch_answer(connection: sa.Connection, request: SwitchRequest, answer: SwitchAnswer, now_ms: int) -> None:
    """What became of a person's request; it is answered once."""
    event = request.action.value if answer.result is SwitchResult.APPLIED else SwitchResult.REFUSED.value
    values = {"at": at(now_ms), "event": event, "cause": "request", "request_id": request.id, "detail": answer.detail}
    statement = insert(kill_switch_events).values(**values)
    connection.execute(statement.on_conflict_do_nothing(index_elements=["request_id"]))


def store_switch_rule(
    connection: sa.Connection, before: KillSwitch | None, after: KillSwitch | None, now_ms: int
) -> None:
    """A rule has tripped the kill switch, or its time is over; nothing where neither happened."""
    if (before is None) == (after is None):
        return
    event, detail = ("off", "released by itself") if after is None else ("on", after.reason)
    connection.execute(
        kill_switch_events.insert().values(at=at(now_ms), event=event, cause="rule", request_id=None, detail=detail)
    )


def store_equity(connection: sa.Connection, now_ms: int, equity: float, cash: float, exposure: float) -> None:
    """One point of the equity curve."""
    statement = insert(portfolio_snapshots).values(
        exchange=PAPER,
        ts=at(now_ms),
        account_value=equity,
        realized_pnl=cash,
        unrealized_pnl=equity - cash,
        exposure_usd=exposure,
    )
    connection.execute(statement.on_conflict_do_nothing())


def store_config(connection: sa.Connection, hyperliquid: dict[str, Any], now_ms: int) -> None:
    """What operators read as `execution_config`: these limits, and `enabled` only where real orders are sent."""
    is_real = hyperliquid["mode"] != "paper"
    statement = insert(execution_config).values(id=1, enabled=is_real, hyperliquid=hyperliquid, updated_at=at(now_ms))
    written = {name: statement.excluded[name] for name in ("enabled", "hyperliquid", "updated_at")}
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=written))


def signals_without_order(connection: sa.Connection, since_ms: int) -> Sequence[Any]:
    """Signals that were decided but never reached the desk: a process ended in between."""
    signals, logs = consensus_signals, execution_logs
    known = sa.select(sa.literal(1)).where(logs.c.decision_id == signals.c.id, logs.c.leg == "entry")
    return connection.execute(
        sa.select(signals).where(signals.c.created_at >= at(since_ms), ~sa.exists(known)).order_by(signals.c.created_at)
    ).all()


def _read(connection: sa.Connection, name: str) -> str | None:
    table = risk_governor_state
    return connection.execute(sa.select(table.c.value).where(table.c.key == name)).scalar()


def _write(connection: sa.Connection, name: str, value: str, now_ms: int) -> None:
    statement = insert(risk_governor_state).values(key=name, value=value, updated_at=at(now_ms))
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["key"],
            set_={"value": statement.excluded.value, "updated_at": statement.excluded.updated_at},
        )
    )
