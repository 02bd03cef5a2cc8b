"""The kill switch by hand: what a request does to the governor, and when it is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sigmapilot_core.domain.events import Verdict
from sigmapilot_core.domain.params import HOUR_MS, RiskParams
from sigmapilot_core.domain.risk.governor import check_kill_switch, check_reduction
from sigmapilot_core.domain.risk.kill_switch import SwitchAction, SwitchRequest, SwitchResult, answer
from sigmapilot_core.domain.risk.state import KillSwitch, RiskState

T0 = 20_000 * 24 * HOUR_MS
RULES = RiskParams()
ON = SwitchRequest("1", SwitchAction.ON, "exchange reports an incident", "anna")
OFF = SwitchRequest("2", SwitchAction.OFF, "it is over", "anna")


def is_blocked(state: RiskState, now_ms: int) -> bool:
    return check_kill_switch(state, RULES, now_ms).verdict is not Verdict.PASS


def test_on_blocks_entries_says_why_and_never_a_reduction() -> None:
    state, given = answer(RiskState(), ON, T0, RULES)
    assert state.kill_switch == KillSwitch(T0, "by hand: exchange reports an incident", False)
    assert given.result is SwitchResult.APPLIED
    assert is_blocked(state, T0)
    assert check_reduction(state, "BTC").verdict is Verdict.PASS


def test_after_its_cooldown_it_asks_for_a_person_who_then_releases_it() -> None:
    state, _ = answer(RiskState(), ON, T0, RULES)
    later = T0 + 24 * HOUR_MS
    assert check_kill_switch(state, RULES, later).detail.startswith("waits for a person")
    released, given = answer(state, OFF, later, RULES)
    assert (released.kill_switch, given.result) == (None, SwitchResult.APPLIED)


def test_an_automatic_one_lets_entries_through_after_its_cooldown() -> None:
    state, given = answer(RiskState(), replace(ON, is_auto=True), T0, RULES)
    assert "releases itself after 24 h" in given.detail
    assert is_blocked(state, T0 + 24 * HOUR_MS - 1)
    assert not is_blocked(state, T0 + 24 * HOUR_MS)


def test_off_before_the_cooldown_is_refused_unless_forced() -> None:
    state, _ = answer(RiskState(), ON, T0, RULES)
    kept, given = answer(state, OFF, T0 + HOUR_MS, RULES)
    assert (kept, given.result) == (state, SwitchResult.REFUSED)
    assert given.detail.startswith("kill switch is 1.0 h old; allowed is a reset after 24")
    released, given = answer(state, replace(OFF, is_forced=True), T0 + HOUR_MS, RULES)
    assert released.kill_switch is None
    assert "before its time" in given.detail


def test_setting_one_that_a_rule_has_tripped_keeps_its_start_and_makes_it_ask_for_a_person() -> None:
    tripped = RiskState(kill_switch=KillSwitch(T0 - HOUR_MS, "daily loss", True))
    state, given = answer(tripped, ON, T0, RULES)
    assert state.kill_switch == KillSwitch(T0 - HOUR_MS, "daily loss", False)
    assert given.detail.startswith("the kill switch was on already")


def test_releasing_one_that_is_off_changes_nothing() -> None:
    state, given = answer(RiskState(), OFF, T0, RULES)
    assert (state, given.result) == (RiskState(), SwitchResult.APPLIED)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"reason": " "}, "reason is ' '; allowed is 1 to 500 characters"),
        ({"requested_by": ""}, "requested_by is ''; allowed is 1 to 64 characters"),
        ({"reason": "x" * 501}, "allowed is 1 to 500 characters"),
        ({"is_forced": True}, "is_forced goes with the action 'off'"),
        ({"action": SwitchAction.OFF, "is_auto": True}, "is_auto goes with the action 'on'"),
    ],
)
def test_a_request_that_contradicts_itself_is_named(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        replace(ON, **change)
