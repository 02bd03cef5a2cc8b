"""Sizes and caps (spec 6.1, 6.2)."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from risk_builders import INTENT, STATE, intent, position, with_account

from sigmapilot_core.domain.params import KellyParams, RiskParams
from sigmapilot_core.domain.risk.sizing import Scale, correlation_scale, size_entry, volatility_scale
from sigmapilot_core.domain.risk.state import OpenPosition

RISK = RiskParams()
OFF, ON = KellyParams(), KellyParams(enabled=True)


def test_kelly_off_asks_for_two_percent_and_nothing_binds() -> None:
    size = size_entry(STATE, INTENT, RISK, OFF)
    assert (size.notional_usd, size.wanted_usd, size.binding_cap) == (2_000.0, 2_000.0, None)


def test_kelly_is_cut_by_the_position_cap_which_is_named() -> None:
    size = size_entry(STATE, INTENT, RISK, ON)
    # f* = .62 - .38/1.25 = .316, risk .079, notional 3.95 x equity
    assert size.kelly_fraction == pytest.approx(0.316)
    assert size.wanted_usd == pytest.approx(395_000)
    assert (size.notional_usd, size.binding_cap) == (2_000.0, "max_position")


def test_exposure_left_binds_when_it_is_smaller() -> None:
    state = with_account(positions=(position("ETH", 9_500.0),))
    size = size_entry(state, INTENT, RISK, OFF)
    assert (size.notional_usd, size.binding_cap) == (pytest.approx(500.0), "max_exposure")


def test_leverage_left_binds_when_it_is_smaller() -> None:
    params = RiskParams(max_exposure_pct=1.0, max_leverage=0.2)
    state = with_account(positions=(position("ETH", 19_000.0),))
    assert size_entry(state, INTENT, params, OFF).binding_cap == "max_leverage"


def test_the_hard_ceiling_holds_whatever_the_setting() -> None:
    params = RiskParams(max_position_pct=0.5, max_exposure_pct=1.0)
    size = size_entry(STATE, INTENT, params, ON)
    assert (size.notional_usd, size.binding_cap) == (10_000.0, "hard_max_position")


def test_full_exposure_leaves_nothing() -> None:
    state = with_account(positions=(position("ETH", 12_000.0),))
    assert size_entry(state, INTENT, RISK, OFF).notional_usd == 0


@pytest.mark.parametrize("equity", [None, math.nan, math.inf, 0.0, -5.0])
def test_unknown_equity_gives_no_size(equity: float | None) -> None:
    assert size_entry(with_account(equity_usd=equity), INTENT, RISK, OFF).notional_usd is None


def test_a_position_without_a_price_gives_no_size() -> None:
    broken = OpenPosition("ETH", Decimal(1), Decimal("NaN"))
    assert size_entry(with_account(positions=(broken,)), INTENT, RISK, OFF).notional_usd is None


def test_scales_shrink_before_the_caps() -> None:
    size = size_entry(STATE, INTENT, RISK, OFF, [Scale("half", 0.5), correlation_scale([0.5, 0.5])])
    assert size.notional_usd == pytest.approx(2_000 * 0.5 / math.sqrt(2))
    assert volatility_scale(0.01, 0.04).factor == 0.25
    assert volatility_scale(0.04, 0.01).factor == 1.0
    assert correlation_scale([-0.4]).factor == 1.0


@pytest.mark.parametrize("factor", [0.0, 1.5, -1.0, math.nan])
def test_a_scale_outside_the_unit_interval_is_an_error(factor: float) -> None:
    with pytest.raises(ValueError, match="odd"):
        size_entry(STATE, INTENT, RISK, OFF, [Scale("odd", factor)])


@given(
    equity=st.floats(1, 1e9),
    exposures=st.lists(st.floats(0, 1e8), max_size=4),
    p=st.floats(0, 1),
    win=st.floats(0, 5),
    loss=st.floats(0, 5),
    ev=st.floats(-2, 2),
    stop=st.floats(1e-4, 0.2),
    is_on=st.booleans(),
    pct=st.floats(0.001, 1),
)
def test_sizes_never_exceed_any_cap(
    equity: float,
    exposures: list[float],
    p: float,
    win: float,
    loss: float,
    ev: float,
    stop: float,
    is_on: bool,
    pct: float,
) -> None:
    params = RiskParams(max_position_pct=pct)
    state = with_account(equity_usd=equity, positions=tuple(position(f"C{i}", e) for i, e in enumerate(exposures)))
    entry = intent(p_win=p, win_r=win, loss_r=loss, net_ev_r=ev, stop_fraction=stop)
    size = size_entry(state, entry, params, KellyParams(enabled=is_on))
    assert size.notional_usd is not None
    assert 0 <= size.notional_usd <= min(cap.limit_usd for cap in size.caps)
    assert size.notional_usd <= min(pct, 0.10) * equity
    assert ev >= 0 or size.notional_usd == 0
    total = size.notional_usd + sum(exposures)
    assert size.notional_usd == 0 or total <= 0.10 * equity * (1 + 1e-9)
