"""Normal-Inverse-Gamma: closed forms, forgetting, the clamped predictive (spec 1.4)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from trader_builders import T0, episode

from sigmapilot_core.domain.params import DAY_MS, PosteriorParams
from sigmapilot_core.domain.traders import posterior as nig
from sigmapilot_core.domain.traders.learning import has_enough_mean, learn, learn_many
from sigmapilot_core.domain.traders.posterior import Posterior

rs = st.lists(st.floats(-3, 3), min_size=1, max_size=30)
posteriors = st.builds(
    Posterior, m=st.floats(-1.9, 1.9), kappa=st.floats(1, 200), alpha=st.floats(3, 100), beta=st.floats(0.05, 100)
)


def test_specified_check_of_three_observations() -> None:
    p = nig.prior()
    for r in (0.5, -1.0, 2.0):
        p = nig.update(p, r)
    assert (p.m, p.kappa, p.alpha, p.beta) == pytest.approx((0.375, 4, 4.5, 3.34375), abs=1e-12)


@given(rs, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_the_batch_is_equal(values: list[float], shuffle: object) -> None:
    mixed = sorted(values, key=lambda _: shuffle.random())  # type: ignore[attr-defined]
    one = two = nig.prior()
    for a, b in zip(values, mixed, strict=True):
        one, two = nig.update(one, a), nig.update(two, b)
    batch = nig.update_all(nig.prior(), values)
    for name in ("m", "kappa", "alpha", "beta"):
        assert getattr(one, name) == pytest.approx(getattr(two, name), abs=1e-9)
        assert getattr(one, name) == pytest.approx(getattr(batch, name), abs=1e-9)


def test_observations_are_clamped() -> None:
    assert nig.update(nig.prior(), -100.0) == nig.update(nig.prior(), -2.0)


def test_variance_of_mu_of_the_prior_is_a_half_and_unknown_without_a_second_moment() -> None:
    assert nig.prior().var_mu == 0.5  # 1 / (1 x (3 - 1))
    assert Posterior(0, 1, 1, 1).var_mu is None


@pytest.mark.parametrize(("kappa", "expected"), [(1, 1 / 11), (10, 0.5), (100, 100 / 110)])
def test_weight_is_kappa_over_kappa_plus_ten(kappa: float, expected: float) -> None:
    assert nig.weight(kappa) == pytest.approx(expected)


def test_an_episode_of_one_half_life_counts_half() -> None:
    evidence = nig.evidence_of([T0 - 34 * DAY_MS, T0 - 68 * DAY_MS], [1.0, 2.0], T0)
    assert (evidence.n, evidence.sum_r, evidence.sum_r2) == pytest.approx((0.75, 1.0, 1.5))
    assert nig.n_eff(nig.posterior_of(evidence)) == pytest.approx(0.75)


def test_forgetting_keeps_the_estimated_variance() -> None:
    wild = [2.0, -2.0] * 200
    fresh = nig.posterior_of(nig.evidence_of([T0 - 1] * 400, wild, T0))
    old = nig.posterior_of(nig.evidence_of([T0 - 34 * DAY_MS] * 400, wild, T0))
    assert fresh.expected_variance == pytest.approx(4, rel=0.02)
    assert old.expected_variance == pytest.approx(4, rel=0.03)  # pulling beta to the prior would give about 2.2


def test_no_evidence_is_the_prior() -> None:
    assert nig.posterior_of(nig.evidence_of([], [], T0)) == nig.prior()


@given(st.lists(st.tuples(st.floats(0, 200), st.floats(-3, 3)), min_size=1, max_size=20))
def test_the_step_form_equals_the_batch_at_any_later_instant(rows: list[tuple[float, float]]) -> None:
    evidence = None
    for day, r in rows:
        evidence = nig.observed(evidence, r, T0 + round(day * DAY_MS))
    assert evidence is not None
    as_of = T0 + 201 * DAY_MS
    step = nig.aged(evidence, as_of)
    batch = nig.evidence_of([T0 + round(day * DAY_MS) for day, _ in rows], [r for _, r in rows], as_of)
    assert (step.n, step.sum_r, step.sum_r2) == pytest.approx((batch.n, batch.sum_r, batch.sum_r2), abs=1e-9)


def test_evidence_cannot_be_made_younger() -> None:
    with pytest.raises(ValueError, match="as_of_ms must not precede"):
        nig.aged(nig.observed(None, 1.0, T0), T0 - 1)


def test_episodes_at_or_after_the_instant_do_not_count() -> None:
    assert nig.evidence_of([T0 - 1, T0, T0 + 1], [1, 1, 1], T0).n == pytest.approx(1)


def integrals(p: Posterior) -> tuple[float, float, float]:
    """The predictive by numerical integration of SciPy's t."""
    scale = math.sqrt(p.beta * (p.kappa + 1) / (p.alpha * p.kappa))
    t = stats.t(2 * p.alpha, p.m, scale)
    points = (p.m, p.m - scale, p.m + scale)
    win = integrate.quad(lambda x: x * t.pdf(x), 0, 2, points=[x for x in points if 0 < x < 2], limit=200)[0]
    loss = integrate.quad(lambda x: -x * t.pdf(x), -2, 0, points=[x for x in points if -2 < x < 0], limit=200)[0]
    return t.sf(0), win + 2 * t.sf(2), loss + 2 * t.cdf(-2)


