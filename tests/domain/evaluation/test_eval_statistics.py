"""Intervals, calibration maps, scores, deflated Sharpe ratio and drift: against closed forms and other libraries."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sigmapilot_core.domain.evaluation.bootstrap import (
    Sums,
    difference_interval,
    mean_interval,
    over_seeds,
    ratio_interval,
)
from sigmapilot_core.domain.evaluation.calibration import Estimate, fit_maps, monotone_map, score_probability
from sigmapilot_core.domain.evaluation.drift import input_drift, psi
from sigmapilot_core.domain.evaluation.sharpe import deflated_sharpe
from sigmapilot_core.domain.params import ProbabilityParams


def test_an_interval_of_independent_values_is_that_of_the_normal_law() -> None:
    values = np.random.default_rng(0).normal(0.3, 1.0, 4000)
    found = mean_interval(values, np.arange(4000), seed=7)
    half = 1.959964 * values.std() / math.sqrt(4000)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.004)


def test_values_of_one_block_count_once() -> None:
    blocks = np.repeat(np.arange(50), 40)
    values = np.repeat(np.random.default_rng(1).normal(size=50), 40)
    found = mean_interval(values, blocks, seed=1)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / math.sqrt(50), rel=0.15)
    assert (found.n, found.blocks) == (2000, 50)


def test_what_cannot_be_said_is_unknown() -> None:
    assert mean_interval([], [], seed=1).value is None
    assert mean_interval([1.0, 2.0], [3, 3], seed=1).low is None
    assert ratio_interval([1.0], [0.0], [1], seed=1).value is None


def test_intervals_are_repeatable() -> None:
    assert over_seeds([1.0, 2.0, 4.0], 5) == over_seeds([1.0, 2.0, 4.0], 5)


def test_what_two_strategies_owe_to_the_same_day_is_no_noise_in_their_difference() -> None:
    rng = np.random.default_rng(5)
    days = np.repeat(np.arange(60), 5)
    weather = np.repeat(rng.normal(0, 1, 60), 5)
    ours, theirs = weather + 0.3 + rng.normal(0, 0.1, 300), weather + rng.normal(0, 0.1, 300)
    ones = np.ones(300)
    found = difference_interval(Sums(ours, ones, days), Sums(theirs, ones, days), seed=1)
    daily = (ours - theirs).reshape(60, 5).mean(axis=1)
    half = 1.959964 * daily.std() / math.sqrt(60)
    assert found.value == pytest.approx((ours - theirs).mean())
    assert (found.low, found.high) == pytest.approx((daily.mean() - half, daily.mean() + half), abs=0.005)
    nothing = Sums(np.zeros(0), np.zeros(0), np.zeros(0))
    assert difference_interval(Sums(ours, ones, days), nothing, seed=1).value is None
    assert difference_interval(Sums([1.0], [1.0], [3]), Sums([0.5], [1.0], [3]), seed=1).low is None


@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(-2, 2)), min_size=1, max_size=200))
def test_a_fitted_map_never_falls_and_stays_within_what_was_seen(points: list[tuple[float, float]]) -> None:
    x, y = (np.array(column) for column in zip(*points, strict=True))
    found = monotone_map(x, y, min_per_knot=5)
    mapped = [found(value) for value in np.linspace(-3, 3, 40).tolist()]
    assert all(after >= before - 1e-12 for before, after in pairwise(mapped))
    assert min(y) - 1e-9 <= min(mapped)
    assert max(mapped) <= max(y) + 1e-9


def test_a_map_finds_a_known_bias() -> None:
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 1, 20_000)
    found = monotone_map(x, 0.5 * x - 0.1 + rng.normal(0, 0.5, x.size), min_per_knot=500)
    assert [found(value) for value in (0.2, 0.5, 0.8)] == pytest.approx([0.0, 0.15, 0.3], abs=0.03)


def test_maps_are_identities_until_200_outcomes_are_known() -> None:
    made = [Estimate(closed_ms=i, p_raw=0.9, win_r=1.0, loss_r=1.0, gross_r=1.0 if i % 2 else -1.0) for i in range(300)]
    params = ProbabilityParams()
    assert fit_maps(made, params, known_until_ms=200 - 1).probability.is_identity
    maps = fit_maps(made, params, known_until_ms=200)
    assert maps.probability(0.9) == pytest.approx(0.5)
    assert maps.gross_ev(0.0) == pytest.approx(0.0)


def test_scores_of_a_probability_by_hand() -> None:
    found = score_probability([0.8, 0.6, 0.3], [True, False, False], bins=3)
    assert found is not None
    assert found.brier == pytest.approx((0.04 + 0.36 + 0.09) / 3)
    assert found.log_score == pytest.approx(-(math.log(0.8) + math.log(0.4) + math.log(0.7)) / 3)
    assert found.base == pytest.approx(2 / 9)
    assert [(b.estimated, b.realised, b.n) for b in found.curve] == [(0.3, 0.0, 1), (0.6, 0.0, 1), (0.8, 1.0, 1)]
    assert score_probability([], []) is None


def test_a_deflated_ratio_of_one_trial_is_the_probabilistic_sharpe_ratio() -> None:
    r = np.random.default_rng(5).normal(0.1, 1.0, 250)
    found = deflated_sharpe([r])
    assert found is not None
    ratio = r.mean() / r.std(ddof=1)
    variance = 1 - stats.skew(r) * ratio + (stats.kurtosis(r, fisher=False) - 1) / 4 * ratio**2
    assert found.probability == pytest.approx(stats.norm.cdf(ratio * math.sqrt(249 / variance)))


def test_more_trials_deflate_more() -> None:
    rng = np.random.default_rng(6)
    tried = [rng.normal(0.05, 1.0, 200) for _ in range(20)]
    one, many = deflated_sharpe(tried[:1]), deflated_sharpe(tried)
    assert one is not None
    assert many is not None
    assert many.probability < one.probability
    assert deflated_sharpe([np.zeros(200)]) is None
    assert deflated_sharpe([rng.normal(size=5)]) is None


def test_drift_is_nothing_for_the_same_law_and_large_for_another() -> None:
    rng = np.random.default_rng(8)
    fit, same, other = rng.normal(size=5000), rng.normal(size=5000), rng.normal(1.0, 1.0, 5000)
    assert psi(fit, same) < 0.02
    shifted = input_drift("x", fit.tolist(), other.tolist())
    assert shifted.is_shifted is True
    assert shifted.ks == pytest.approx(2 * stats.norm.cdf(0.5) - 1, abs=0.03)  # sup |F(x) - F(x - 1)|, at x = .5
    assert input_drift("x", [1.0] * 10, [1.0] * 10).is_shifted is None
