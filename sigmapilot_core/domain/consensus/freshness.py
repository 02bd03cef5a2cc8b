"""Whether every input of a decision is young enough, and book and clock are sane (spec 4.1 `inputs_fresh`, 5.4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sigmapilot_core.domain.consensus.gates import GateResult
from sigmapilot_core.domain.consensus.inputs import MAX_CLOCK_OFFSET_S, DecisionInputs, is_sane
from sigmapilot_core.domain.frozen import quick
from sigmapilot_core.domain.market.bars import timeframe_ms
from sigmapilot_core.domain.market.regime import Regime
from sigmapilot_core.domain.market.volatility import VolatilitySource
from sigmapilot_core.domain.params import Params


@quick
@dataclass(frozen=True, slots=True)
class InputState:
    """One input: `passed` is True, False or None for unknown; `age_s` and `limit_s` where it has an age."""

    name: str
    passed: bool | None
    age_s: float | None
    limit_s: float | None
    detail: str

    @property
    def share(self) -> float | None:
        """Age over limit; None where there is no age."""
        if self.age_s is None or not self.limit_s:
            return None
        return max(0.0, self.age_s) / self.limit_s


def inputs_fresh(inputs: DecisionInputs, params: Params) -> GateResult:
    """The gate: value is the largest age over its limit, the detail names every input that does not pass, or the worst.

    One that is unknown makes the gate unknown, whatever the others are: how old the oldest input is cannot be said
    then. Else one that fails makes it fail.
    """
    states = input_states(inputs, params)
    shares = [state for state in states if state.share is not None]
    worst = max(shares, key=lambda state: state.share or 0.0, default=None)
    bad = [state for state in states if state.passed is not True]
    is_unknown = any(state.passed is None for state in bad)
    passed = None if is_unknown else not bad
    named = bad or ([worst] if worst else [])
    detail = "; ".join(f"{state.name}: {state.detail}" for state in named)
    value = worst.share if worst is not None else None
    return GateResult("inputs_fresh", passed, value, 1.0, detail if bad else f"oldest input, {detail}")


def input_states(inputs: DecisionInputs, params: Params) -> tuple[InputState, ...]:
    """Every input with its age, its limit and its verdict, in a fixed order."""
    limits = params.freshness
    now_ms = inputs.now_ms
    account = None if inputs.risk is None else inputs.risk.account
    return (
        _coin_state(inputs),
        _book_state(inputs, limits.book_s),
        _clock_state(inputs),
        _aged("feed", now_ms, inputs.feed_last_frame_ms, limits.feed_s),
        *_volatility_states(inputs, params),
        *_regime_states(inputs, params),
        _aged("posteriors", now_ms, inputs.posterior_as_of_ms, limits.posterior_s),
        _aged("correlations", now_ms, inputs.correlation_as_of_ms, limits.correlation_s),
        _aged("leaderboard", now_ms, inputs.leaderboard_as_of_ms, limits.leaderboard_s),
        _aged("costs", now_ms, inputs.costs_as_of_ms, limits.costs_s),
        _aged("account", now_ms, None if account is None else account.as_of_ms, limits.account_s),
    )


def _coin_state(inputs: DecisionInputs) -> InputState:
    reason = inputs.unknown_reason
    return InputState("record of the coin", True if reason is None else None, None, None, reason or "complete")


def _book_state(inputs: DecisionInputs, limit_s: float) -> InputState:
    """The book, or for an asset without a book subscription the venue's mid."""
    if not inputs.is_book_subscribed:
        received_ms = inputs.context_received_ms if inputs.context_mid is not None else None
        return _aged("mid", inputs.now_ms, received_ms, limit_s)
    book = inputs.book
    state = _aged("book", inputs.now_ms, None if book is None else book.received_ms, limit_s)
    if book is not None and state.passed is not None and not is_sane(book):
        return InputState("book", False, state.age_s, state.limit_s, "it is one-sided, crossed or holds a zero")
    return state


def _clock_state(inputs: DecisionInputs) -> InputState:
    offset_ms = inputs.venue_clock_offset_ms
    if offset_ms is None or not math.isfinite(offset_ms):
        return InputState("venue clock", None, None, None, "no stamp to compare with")
    offset_s = abs(offset_ms) / 1000
    detail = f"{offset_s:.1f} s off, at most {MAX_CLOCK_OFFSET_S:g} s are allowed"
    return InputState("venue clock", offset_s <= MAX_CLOCK_OFFSET_S, offset_s, MAX_CLOCK_OFFSET_S, detail)


def _volatility_states(inputs: DecisionInputs, params: Params) -> Sequence[InputState]:
    """ATR: two bars and a recent computation. The fallbacks have no bar's age; `fallback` fails in strict mode."""
    estimate = inputs.volatility
    if estimate is None:
        return (InputState("volatility", None, None, None, "not known"),)
    computed = _aged(
        "volatility computed", inputs.now_ms, estimate.computed_at_ms, params.freshness.volatility_computed_s
    )
    if estimate.source is VolatilitySource.ATR:
        limit_s = params.freshness.volatility_bars * timeframe_ms(params.volatility.timeframe) / 1000
        return (_aged("volatility bar", inputs.now_ms, estimate.bar_close_ms, limit_s), computed)
    is_refused = estimate.source is VolatilitySource.FALLBACK and params.volatility.strict_mode
    detail = f"source is {estimate.source.value}" + (", refused in strict mode" if is_refused else "")
    return (InputState("volatility source", not is_refused, None, None, detail), computed)


def _regime_states(inputs: DecisionInputs, params: Params) -> Sequence[InputState]:
    """UNKNOWN is a verdict with effects of its own and has no bar's age; no estimate at all is unknown."""
    estimate = inputs.regime
    if estimate is None:
        return (InputState("regime", None, None, None, "not known"),)
    computed = _aged("regime computed", inputs.now_ms, estimate.computed_at_ms, params.freshness.volatility_computed_s)
    if estimate.regime is Regime.UNKNOWN:
        return (computed,)
    limit_s = params.freshness.volatility_bars * timeframe_ms(params.regime.timeframe) / 1000
    return (_aged("regime bar", inputs.now_ms, estimate.bar_close_ms, limit_s), computed)


def _aged(name: str, now_ms: int, as_of_ms: int | None, limit_s: float) -> InputState:
    if as_of_ms is None:
        return InputState(name, None, None, limit_s, "not known")
    age_s = (now_ms - as_of_ms) / 1000
    if age_s < -MAX_CLOCK_OFFSET_S:
        return InputState(name, None, None, limit_s, f"is stamped {-age_s:.1f} s in the future")
    return InputState(
        name, age_s <= limit_s, age_s, limit_s, f"{_span(age_s)} old, at most {_span(limit_s)} are allowed"
    )


def _span(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
