"""How the governor's state evolves, and that it survives storage (spec 6.2)."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from risk_builders import ACCOUNT, NOW, PARAMS, STATE, not_passed, position, with_account

from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.codec import from_json
from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS
from sigmapilot_core.domain.risk import steps
from sigmapilot_core.domain.risk.state import KillSwitch, RiskAccount, RiskState

RISK = PARAMS.risk


def account(equity: float | None, at_ms: int = NOW) -> RiskAccount:
    return RiskAccount(at_ms, equity, 0.0, is_paper=False)


def test_the_first_account_of_a_day_opens_it() -> None:
    first = steps.on_account(RiskState(), account(100_000.0), NOW, RISK)
    later = steps.on_account(first, account(101_000.0), NOW + HOUR_MS, RISK)
    next_day = steps.on_account(later, account(102_000.0), NOW + DAY_MS, RISK)
    assert (later.day, later.opening_equity_usd) == (20_000, 100_000.0)
    assert (next_day.day, next_day.opening_equity_usd) == (20_001, 102_000.0)


def test_an_unknown_opening_is_filled_by_the_first_known_equity() -> None:
    blind = steps.on_account(RiskState(), account(math.nan), NOW, RISK)
    assert (blind.day, blind.opening_equity_usd) == (20_000, None)
    assert blind.account is not None
    assert blind.account.equity_usd is None
    assert steps.on_account(blind, account(90_000.0), NOW + 1000, RISK).opening_equity_usd == 90_000.0


def test_five_percent_of_the_opening_trips_the_switch_until_a_person_resets_it() -> None:
    fine = steps.on_account(STATE, account(95_001.0), NOW, RISK)
    tripped = steps.on_account(STATE, account(95_000.0), NOW, RISK)
    assert fine.kill_switch is None
    assert tripped.kill_switch is not None
    assert "5.00%" in tripped.kill_switch.reason
    recovered = steps.on_account(tripped, account(100_000.0, NOW + 25 * HOUR_MS), NOW + 25 * HOUR_MS, RISK)
    assert not_passed(recovered, now_ms=NOW + 25 * HOUR_MS) != {}
    reset = steps.reset_kill_switch(recovered, NOW + 25 * HOUR_MS, RISK)
    assert not_passed(reset, now_ms=NOW + 25 * HOUR_MS) == {}


def test_a_reset_before_the_cooldown_needs_force() -> None:
    on = steps.trip_kill_switch(STATE, NOW, "by hand")
    with pytest.raises(ValueError, match="kill switch"):
        steps.reset_kill_switch(on, NOW + 24 * HOUR_MS - 1, RISK)
    assert steps.reset_kill_switch(on, NOW, RISK, is_forced=True).kill_switch is None
    assert steps.reset_kill_switch(STATE, NOW, RISK) == STATE


def test_an_automatic_switch_releases_itself_after_24_hours() -> None:
    on = steps.trip_kill_switch(STATE, NOW, "loss", is_auto=True)
    assert steps.on_timer(on, NOW + 24 * HOUR_MS - 1, RISK) == on
    assert steps.on_timer(on, NOW + 24 * HOUR_MS, RISK).kill_switch is None
    by_hand = steps.trip_kill_switch(STATE, NOW, "by hand")
    assert steps.on_timer(by_hand, NOW + 99 * HOUR_MS, RISK) == by_hand


def test_tripping_by_hand_makes_an_automatic_switch_wait_for_a_person() -> None:
    on = steps.trip_kill_switch(STATE, NOW, "loss", is_auto=True)
    assert steps.trip_kill_switch(on, NOW + 5, "by hand").kill_switch == KillSwitch(NOW, "loss", is_auto=False)


def test_a_withdrawal_is_not_a_loss() -> None:
    moved = steps.on_cash_flow(STATE, -20_000.0)
    after = steps.on_account(moved, account(80_000.0), NOW, RISK)
    assert after.kill_switch is None
    assert steps.daily_loss(after) == 0.0


def test_fills_move_the_position_before_the_next_look_at_the_account() -> None:
    def fill(is_buy: bool, sz: str, px: str) -> Fill:
        return Fill("0xa", "BTC", is_buy, Decimal(px), Decimal(sz), NOW, 1, True)

    opened = steps.on_fill(STATE, fill(True, "0.02", "50000"))
    assert opened.account is not None
    assert opened.account.exposure_usd == 1000.0
    reduced = steps.on_fill(opened, fill(False, "0.01", "40000"))
    assert reduced.account is not None
    assert reduced.account.exposure_usd == 400.0
    closed = steps.on_fill(reduced, fill(False, "0.01", "40000"))
    assert closed.account is not None
    assert closed.account.positions == ()
    assert steps.on_fill(RiskState(), fill(True, "1", "1")) == RiskState()


def test_five_losses_in_a_row_pause_and_a_win_ends_the_row() -> None:
    state = STATE
    for index in range(5):
        assert "loss_streak" not in not_passed(state)
        state = steps.on_close(state, -0.5, NOW - 10 + index)
    assert "loss_streak" in not_passed(state)
    assert "loss_streak" not in not_passed(steps.on_close(state, 0.2, NOW))
    with pytest.raises(ValueError, match="result_r"):
        steps.on_close(state, math.nan, NOW)


def test_three_api_errors_in_a_row_pause_and_a_success_ends_the_row() -> None:
    state = STATE
    for _ in range(3):
        assert "api_errors" not in not_passed(state)
        state = steps.on_api_error(state, NOW)
    assert "api_errors" in not_passed(state)
    assert "api_errors" not in not_passed(steps.on_api_ok(state))


def test_a_signal_starts_the_cooldown_of_its_asset_and_old_ones_are_forgotten() -> None:
    state = steps.on_signal(STATE, "ETH", NOW - 300_000, RISK)
    state = steps.on_signal(state, "BTC", NOW, RISK)
    assert dict(state.signal_times_ms) == {"BTC": NOW}


def test_the_state_survives_a_restart() -> None:
    state = with_account(positions=(position("ETH", 12.5),))
    state = steps.on_signal(steps.on_close(steps.on_api_error(state, NOW), -1.0, NOW), "BTC", NOW, RISK)
    state = steps.trip_kill_switch(state, NOW, "by hand")
    assert from_json(RiskState, canonical_json(state)) == state
    assert from_json(RiskState, canonical_json(RiskState())) == RiskState()
    assert ACCOUNT.exposure_usd == 0
