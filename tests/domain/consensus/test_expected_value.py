"""Probability, payoff and net expected value (spec 3)."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.domain.canonical import plain
from sigmapilot_core.domain.codec import from_plain
from sigmapilot_core.domain.consensus.expected_value import (
    IDENTITY,
    CalibrationMap,
    CalibrationMaps,
    VoterEdge,
    average_payoffs,
    expected_value,
    pooled_probability,
)
from sigmapilot_core.domain.events import Book, Direction, Level
from sigmapilot_core.domain.market.costs import MarketQuote, round_trip_cost
from sigmapilot_core.domain.params import CostParams

EDGE = VoterEdge(p_win=0.6, gain_r=0.6, loss_r=0.3, kappa=10.0)  # c = 10/20 = 0.5
VOTERS = (EDGE, VoterEdge(0.55, 0.5, 0.35, 30.0), VoterEdge(0.65, 0.8, 0.25, 90.0))

edges = st.builds(VoterEdge, st.floats(0.01, 0.99), st.floats(0.01, 2), st.floats(0.01, 2), st.floats(0.1, 500))


def test_pooled_logit_by_hand() -> None:
    # three equal voters, K = 2: logit p = (2/3) x 3 x 0.5 x ln 1.5 = ln 1.5, so p = 0.6
    assert pooled_probability([EDGE] * 3, 2.0) == pytest.approx(0.6)


def test_copies_count_once() -> None:
    assert pooled_probability([EDGE] * 3, 1.0) == pytest.approx(pooled_probability([EDGE] * 7, 1.0))


def test_probability_is_clamped() -> None:
    sure = VoterEdge(1.0, 1.0, 0.1, 1000.0)
    hopeless = VoterEdge(0.0, 0.1, 1.0, 1000.0)
    assert pooled_probability([sure] * 5, 5.0) == 0.95
    assert pooled_probability([hopeless] * 5, 5.0) == 0.05


def test_average_payoffs_by_hand() -> None:
    # c = .5 and .75: W = (.5x.6 + .75x.5)/(.5x.6 + .75x.55), L = (.5x.3 + .75x.35)/(.5x.4 + .75x.45)
    win, loss = average_payoffs(VOTERS[:2])
    assert win == pytest.approx(0.675 / 0.7125)
    assert loss == pytest.approx(0.4125 / 0.5375)


def test_every_part_of_the_estimate_by_hand() -> None:
    value = expected_value([EDGE] * 3, 2.0, cost_bps=20.0, stop_fraction=0.01)
    # p = .6, W = 1, L = .75, gross = .6 - .3 = .3, cost = 20/100 = .2, net = .1
    assert (value.p_win, value.win_r, value.loss_r) == pytest.approx((0.6, 1.0, 0.75))
    assert (value.gross_raw_r, value.gross_r, value.cost_r, value.net_r) == pytest.approx((0.3, 0.3, 0.2, 0.1))
    assert (value.n_voters, value.effective_k, value.stop_bps, value.reason) == (3, 2.0, 100.0, None)


def test_a_single_voter_at_full_weight_keeps_its_own_mean() -> None:
    # n = K = 1, c -> 1: gross = p W - (1-p) L = g - l
    value = expected_value([replace(EDGE, kappa=1e12)], 1.0, cost_bps=0.0, stop_fraction=0.01)
    assert value.gross_r == pytest.approx(EDGE.gain_r - EDGE.loss_r, abs=1e-9)


def test_maps_are_applied_and_both_values_kept() -> None:
    maps = CalibrationMaps(CalibrationMap((0.0, 1.0), (0.1, 0.9)), CalibrationMap((-1.0, 1.0), (-0.5, 0.5)))
    value = expected_value([EDGE] * 3, 2.0, cost_bps=0.0, stop_fraction=0.01, maps=maps)
    assert (value.p_raw, value.p_win) == pytest.approx((0.6, 0.58))
    assert value.gross_raw_r == pytest.approx(0.58 * 1.0 - 0.42 * 0.75)
    assert value.gross_r == pytest.approx(value.gross_raw_r / 2)  # type: ignore[operator]


@pytest.mark.parametrize(("cost_bps", "stop_fraction"), [(None, 0.01), (20.0, None), (float("nan"), 0.01), (20.0, 0.0)])
def test_unknown_cost_or_stop_leaves_the_net_unknown(cost_bps: float | None, stop_fraction: float | None) -> None:
    value = expected_value(VOTERS, 2.5, cost_bps=cost_bps, stop_fraction=stop_fraction)
    assert value.net_r is None
    assert value.reason
    assert value.gross_r is not None


def test_without_voters_everything_is_unknown() -> None:
    value = expected_value([], 0.0, cost_bps=20.0, stop_fraction=0.01)
    assert (value.p_win, value.gross_r, value.net_r) == (None, None, None)
    assert value.reason == "no agreeing voters"


@pytest.mark.parametrize(
    "numbers",
    [(1.1, 1, 1, 1), (math.nan, 1, 1, 1), (0.5, -1, 1, 1), (0.5, 1, math.inf, 1), (0.5, 1, 1, 0)],
)
def test_bad_voter_numbers_are_errors(numbers: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="allowed"):
        VoterEdge(*numbers)


def test_the_order_of_voters_does_not_matter() -> None:
    values = {expected_value(order, 2.5, cost_bps=11.0, stop_fraction=0.02) for order in permutations(VOTERS)}
    assert len(values) == 1


@given(st.lists(edges, min_size=1, max_size=8), st.floats(0.1, 8), st.floats(0, 200), st.floats(0, 100))
def test_a_dearer_cost_never_raises_net_ev(voters: list[VoterEdge], k: float, cost: float, more: float) -> None:
    cheap = expected_value(voters, k, cost_bps=cost, stop_fraction=0.01)
    dear = expected_value(voters, k, cost_bps=cost + more, stop_fraction=0.01)
    assert cheap.net_r is not None
    assert dear.net_r is not None
    assert dear.net_r <= cheap.net_r
    assert dear.gross_r == cheap.gross_r


@given(st.lists(edges, min_size=1, max_size=8), st.floats(0.1, 8))
def test_swapping_wins_and_losses_mirrors_the_gross(voters: list[VoterEdge], k: float) -> None:
    mirrored = [VoterEdge(1 - v.p_win, v.loss_r, v.gain_r, v.kappa) for v in voters]
    one = expected_value(voters, k, cost_bps=0.0, stop_fraction=0.01)
    other = expected_value(mirrored, k, cost_bps=0.0, stop_fraction=0.01)
    assert one.gross_r == pytest.approx(-other.gross_r, abs=1e-9)  # type: ignore[operator]


@given(st.lists(edges, min_size=1, max_size=5), st.floats(0.1, 5), st.floats(0.01, 5), st.floats(10, 50_000))
def test_long_and_short_are_worth_the_same_on_a_mirrored_book_without_funding(
    voters: list[VoterEdge], k: float, half_spread: float, notional: float
) -> None:
    sides = [(Level(Decimal(repr(100 + sign * half_spread)), Decimal(600)),) for sign in (-1, 1)]
    quote = MarketQuote("BTC", Book("BTC", 0, 0, *sides), True, 0.0)

    def net(direction: Direction) -> float:
        cost = round_trip_cost(quote, direction, notional, 24.0, 0, CostParams(), max_book_age_s=5.0)
        value = expected_value(voters, k, cost_bps=cost.total_bps, stop_fraction=0.01)
        assert value.net_r is not None
        return value.net_r

    assert net(Direction.LONG) == pytest.approx(net(Direction.SHORT), abs=1e-9)


def test_the_map_without_knots_is_the_identity() -> None:
    assert IDENTITY.is_identity
    assert IDENTITY(0.123) == 0.123


def test_a_map_is_linear_between_its_knots_and_flat_outside() -> None:
    step = CalibrationMap((0.2, 0.4, 0.8), (0.1, 0.5, 0.5))
    assert [step(v) for v in (0.0, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)] == pytest.approx([0.1, 0.1, 0.3, 0.5, 0.5, 0.5, 0.5])


@given(st.floats(-1, 2), st.floats(0, 1))
def test_a_map_never_falls(value: float, more: float) -> None:
    step = CalibrationMap((0.2, 0.4, 0.8), (0.1, 0.5, 0.55))
    assert step(value + more) >= step(value)


@pytest.mark.parametrize(
    ("x", "y"), [((1, 1), (0, 1)), ((1, 2), (1, 0)), ((1,), ()), ((1, math.nan), (0, 1)), ((1, 2), (0, math.inf))]
)
def test_a_map_that_is_not_monotone_and_finite_is_refused(x: tuple[float, ...], y: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="allowed"):
        CalibrationMap(x, y)


def test_maps_survive_storage() -> None:
    maps = CalibrationMaps(CalibrationMap((0.1, 0.7), (0.2, 0.65)))
    assert from_plain(CalibrationMaps, plain(maps), "maps") == maps
