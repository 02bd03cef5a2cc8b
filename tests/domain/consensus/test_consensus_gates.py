"""Each gate on its own: equality, ties, missing numbers (spec 4.1)."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from sigmapilot_core.domain.consensus import gates
from sigmapilot_core.domain.events import Direction, Verdict
from sigmapilot_core.domain.params import ConsensusParams
from sigmapilot_core.domain.traders.effective_k import EffectiveK

K = EffectiveK(2.0, 1.0, 3, is_known=True)


def test_direction_is_the_side_with_more_heads_and_none_for_a_tie() -> None:
    found = [gates.direction_of(*heads) for heads in [(3, 1), (1, 3), (2, 2), (0, 0)]]
    assert found == [Direction.LONG, Direction.SHORT, Direction.NONE, Direction.NONE]


@pytest.mark.parametrize(
    ("result", "passed"),
    [
        (gates.min_traders(3), True),
        (gates.min_traders(2), False),
        (gates.supermajority(7, 10), True),  # 0.7 exactly
        (gates.supermajority(2, 3), False),
        (gates.effective_k(K), True),
        (gates.effective_k(EffectiveK(2.0 - 1e-10, 1.0, 3, True)), True),  # within the tolerance of 1e-9
        (gates.effective_k(EffectiveK(1.99, 1.0, 3, True)), False),
        (gates.freshness(150.0, 150.0), True),
        (gates.freshness(150.1, 150.0), False),
        (gates.price_band(50_125.0, 50_000.0, 0.01), True),  # 25 bps of a stop of 100 bps
        (gates.price_band(50_126.0, 50_000.0, 0.01), False),
        (gates.ev_gate(0.30 - 0.10, None), True),  # 0.19999999999999998 in float64
        (gates.ev_gate(0.199, None), False),
    ],
)
def test_equality_passes_and_less_fails(result: gates.GateResult, passed: bool) -> None:
    assert result.passed is passed


def test_a_tie_fails_supermajority_even_where_half_would_be_enough() -> None:
    assert gates.supermajority(3, 6, ConsensusParams(min_pct=0.5)).passed is False


@pytest.mark.parametrize(
    "result",
    [
        gates.supermajority(0, 0),
        gates.effective_k(None),
        gates.effective_k(EffectiveK(math.nan, 1.0, 3, True)),
        gates.freshness(None, 150.0),
        gates.freshness(math.nan, 150.0),
        gates.price_band(None, 50_000.0, 0.01),
        gates.price_band(math.nan, 50_000.0, 0.01),
        gates.price_band(50_000.0, math.nan, 0.01),
        gates.price_band(50_000.0, 50_000.0, math.nan),
        gates.price_band(50_000.0, 50_000.0, 0.0),
        gates.price_band(50_000.0, 0.0, 0.01),
        gates.ev_gate(None, "cost is not known"),
        gates.ev_gate(math.nan, None),
    ],
)
def test_a_number_that_is_missing_or_not_finite_is_unknown(result: gates.GateResult) -> None:
    assert result.passed is None
    assert result.verdict is Verdict.UNKNOWN
    assert "unknown" in result.detail


def test_too_few_measured_pairs_show_k_but_leave_the_verdict_unknown() -> None:
    result = gates.effective_k(EffectiveK(2.7, 1 / 3, 3, is_known=False))
    assert (result.passed, result.value) == (None, 2.7)


def test_the_median_of_an_even_number_of_votes_is_the_mean_of_the_middle_two() -> None:
    assert gates.median_price([Decimal(n) for n in (4, 1, 3, 2)]) == 2.5
    assert gates.median_price([]) is None
    assert gates.median_price([Decimal(1), Decimal("NaN")]) is None
