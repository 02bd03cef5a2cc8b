"""Effective number of votes: checks of the specification and its laws (spec 1.7, 4.4)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sigmapilot_core.domain.traders.correlation import PairCorrelation
from sigmapilot_core.domain.traders.effective_k import assess, by_pair, constant_rho, effective_k

groups = st.integers(1, 7).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(0.01, 1), min_size=n, max_size=n),
        st.lists(st.floats(0, 1), min_size=n * n, max_size=n * n),
    )
)


def symmetric(n: int, values: list[float]) -> np.ndarray:
    upper = np.triu(np.array(values).reshape(n, n), 1)
    return upper + upper.T + np.eye(n)


def measured(a: str, b: str, rho: float | None) -> PairCorrelation:
    return PairCorrelation(a, b, rho, 1_000_000, 1_000_000, None)  # so many buckets that shrinkage is nil


def test_specified_check_of_a_common_rho() -> None:
    assert effective_k([1, 1, 1], constant_rho(3, 0.5)) == pytest.approx(1.5)


def test_specified_check_of_unequal_weights() -> None:
    assert effective_k([0.8, 0.2], np.eye(2)) == pytest.approx(1.470588, abs=1e-6)  # 1 / (.64 + .04)


def test_specified_check_of_three_different_pairs() -> None:
    rho = [[1, 0.3, 0.2], [0.3, 1, 0.4], [0.2, 0.4, 1]]
    assert effective_k([1, 1, 1], rho) == pytest.approx(1.875)


def test_specified_check_of_two_blocks_of_five() -> None:
    block = constant_rho(5, 0.8)
    rho = np.block([[block, np.zeros((5, 5))], [np.zeros((5, 5)), block]])
    assert effective_k(np.ones(10), rho) == pytest.approx(2.380952, abs=1e-6)


@pytest.mark.parametrize(("weights", "rho"), [([], np.zeros((0, 0))), ([0, 0], np.eye(2))])
def test_no_votes_or_no_weight_is_zero(weights: list[float], rho: np.ndarray) -> None:
    assert effective_k(weights, rho) == 0


@given(groups)
def test_k_lies_between_one_and_the_number_of_votes(group: tuple[list[float], list[float]]) -> None:
    weights, values = group
    k = effective_k(weights, symmetric(len(weights), values))
    assert 1 - 1e-9 <= k <= len(weights) + 1e-9


@given(groups, st.randoms(use_true_random=False))
def test_k_does_not_depend_on_the_order_of_votes(group: tuple[list[float], list[float]], rng: object) -> None:
    weights, values = group
    rho = symmetric(len(weights), values)
    order = sorted(range(len(weights)), key=lambda _: rng.random())  # type: ignore[attr-defined]
    mixed = effective_k(np.array(weights)[order], rho[np.ix_(order, order)])
    assert mixed == pytest.approx(effective_k(weights, rho), rel=1e-9)


@given(groups, st.floats(1e-6, 1e6))
def test_k_does_not_depend_on_the_scale_of_weights(group: tuple[list[float], list[float]], scale: float) -> None:
    weights, values = group
    rho = symmetric(len(weights), values)
    assert effective_k(np.array(weights) * scale, rho) == pytest.approx(effective_k(weights, rho), rel=1e-9)


@given(groups, st.floats(0, 1))
def test_an_independent_voter_of_bounded_weight_never_lowers_k(
    group: tuple[list[float], list[float]], share: float
) -> None:
    weights, values = group
    n = len(weights)
    rho = symmetric(n, values)
    k = effective_k(weights, rho)
    bound = 2 * sum(weights) / (k - 1) if k > 1 + 1e-6 else 1e6
    added = np.eye(n + 1)
    added[:n, :n] = rho
    assert effective_k([*weights, share * bound], added) >= k - 1e-9


def test_a_heavier_independent_voter_than_the_bound_does_lower_k() -> None:
    # S = 3, K = 3: the bound is 3; a weight of 6 gives 81 / (3 + 36) = 2.08
    assert effective_k([1, 1, 1, 6], np.eye(4)) == pytest.approx(81 / 39)


@given(groups)
def test_more_correlation_never_raises_k(group: tuple[list[float], list[float]]) -> None:
    weights, values = group
    assume(len(weights) > 1)
    rho = symmetric(len(weights), values)
    raised = rho + 0.5 * (1 - rho)
    assert effective_k(weights, raised) <= effective_k(weights, rho) + 1e-9


def test_tiny_weights_do_not_underflow() -> None:
    assert effective_k([1e-200, 1e-200], np.eye(2)) == pytest.approx(2)


@pytest.mark.parametrize(
    ("weights", "rho", "message"),
    [
        ([1, -1], np.eye(2), "weights must be finite and not negative"),
        ([1, math.nan], np.eye(2), "weights must be finite and not negative"),
        ([1, 1], [[1, math.nan], [math.nan, 1]], "rho must be finite"),
        ([1, 1], np.eye(3), "rho must be an"),
    ],
)
def test_bad_input_is_refused(weights: list[float], rho: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        effective_k(weights, rho)  # type: ignore[arg-type]


def test_assessment_uses_measured_and_default_rho_in_any_order_of_addresses() -> None:
    pairs = by_pair([measured("0xa", "0xb", 0.3), measured("0xa", "0xc", 0.2)])
    got = assess(["0xc", "0xa", "0xb"], [1, 1, 1], pairs, rho0=0.4)
    assert got.value == pytest.approx(1.875, abs=1e-4)
    assert (got.measured_share, got.n_pairs, got.is_known) == (pytest.approx(2 / 3), 3, True)


def test_k_is_shown_but_not_known_when_most_pairs_are_unmeasured() -> None:
    got = assess(["0xa", "0xb", "0xc"], [1, 1, 1], by_pair([measured("0xa", "0xb", 0.0)]), rho0=0.0)
    assert got.value == pytest.approx(3)
    assert not got.is_known


def test_exactly_half_measured_is_known() -> None:
    names = ["0xa", "0xb", "0xc", "0xd"]
    pairs = by_pair([measured("0xa", "0xb", 0.1), measured("0xa", "0xc", 0.1), measured("0xa", "0xd", None)])
    assert not assess(names, [1] * 4, pairs, 0.2).is_known  # 2 of 6
    pairs |= by_pair([measured("0xc", "0xd", 0.1)])
    assert assess(names, [1] * 4, pairs, 0.2).is_known  # 3 of 6


def test_a_fresh_copy_group_is_not_known() -> None:
    assert not assess(["0xa", "0xb", "0xc"], [1, 1, 1], {}, rho0=0.1).is_known


def test_no_voter_and_one_voter_are_known() -> None:
    assert assess([], [], {}, 0.2).value == 0
    assert assess(["0xa"], [0.5], {}, 0.2).value == 1


def test_a_voter_cannot_be_counted_twice() -> None:
    with pytest.raises(ValueError, match="addresses must be distinct"):
        assess(["0xa", "0xa"], [1, 1], {}, 0.2)
