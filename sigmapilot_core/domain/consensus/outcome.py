"""What became of a decision, in paper terms, as a step over bars and opposite decisions (spec 7).

A decision that passed the gates is followed from its price to its stop, its take-profit, an opposite consensus or
168 hours. R is a multiple of the trade's own risk, entry x stop fraction with the regime's factor: the stop is -1 R
before costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from sigmapilot_core.domain.events import Bar, Direction
from sigmapilot_core.domain.params import HOUR_MS, OutcomeParams

_DEFAULTS = OutcomeParams()


class ClosedReason(StrEnum):
    """How a followed decision ended."""

    STOP = "stop"
    TAKE_PROFIT = "take_profit"
    OPPOSITE = "opposite"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Followed:
    """A decision on its way. `mfe_r` and `mae_r` are the best and the worst R reached so far, 0 at the start.

    `watched_until_ms` is the close of the last bar used; `unseen_ms` sums the holes between bars.
    """

    decision_id: str
    coin: str
    direction: Direction
    decided_at_ms: int
    entry_price: float
    stop_price: float
    take_profit_price: float
    stop_fraction: float
    cost_r: float
    watched_until_ms: int
    expires_at_ms: int
    mfe_r: float = 0.0
    mae_r: float = 0.0
    unseen_ms: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a followed decision: result_r = gross_r - cost_r."""

    decision_id: str
    coin: str
    closed_at_ms: int
    exit_price: float
    gross_r: float
    cost_r: float
    result_r: float
    reason: ClosedReason
    mfe_r: float
    mae_r: float
    notes: str | None = None


def stop_price(entry_price: float, direction: Direction, stop_fraction: float) -> float:
    """entry x (1 - stop fraction) for a long, entry x (1 + stop fraction) for a short."""
    return entry_price * (1 - direction.sign * stop_fraction)


def take_profit_price(
    entry_price: float, direction: Direction, stop_fraction: float, params: OutcomeParams = _DEFAULTS
) -> float:
    """The price at which the gross result is `take_profit_r`."""
    return entry_price * (1 + direction.sign * params.take_profit_r * stop_fraction)


def follow(
    decision_id: str,
    coin: str,
    direction: Direction,
    decided_at_ms: int,
    entry_price: float,
    stop_fraction: float,
    cost_r: float,
    params: OutcomeParams = _DEFAULTS,
) -> Followed:
    """Begin to follow a decision. Errors: ValueError for no direction, or a number that is not finite or positive."""
    if direction is Direction.NONE:
        raise ValueError(f"direction of decision {decision_id} must be long or short, got none")
    if not all(map(math.isfinite, (entry_price, stop_fraction, cost_r))) or min(entry_price, stop_fraction) <= 0:
        raise ValueError(
            f"entry_price and stop_fraction of decision {decision_id} must be positive and cost_r finite, "
            f"got {entry_price}, {stop_fraction}, {cost_r}"
        )
    return Followed(
        decision_id=decision_id,
        coin=coin,
        direction=direction,
        decided_at_ms=decided_at_ms,
        entry_price=entry_price,
        stop_price=stop_price(entry_price, direction, stop_fraction),
        take_profit_price=take_profit_price(entry_price, direction, stop_fraction, params),
        stop_fraction=stop_fraction,
        cost_r=cost_r,
        watched_until_ms=decided_at_ms,
        expires_at_ms=decided_at_ms + round(params.max_hours * HOUR_MS),
    )


def on_bar(state: Followed, bar: Bar) -> tuple[Followed, Outcome | None]:
    """Apply one closed bar, in order; bars that began before the decision, of other coins, or seen already change
    nothing.

    A bar that touches the stop and the take-profit counts as stopped. A bar that opens beyond the stop is left at its
    open, one that opens beyond the take-profit at the take-profit. A bar that closes at or after the time-out is left
    at its close.
    """
    if bar.coin != state.coin or bar.open_ms < state.decided_at_ms or bar.close_ms <= state.watched_until_ms:
        return state, None
    is_first = state.watched_until_ms == state.decided_at_ms
    hole = 0 if is_first else max(0, bar.open_ms - state.watched_until_ms)
    state = replace(state, watched_until_ms=bar.close_ms, unseen_ms=state.unseen_ms + hole)
    best, worst = (bar.high, bar.low) if state.direction is Direction.LONG else (bar.low, bar.high)
    if r_of(state, worst) <= r_of(state, state.stop_price):
        exit_price = bar.open if r_of(state, bar.open) < r_of(state, state.stop_price) else state.stop_price
        return _ended(state, bar.close_ms, exit_price, ClosedReason.STOP)
    state = replace(state, mae_r=min(state.mae_r, r_of(state, worst)))
    if r_of(state, best) >= r_of(state, state.take_profit_price):
        return _ended(state, bar.close_ms, state.take_profit_price, ClosedReason.TAKE_PROFIT)
    state = replace(state, mfe_r=max(state.mfe_r, r_of(state, best)))
    if bar.close_ms >= state.expires_at_ms:
        return _ended(state, bar.close_ms, bar.close, ClosedReason.TIMEOUT)
    return state, None


def on_opposite(
    state: Followed, coin: str, direction: Direction, time_ms: int, price: float
) -> tuple[Followed, Outcome | None]:
    """A later decision for the coin passed the gates: one in the other direction ends this one at its price."""
    is_opposite = coin == state.coin and direction.sign == -state.direction.sign and time_ms >= state.decided_at_ms
    return _ended(state, time_ms, price, ClosedReason.OPPOSITE) if is_opposite else (state, None)


def r_of(state: Followed, price: float) -> float:
    """Gross R at a price: sign x (price - entry) / (entry x stop fraction)."""
    return state.direction.sign * (price - state.entry_price) / (state.entry_price * state.stop_fraction)


def _ended(state: Followed, time_ms: int, exit_price: float, reason: ClosedReason) -> tuple[Followed, Outcome]:
    gross = r_of(state, exit_price)
    notes = f"{state.unseen_ms / 1000:.0f} s without bars" if state.unseen_ms else None
    return state, Outcome(
        decision_id=state.decision_id,
        coin=state.coin,
        closed_at_ms=time_ms,
        exit_price=exit_price,
        gross_r=gross,
        cost_r=state.cost_r,
        result_r=gross - state.cost_r,
        reason=reason,
        mfe_r=max(state.mfe_r, gross),
        mae_r=min(state.mae_r, gross),
        notes=notes,
    )