@pytest.mark.parametrize(
    "p", [nig.prior(), Posterior(0.4, 30, 18, 20), Posterior(-0.6, 5, 5, 3), Posterior(1.5, 101, 53, 1.5)]
)
def test_predictive_equals_numerical_integration(p: Posterior) -> None:
    got = nig.predictive(p)
    assert (got.p_win, got.mean_win, got.mean_loss) == pytest.approx(integrals(p), abs=1e-8)


@given(posteriors)
def test_predictive_mirrors_with_the_mean(p: Posterior) -> None:
    a, b = nig.predictive(p), nig.predictive(Posterior(-p.m, p.kappa, p.alpha, p.beta))
    assert a.p_win == pytest.approx(1 - b.p_win, abs=1e-9)
    assert a.mean_win == pytest.approx(b.mean_loss, abs=1e-9)


@given(posteriors)
def test_predictive_stays_inside_the_clamp(p: Posterior) -> None:
    got = nig.predictive(p)
    assert 0 <= got.p_win <= 1
    assert got.mean_win <= 2 * got.p_win + 1e-9
    assert got.mean_loss <= 2 * (1 - got.p_win) + 1e-9


@given(st.lists(posteriors, min_size=1, max_size=10))
def test_predictive_of_many_equals_one_by_one(many: list[Posterior]) -> None:
    m, kappa, alpha, beta = ([getattr(p, name) for p in many] for name in ("m", "kappa", "alpha", "beta"))
    for i, row in enumerate(zip(*nig.predictive_arrays(m, kappa, alpha, beta), strict=True)):
        one = nig.predictive(many[i])
        assert row == pytest.approx((one.p_win, one.mean_win, one.mean_loss), abs=1e-12)


def test_predictive_needs_a_mean() -> None:
    with pytest.raises(ValueError, match=r"alpha must exceed 0\.5"):
        nig.predictive(Posterior(0, 1, 0.5, 1))
    with pytest.raises(ValueError, match=r"alpha must exceed 0\.5"):
        nig.predictive_arrays([0, 0], [1, 1], [3, 0.5], [1, 1])


@pytest.mark.parametrize("bad", [(math.nan, 1, 1, 1), (0, 0, 1, 1), (0, 1, -1, 1), (0, 1, 1, math.inf)])
def test_a_posterior_of_bad_numbers_is_refused(bad: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="kappa, alpha, beta"):
        Posterior(*bad)


def test_learning_leaves_out_what_must_not_be_learnt() -> None:
    good = [episode(1.0, 1), episode(-0.5, 2)]
    bad = [
        episode(2.0, 3, is_gap=True),
        episode(2.0, 3, first_seen_mid_life=True),
        episode(2.0, 3, r_gross=None, r_gross_unclamped=None),
    ]
    as_of = T0 + 10 * DAY_MS
    assert learn(good + bad, as_of) == learn(good, as_of)


def test_learning_as_of_an_instant_does_not_see_later_episodes() -> None:
    past = [episode(1.0, 1), episode(-0.5, 2)]
    assert learn([*past, episode(-2.0, 10)], T0 + 10 * DAY_MS) == learn(past, T0 + 10 * DAY_MS)


def test_a_holder_of_losers_is_learnt_as_a_winner_and_caught_by_the_unclamped_mean() -> None:
    # spec 1.3: 90 % x .3 R and 10 % x -5 R is truly -.23 and learnt as +.07
    record = [episode(0.3 if i % 10 else -5.0, i / 1000) for i in range(1000)]
    learnt = learn(record, T0 + DAY_MS)
    assert learnt.posterior.m == pytest.approx(0.07, abs=0.005)
    assert learnt.mean_gross_unclamped == pytest.approx(-0.23, abs=0.005)
    assert learnt.share_below_clamp == pytest.approx(0.1)
    assert not has_enough_mean(learnt.n_eff, learnt.mean_gross_unclamped)


