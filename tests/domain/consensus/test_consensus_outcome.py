"""How followed decisions end (spec 7)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sigmapilot_core.domain.consensus.outcome import (
    ClosedReason,
    Followed,
    Outcome,
    follow,
    on_bar,
    on_opposite,
)
from sigmapilot_core.domain.events import Bar, Direction
from sigmapilot_core.domain.folds import scan
from sigmapilot_core.domain.params import HOUR_MS, MINUTE_MS

T0 = 28_333_333 * MINUTE_MS
LONG, SHORT = Direction.LONG, Direction.SHORT


def begun(direction: Direction = LONG, at_ms: int = T0) -> Followed:
    """Entry 100, stop 2 %, so 1 R is 2; a cost of .1 R."""
    return follow("d1", "BTC", direction, at_ms, 100.0, 0.02, 0.1)


def bar(minute: int, high: float, low: float, close: float = 100.0, opened: float = 100.0) -> Bar:
    open_ms = T0 + minute * MINUTE_MS
    return Bar("BTC", open_ms, open_ms + MINUTE_MS, opened, high, low, close, 1.0)


def ended(*bars: Bar, direction: Direction = LONG) -> Outcome | None:
    for _, outcome in scan(on_bar, begun(direction), bars):
        if outcome is not None:
            return outcome
    return None


@pytest.mark.parametrize(
    ("direction", "one", "reason", "exit_price", "gross"),
    [
        (LONG, bar(0, 101, 98), ClosedReason.STOP, 98.0, -1.0),
        (LONG, bar(0, 104, 99), ClosedReason.TAKE_PROFIT, 104.0, 2.0),
        (SHORT, bar(0, 102, 99), ClosedReason.STOP, 102.0, -1.0),
        (SHORT, bar(0, 101, 96), ClosedReason.TAKE_PROFIT, 96.0, 2.0),
        (LONG, bar(0, 104, 98), ClosedReason.STOP, 98.0, -1.0),  # touches both
        (SHORT, bar(0, 102, 96), ClosedReason.STOP, 102.0, -1.0),
        (LONG, bar(0, 97.5, 96, opened=97.0), ClosedReason.STOP, 97.0, -1.5),  # opens beyond the stop
        (
            LONG,
            bar(0, 107, 105, opened=106.0),
            ClosedReason.TAKE_PROFIT,
            104.0,
            2.0,
        ),  # a limit order fills at its price
    ],
)
def test_stop_and_take_profit_end_it(
    direction: Direction, one: Bar, reason: ClosedReason, exit_price: float, gross: float
) -> None:
    outcome = ended(one, direction=direction)
    assert outcome is not None
    assert (outcome.reason, outcome.exit_price) == (reason, pytest.approx(exit_price))
    assert outcome.gross_r == pytest.approx(gross)
    assert outcome.result_r == pytest.approx(gross - 0.1)


def test_nothing_touched_goes_on() -> None:
    assert ended(bar(0, 103.9, 98.1), bar(1, 103, 99)) is None


def test_the_bar_in_which_it_was_decided_does_not_count() -> None:
    state = begun(at_ms=T0 + 30_000)
    assert on_bar(state, bar(0, 110, 90)) == (state, None)
    assert on_bar(state, bar(1, 110, 90))[1] is not None


def test_a_bar_counts_once_and_other_coins_never() -> None:
    state, _ = on_bar(begun(), bar(0, 101, 99))
    assert on_bar(state, bar(0, 110, 90)) == (state, None)
    other = Bar("ETH", T0, T0 + MINUTE_MS, 100, 110, 90, 100, 1.0)
    assert on_bar(begun(), other)[1] is None


def test_the_best_and_the_worst_are_remembered() -> None:
    outcome = ended(bar(0, 102, 99), bar(1, 103, 99.5), bar(2, 101, 98))
    assert outcome is not None
    assert (outcome.mfe_r, outcome.mae_r) == (pytest.approx(1.5), pytest.approx(-1.0))


def test_after_a_week_it_is_left_at_the_close() -> None:
    last = 168 * 60 - 1
    outcome = ended(bar(0, 101, 99), bar(last - 1, 101, 99), bar(last, 101, 99, close=101.0))
    assert outcome is not None
    assert (outcome.reason, outcome.closed_at_ms) == (ClosedReason.TIMEOUT, T0 + 168 * HOUR_MS)
    assert outcome.result_r == pytest.approx(0.5 - 0.1)


def test_holes_between_bars_are_noted() -> None:
    outcome = ended(bar(0, 101, 99), bar(3, 101, 98))
    assert outcome is not None
    assert outcome.notes == "120 s without bars"


def test_an_opposite_consensus_ends_it_at_its_price() -> None:
    _, outcome = on_opposite(begun(), "BTC", SHORT, T0 + 1000, 101.0)
    assert outcome is not None
    assert (outcome.reason, outcome.gross_r) == (ClosedReason.OPPOSITE, pytest.approx(0.5))


@pytest.mark.parametrize(("coin", "direction"), [("BTC", LONG), ("ETH", SHORT)])
def test_the_same_side_and_other_coins_do_not_end_it(coin: str, direction: Direction) -> None:
    assert on_opposite(begun(), coin, direction, T0 + 1000, 101.0)[1] is None


@pytest.mark.parametrize(
    "bad",
    [{"direction": Direction.NONE}, {"entry_price": math.nan}, {"entry_price": 0.0}, {"stop_fraction": 0.0},
     {"cost_r": math.inf}],
)  # fmt: skip
def test_a_decision_without_usable_numbers_cannot_be_followed(bad: dict[str, Any]) -> None:
    values: dict[str, Any] = {
        "decision_id": "d1", "coin": "BTC", "direction": LONG, "decided_at_ms": T0, "entry_price": 100.0,
        "stop_fraction": 0.02, "cost_r": 0.1,
    } | bad  # fmt: skip
    with pytest.raises(ValueError, match="d1"):
        follow(**values)
