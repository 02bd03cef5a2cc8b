"""The kill switch by hand: what a person asks for, and what becomes of it (spec 6.2).

A request is answered once, as a step `(state, request) -> (state, answer)`. It concerns entries only: nothing here
can reach an order that reduces a position.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sigmapilot_core.domain.params import HOUR_MS, RiskParams
from sigmapilot_core.domain.risk.state import RiskState
from sigmapilot_core.domain.risk.steps import reset_kill_switch, trip_kill_switch

LONGEST_REASON, LONGEST_NAME = 500, 64


class SwitchAction(StrEnum):
    """What is asked for."""

    ON = "on"
    OFF = "off"


class SwitchResult(StrEnum):
    """What became of it."""

    APPLIED = "applied"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class SwitchRequest:
    """One request of a person. `is_auto` lets the switch release itself after its cooldown, `is_forced` releases it
    before. Errors: ValueError naming the field that is empty, too long or out of place.
    """

    id: str
    action: SwitchAction
    reason: str
    requested_by: str
    is_auto: bool = False
    is_forced: bool = False

    def __post_init__(self) -> None:
        for name, text, longest in (
            ("reason", self.reason, LONGEST_REASON),
            ("requested_by", self.requested_by, LONGEST_NAME),
        ):
            if not text.strip() or len(text) > longest:
                raise ValueError(f"{name} is {text[:80]!r}; allowed is 1 to {longest} characters")
        if self.is_auto and self.action is SwitchAction.OFF:
            raise ValueError("is_auto goes with the action 'on', got 'off'")
        if self.is_forced and self.action is SwitchAction.ON:
            raise ValueError("is_forced goes with the action 'off', got 'on'")


@dataclass(frozen=True, slots=True)
class SwitchAnswer:
    """The end of a request; `detail` is a sentence for the person."""

    result: SwitchResult
    detail: str


def answer(state: RiskState, request: SwitchRequest, now_ms: int, params: RiskParams) -> tuple[RiskState, SwitchAnswer]:
    """Apply a request, or say why not. A switch that is on keeps its start and the reason it was set for."""
    if request.action is SwitchAction.ON:
        return _on(state, request, now_ms, params)
    if state.kill_switch is None:
        return state, SwitchAnswer(SwitchResult.APPLIED, "the kill switch was off already")
    try:
        released = reset_kill_switch(state, now_ms, params, is_forced=request.is_forced)
    except ValueError as error:
        return state, SwitchAnswer(SwitchResult.REFUSED, f"{error} A person may force it.")
    hours = (now_ms - state.kill_switch.since_ms) / HOUR_MS
    forced = ", before its time" if request.is_forced and hours < params.kill_switch_cooldown_h else ""
    return released, SwitchAnswer(SwitchResult.APPLIED, f"released after {hours:.1f} h{forced}: entries are allowed")


def _on(state: RiskState, request: SwitchRequest, now_ms: int, params: RiskParams) -> tuple[RiskState, SwitchAnswer]:
    tripped = trip_kill_switch(state, now_ms, f"by hand: {request.reason}", is_auto=request.is_auto)
    switch = tripped.kill_switch
    assert switch is not None
    hours = params.kill_switch_cooldown_h
    ends = f"releases itself after {hours:g} h" if switch.is_auto else f"asks for a person after {hours:g} h"
    begun = "the kill switch was on already" if state.kill_switch is not None else "no entries from here on"
    return tripped, SwitchAnswer(SwitchResult.APPLIED, f"{begun}; it {ends}; positions are still reduced")
