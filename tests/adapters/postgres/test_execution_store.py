"""Paper orders, positions and the governor's state: written before they are acted on, read back as they were."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import decision_store, execution_store
from sigmapilot_core.adapters.postgres.decision_store import MadeDecision
from sigmapilot_core.domain.engine.outputs import DecisionMade
from sigmapilot_core.domain.events import Direction
from sigmapilot_core.domain.execution.desk import DeskState, OrderReport
from sigmapilot_core.domain.execution.paper import Leg, RoundTrip, Stage, TripSignal
from sigmapilot_core.domain.params import DAY_MS
from sigmapilot_core.domain.risk.state import KillSwitch, OpenPosition, RiskAccount, RiskState
from tests.domain.engine.engine_builders import T0, World

CASH = Decimal("99999.123456")
ID = "0e0e0e0e-0000-5000-8000-000000000001"
TRIP = RoundTrip(
    signal=TripSignal(ID, "BTC", Direction.SHORT, Decimal("50000.5"), Decimal(2_000), 0.02, T0),
    stage=Stage.LEAVING,
    timeout_at_ms=T0 + 7 * DAY_MS,
    size=Decimal("-0.04"),
    entry_sz=Decimal("0.04"),
    entry_notional=Decimal("2000.02"),
    leaving=Leg.OPPOSITE,
    attempt=2,
    net_pnl_usd=Decimal("-0.9"),
)
REPORT = OrderReport(
    TRIP.signal.decision_id, Leg.ENTRY, "0xc1", "BTC", False, Decimal("0.04"), Decimal(49_750), False, "Limit",
    "filled", Decimal("0.04"), Decimal("50000.5"), Decimal("0.9"), T0,
)  # fmt: skip


@pytest.fixture
def connection(rolled_back: sa.Connection) -> sa.Connection:
    return rolled_back


def test_an_order_is_stored_once_by_its_client_id(connection: sa.Connection) -> None:
    for report in (REPORT, replace(REPORT, status="rejected")):
        execution_store.store_order(connection, report, {"kelly_method": "fixed"})
    rows = connection.execute(sa.text("SELECT client_order_id, status, side, fill_price FROM execution_logs")).all()
    assert rows == [("0xc1", "filled", "sell", 50000.5)]


def test_a_fresh_desk_has_the_configured_money_and_nothing_else(connection: sa.Connection) -> None:
    assert execution_store.read_desk(connection, Decimal(1_000)) == DeskState(Decimal(1_000))


def test_money_and_trips_come_back_to_the_last_digit(connection: sa.Connection) -> None:
    execution_store.store_desk(connection, CASH, T0)
    execution_store.store_trip(connection, TRIP, 51_000.5, 48_000.5)
    execution_store.store_trip(connection, TRIP, 51_000.5, 48_000.5)
    assert execution_store.read_desk(connection, Decimal(1)) == DeskState(CASH, (TRIP,))
    execution_store.mark_positions(connection, {"BTC": (49_000.0, 40.0), "ETH": (1.0, 1.0)})
    row = connection.execute(sa.text("SELECT * FROM live_positions")).one()
    assert (row.side, row.stop_price, row.mark_price, row.unrealized_pnl) == ("short", 51_000.5, 49_000.0, 40.0)
    execution_store.remove_trip(connection, "BTC")
    assert execution_store.read_desk(connection, Decimal(1)) == DeskState(CASH)


def test_the_governor_comes_back_as_it_was(connection: sa.Connection) -> None:
    assert execution_store.read_risk(connection) == RiskState()
    account = RiskAccount(T0, 94_000.5, 10.0, (OpenPosition("BTC", Decimal("-0.04"), Decimal(50_000)),))
    state = RiskState(account, T0 // DAY_MS, 100_000.0, KillSwitch(T0, "daily loss"), 2, T0, 3, T0 - 1, {"BTC": T0 - 5})
    execution_store.store_risk(connection, state, T0)
    assert execution_store.read_risk(connection) == state
    shown = connection.execute(sa.text("SELECT value FROM risk_governor_state WHERE key = 'kill_switch'")).scalar_one()
    assert json.loads(shown) == {"since_ms": T0, "reason": "daily loss", "auto": False}
    (day,) = connection.execute(sa.text("SELECT opening_equity, pnl FROM risk_daily_pnl")).all()
    assert day == (100_000.0, pytest.approx(-5_999.5))


def test_one_point_of_the_equity_curve_an_instant(connection: sa.Connection) -> None:
    for equity in (100.0, 200.0):
        execution_store.store_equity(connection, T0, equity, 90.0, 50.0)
    rows = connection.execute(sa.text("SELECT account_value, unrealized_pnl, exposure_usd FROM portfolio_snapshots"))
    assert rows.all() == [(100.0, 10.0, 50.0)]


def test_the_limits_in_force_are_shown_and_paper_is_not_enabled(connection: sa.Connection) -> None:
    for limit in (0.02, 0.03):
        execution_store.store_config(connection, {"mode": "paper", "max_position_pct": limit}, T0)
    rows = connection.execute(sa.text("SELECT enabled, hyperliquid FROM execution_config")).all()
    assert rows == [(False, {"mode": "paper", "max_position_pct": 0.03})]


def test_a_signal_that_never_became_an_order_is_found(connection: sa.Connection) -> None:
    world = World.ready()
    made = world.consensus()
    decision_store.append_decisions(
        connection, [MadeDecision(o.decision, o.inputs, o.key, None) for o in world.said(DecisionMade)]
    )
    (found,) = execution_store.signals_without_order(connection, T0)
    assert (str(found.id), found.symbol, found.direction) == (made.decision.id, "BTC", "long")
    assert execution_store.signals_without_order(connection, world.now_ms + 1) == []
    execution_store.store_order(connection, replace(REPORT, decision_id=made.decision.id), {"kelly_method": "none"})
    assert execution_store.signals_without_order(connection, T0) == []
