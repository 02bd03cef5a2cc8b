"""Every row of the governor, at its boundary; unknown blocks; reductions never (spec 4.2, 6.2)."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from risk_builders import ACCOUNT, INTENT, NOW, PARAMS, STATE, intent, not_passed, position, state, with_account

from sigmapilot_core.domain.events import Verdict
from sigmapilot_core.domain.market.regime import Regime
from sigmapilot_core.domain.params import HOUR_MS, KellyParams, Params
from sigmapilot_core.domain.risk.governor import assess_entry, check_entry, check_reduction, split_order
from sigmapilot_core.domain.risk.state import EntryIntent, KillSwitch, OpenPosition, RiskState

FAIL, UNKNOWN = Verdict.FAIL, Verdict.UNKNOWN


def test_a_sound_entry_passes_every_check() -> None:
    checks = check_entry(STATE, INTENT, PARAMS, NOW)
    assert [check.name for check in checks] == [
        "confidence", "net_ev", "daily_drawdown", "leverage", "cooldown", "kill_switch", "concurrency",
        "asset_concurrency", "position", "exposure", "min_notional", "equity_floor", "liquidation_distance",
        "api_errors", "loss_streak", "account_fresh",
    ]  # fmt: skip
    assert not_passed() == {}


@pytest.mark.parametrize(
    ("regime", "limit"),
    [(Regime.TRENDING, 0.55), (Regime.RANGING, 0.60), (Regime.VOLATILE, 0.65), (Regime.UNKNOWN, 0.60)],
)
def test_confidence_passes_at_the_regimes_limit(regime: Regime, limit: float) -> None:
    assert not_passed(entry=intent(p_win=limit, regime=regime)) == {}
    assert not_passed(entry=intent(p_win=limit - 1e-6, regime=regime)) == {"confidence": FAIL}


@pytest.mark.parametrize(
    ("passing", "failing", "name"),
    [
        (
            state(signal_times_ms={"BTC": NOW - 300_000, "ETH": NOW}),
            state(signal_times_ms={"BTC": NOW - 299_999}),
            "cooldown",
        ),
        (
            state(api_errors=3, api_error_at_ms=NOW - 300_000),
            state(api_errors=3, api_error_at_ms=NOW - 299_999),
            "api_errors",
        ),
        (state(api_errors=2, api_error_at_ms=NOW), state(api_errors=4, api_error_at_ms=NOW), "api_errors"),
        (state(loss_streak=4, loss_at_ms=NOW), state(loss_streak=5, loss_at_ms=NOW), "loss_streak"),
        (
            state(loss_streak=9, loss_at_ms=NOW - 3_600_000),
            state(loss_streak=9, loss_at_ms=NOW - 3_599_999),
            "loss_streak",
        ),
        (
            with_account(positions=(position("ETH", 1), position("SOL", 1))),
            with_account(positions=(position("ETH", 1), position("SOL", 1), position("DOGE", 1))),
            "concurrency",
        ),
        (
            with_account(positions=(position("ETH", 1),)),
            with_account(positions=(position("BTC", 1),)),
            "asset_concurrency",
        ),
        (
            with_account(positions=(position("ETH", 8_000),)),
            with_account(positions=(position("ETH", 8_001),)),
            "exposure",
        ),
        (
            with_account(maintenance_margin_usd=100_000 / 1.5),
            with_account(maintenance_margin_usd=66_700),
            "liquidation_distance",
        ),
        (with_account(as_of_ms=NOW - 30_000), with_account(as_of_ms=NOW - 30_001), "account_fresh"),
        (
            state(kill_switch=KillSwitch(NOW - 24 * HOUR_MS, "x", is_auto=True)),
            state(kill_switch=KillSwitch(NOW - 24 * HOUR_MS + 1, "x", is_auto=True)),
            "kill_switch",
        ),
    ],
)
def test_each_limit_of_the_state(passing: RiskState, failing: RiskState, name: str) -> None:
    assert not_passed(passing) == {}
    assert not_passed(failing) == {name: FAIL}


def test_five_percent_of_the_days_opening_equity_blocks() -> None:
    small = intent(notional_usd=1_000.0)
    assert not_passed(with_account(equity_usd=95_001.0), small) == {}
    assert not_passed(with_account(equity_usd=95_000.0), small) == {"daily_drawdown": FAIL}


def test_position_leverage_and_minimum_by_the_size() -> None:
    assert not_passed(entry=intent(notional_usd=10.0)) == {}
    assert not_passed(entry=intent(notional_usd=9.99)) == {"min_notional": FAIL}
    assert not_passed(entry=intent(notional_usd=2_001.0)) == {"position": FAIL}
    wide = replace(PARAMS, risk=replace(PARAMS.risk, max_position_pct=1.0, max_exposure_pct=2.0))
    assert not_passed(entry=intent(notional_usd=10_000.0), params=wide) == {}
    assert not_passed(entry=intent(notional_usd=10_001.0), params=wide) == {"position": FAIL}
    assert not_passed(entry=intent(notional_usd=100_001.0), params=wide) == {"position": FAIL, "leverage": FAIL}


def test_negative_ev_fails() -> None:
    assert not_passed(entry=intent(net_ev_r=0.0)) == {}
    assert not_passed(entry=intent(net_ev_r=-0.001)) == {"net_ev": FAIL}


def test_equity_floor_is_off_for_paper_only() -> None:
    poor: dict[str, Any] = {"equity_usd": 9_999.0}
    day = {"opening_equity_usd": 9_999.0}
    small = intent(notional_usd=100.0)
    assert not_passed(replace(with_account(**poor), **day), small) == {"equity_floor": FAIL}  # type: ignore[arg-type]
    assert not_passed(replace(with_account(**poor, is_paper=True), **day), small) == {}  # type: ignore[arg-type]


def test_a_kill_switch_by_hand_waits_for_a_person() -> None:
    old = state(kill_switch=KillSwitch(NOW - 1000 * HOUR_MS, "by hand"))
    (check,) = [c for c in check_entry(old, INTENT, PARAMS, NOW) if c.name == "kill_switch"]
    assert check.verdict is FAIL
    assert "person" in check.detail


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["p_win", "net_ev_r", "notional_usd"])
def test_a_missing_or_non_finite_number_of_the_entry_blocks(field: str, bad: float | None) -> None:
    assert UNKNOWN in not_passed(entry=intent(**{field: bad})).values()


@pytest.mark.parametrize("bad", [None, math.nan, math.inf])
@pytest.mark.parametrize("field", ["equity_usd", "maintenance_margin_usd"])
def test_a_missing_or_non_finite_number_of_the_account_blocks(field: str, bad: float | None) -> None:
    assert UNKNOWN in not_passed(with_account(**{field: bad})).values()


def test_a_position_without_a_price_blocks() -> None:
    broken = OpenPosition("ETH", Decimal(1), Decimal("NaN"))
    assert {"exposure", "leverage"} <= set(not_passed(with_account(positions=(broken,))))


def test_a_fresh_installation_blocks() -> None:
    verdicts = not_passed(RiskState())
    assert verdicts["account_fresh"] is UNKNOWN
    assert verdicts["daily_drawdown"] is UNKNOWN


def test_the_opening_equity_of_yesterday_does_not_count() -> None:
    assert not_passed(state(day=19_999)) == {"daily_drawdown": UNKNOWN}


def test_assessment_sizes_then_checks() -> None:
    params = Params(kelly=KellyParams(enabled=True))
    assessment = assess_entry(STATE, intent(notional_usd=None), params, NOW)
    assert assessment.is_allowed
    assert (assessment.intent.notional_usd, assessment.size.binding_cap) == (2_000.0, "max_position")
    refused = assess_entry(with_account(equity_usd=None), INTENT, params, NOW)
    assert not refused.is_allowed
    assert refused.intent.notional_usd is None


numbers = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))
states = st.builds(
    RiskState,
    account=st.one_of(
        st.none(),
        st.builds(
            lambda e, m, ps: replace(ACCOUNT, equity_usd=e, maintenance_margin_usd=m, positions=tuple(ps)),
            numbers,
            numbers,
            st.lists(st.builds(position, st.sampled_from(["BTC", "ETH"]), st.floats(0, 1e7)), max_size=4),
        ),
    ),
    day=st.one_of(st.none(), st.just(20_000)),
    opening_equity_usd=numbers,
    kill_switch=st.one_of(st.none(), st.builds(KillSwitch, st.integers(0, NOW), st.just("x"), st.booleans())),
    api_errors=st.integers(0, 10),
    api_error_at_ms=st.one_of(st.none(), st.integers(0, NOW)),
    loss_streak=st.integers(0, 10),
    loss_at_ms=st.one_of(st.none(), st.integers(0, NOW)),
)
entries = st.builds(
    EntryIntent,
    coin=st.just("BTC"),
    direction=st.just(INTENT.direction),
    p_win=numbers,
    net_ev_r=numbers,
    win_r=numbers,
    loss_r=numbers,
    stop_fraction=numbers,
    regime=st.sampled_from(Regime),
    evidence_episodes=st.one_of(st.none(), st.integers(0, 100)),
    notional_usd=numbers,
)


@given(states, entries)
def test_an_entry_that_is_allowed_is_sound_in_every_number(any_state: RiskState, entry: EntryIntent) -> None:
    if not_passed(any_state, entry):
        return
    assert any_state.account is not None
    values = (entry.p_win, entry.net_ev_r, entry.notional_usd, any_state.account.equity_usd)
    assert all(value is not None and math.isfinite(value) for value in values)


@given(states, st.sampled_from(["BTC", "xyz:NEW", ""]))
def test_a_reduction_always_passes_whatever_the_state(any_state: RiskState, coin: str) -> None:
    assert check_reduction(any_state, coin).verdict is Verdict.PASS
    assert check_reduction(None, coin).verdict is Verdict.PASS


sizes = st.decimals(-1000, 1000, places=3)


@given(sizes, sizes)
def test_the_reducing_part_of_an_order_is_never_shrunk(held: Decimal, order: Decimal) -> None:
    reducing, opening = split_order(held, order)
    assert reducing + opening == order
    assert held * reducing <= 0
    assert abs(reducing) <= abs(held)
    assert not reducing or abs(reducing) == min(abs(held), abs(order))
    assert not opening or (held + reducing) * opening >= 0
