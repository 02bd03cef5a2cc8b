"""Inputs made young enough: what would have had to arrive in time for `inputs_fresh` to pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sigmapilot_core.domain.consensus.freshness import InputState, input_states
from sigmapilot_core.domain.consensus.inputs import DecisionInputs
from sigmapilot_core.domain.params import Params

_Renew = Callable[[DecisionInputs, int], DecisionInputs | None]


def renewed(inputs: DecisionInputs, params: Params) -> tuple[DecisionInputs, list[str]]:
    """The inputs with every one that is too old made exactly as old as allowed, and what that would have taken.

    An input that is not known cannot be made up: it is named, and the gate stays unknown.
    """
    told = []
    for state in input_states(inputs, params):
        if state.passed is True:
            continue
        at_ms = inputs.now_ms - round(1000 * (state.limit_s or 0.0))
        renew = _RENEWERS.get(state.name)
        changed = None if renew is None else renew(inputs, at_ms)
        inputs = inputs if changed is None else changed
        told.append(_sentence(state, changed is not None))
    return inputs, told


def _sentence(state: InputState, is_renewed: bool) -> str:
    if not is_renewed:
        return f"the {state.name} been known ({state.detail})"
    if state.age_s is None or state.limit_s is None:
        return f"the {state.name} been complete ({state.detail})"
    return f"the {state.name} been at most {state.limit_s:g} s old instead of {state.age_s:.1f} s"


def _field(name: str) -> _Renew:
    """An instant of the inputs themselves."""

    def renew(inputs: DecisionInputs, at_ms: int) -> DecisionInputs | None:
        change: dict[str, Any] = {name: at_ms}
        return None if getattr(inputs, name) is None else replace(inputs, **change)

    return renew


def _part(name: str, instant: str) -> _Renew:
    """An instant of a part of the inputs."""

    def renew(inputs: DecisionInputs, at_ms: int) -> DecisionInputs | None:
        part: Any = getattr(inputs, name)
        return None if part is None else replace(inputs, **{name: replace(part, **{instant: at_ms})})

    return renew


def _clock(inputs: DecisionInputs, _: int) -> DecisionInputs | None:
    return None if inputs.venue_clock_offset_ms is None else replace(inputs, venue_clock_offset_ms=0)


def _account(inputs: DecisionInputs, at_ms: int) -> DecisionInputs | None:
    if inputs.risk is None or inputs.risk.account is None:
        return None
    return replace(inputs, risk=replace(inputs.risk, account=replace(inputs.risk.account, as_of_ms=at_ms)))


def _record(inputs: DecisionInputs, _: int) -> DecisionInputs:
    return replace(inputs, unknown_reason=None)


_RENEWERS: dict[str, _Renew] = {
    "record of the coin": _record,
    "book": _part("book", "received_ms"),
    "mid": _field("context_received_ms"),
    "venue clock": _clock,
    "feed": _field("feed_last_frame_ms"),
    "volatility bar": _part("volatility", "bar_close_ms"),
    "volatility computed": _part("volatility", "computed_at_ms"),
    "regime bar": _part("regime", "bar_close_ms"),
    "regime computed": _part("regime", "computed_at_ms"),
    "posteriors": _field("posterior_as_of_ms"),
    "correlations": _field("correlation_as_of_ms"),
    "leaderboard": _field("leaderboard_as_of_ms"),
    "costs": _field("costs_as_of_ms"),
    "account": _account,
}