@pytest.mark.parametrize(
    ("n_eff", "mean", "expected"), [(9.9, -1.0, True), (10, 0.0, False), (10, 0.01, True), (10, None, False)]
)
def test_the_unclamped_mean_must_be_positive_from_ten_episodes(
    n_eff: float, mean: float | None, expected: bool
) -> None:
    assert has_enough_mean(n_eff, mean) is expected


def test_learning_counts_wins_and_sums_net_r() -> None:
    learnt = learn([episode(1.0, 1, net_r=0.9), episode(0.0, 2, net_r=-0.1), episode(-1.0, 3)], T0 + 4 * DAY_MS)
    assert (learnt.n_episodes, learnt.n_wins, learnt.last_closed_at_ms) == (3, 1, T0 + 3 * DAY_MS)
    assert learnt.total_r == pytest.approx(-0.2)
    assert learnt.mean_r == pytest.approx(-0.2 / 3)


def test_learning_of_nothing_is_the_prior_with_unknown_means() -> None:
    learnt = learn([], T0)
    assert learnt.posterior == nig.prior()
    assert (learnt.mean_gross_unclamped, learnt.share_below_clamp, learnt.mean_r) == (None, None, None)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 60), st.floats(-4, 4)), max_size=40),
    st.floats(0, 80),
)
def test_learning_of_many_equals_one_by_one(rows: list[tuple[int, float, float]], as_of_day: float) -> None:
    as_of = T0 + round(as_of_day * DAY_MS)
    times = np.array([T0 + round(day * DAY_MS) for _, day, _ in rows], dtype=np.int64)
    table = learn_many([i for i, _, _ in rows], times, [r for _, _, r in rows], 4, as_of)
    for i in range(4):
        one = learn([episode(r, day) for who, day, r in rows if who == i], as_of)
        got = (table.m[i], table.kappa[i], table.alpha[i], table.beta[i], table.n_eff[i], table.weight[i])
        p = one.posterior
        assert got == pytest.approx((p.m, p.kappa, p.alpha, p.beta, one.n_eff, one.weight), abs=1e-9)
        assert table.n_episodes[i] == one.n_episodes
        for value, expected in (
            (table.mean_gross_unclamped[i], one.mean_gross_unclamped),
            (table.share_below_clamp[i], one.share_below_clamp),
        ):
            assert np.isnan(value) if expected is None else value == pytest.approx(expected, abs=1e-9)


def test_an_unknown_r_is_refused_by_the_fast_form() -> None:
    with pytest.raises(ValueError, match="r_gross_unclamped must be finite"):
        learn_many([0], [T0], [math.nan], 1, T0 + 1)


@pytest.mark.parametrize("index", [-1, 2])
def test_a_trader_index_outside_is_refused_by_the_fast_form(index: int) -> None:
    with pytest.raises(ValueError, match="trader must be an index"):
        learn_many([index], [T0], [0.5], 2, T0 + 1)


def test_settings_change_prior_and_half_life() -> None:
    params = PosteriorParams(prior_m=0.1, prior_kappa=2, half_life_days=10)
    evidence = nig.evidence_of([T0 - 10 * DAY_MS], [1.0], T0, params)
    p = nig.posterior_of(evidence, params)
    assert p.m == pytest.approx((0.2 + 0.5) / 2.5)
    assert nig.n_eff(p, params) == pytest.approx(0.5)


@given(rate=st.floats(0.05, 5.0), days=st.integers(2, 400))
def test_attainable_n_eff_is_what_a_steady_rate_grows_to(rate: float, days: int) -> None:
    params = PosteriorParams()
    ages = np.arange(0.5 / rate, days, 1.0 / rate)
    if not len(ages):
        return
    closed = T0 - (ages * DAY_MS).astype(np.int64)
    now = float(nig.discount(closed, T0, params).sum())
    limit = rate * params.half_life_days / np.log(2.0)
    one_more = 1.0 / -np.expm1(-np.log(2.0) * ages[-1] / params.half_life_days)
    got = float(nig.attainable_n_eff(now, closed.min(), T0, params))
    assert limit <= got * (1 + 1e-3)
    assert got <= limit + 2 * one_more


def test_attainable_n_eff_of_somebody_without_an_episode_is_unknown() -> None:
    assert np.isnan(nig.attainable_n_eff(0.0, T0, T0))
