"""The skill test on daily sums and the false-discovery rate (spec 1.5)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from trader_builders import T0, episode

from sigmapilot_core.domain.params import DAY_MS, SkillParams
from sigmapilot_core.domain.traders.skill import (
    SkillTest,
    benjamini_hochberg,
    fdr_qualified,
    skill_of,
    skill_test,
)


def days(*values: tuple[float, ...]) -> tuple[list[int], list[float]]:
    """Closing times and R's of one tuple a day."""
    times = [T0 + d * DAY_MS + i for d, rs in enumerate(values) for i, _ in enumerate(rs)]
    return times, [r for rs in values for r in rs]


def test_p_is_that_of_a_one_sided_t_test_on_daily_sums() -> None:
    rng = np.random.Generator(np.random.Philox(key=3))
    per_day = [tuple(rng.normal(0.2, 1, 3).tolist()) for _ in range(15)]
    got = skill_test(*days(*per_day))
    expected = stats.ttest_1samp([sum(rs) for rs in per_day], 0, alternative="greater")  # SciPy as oracle
    assert got.p_value == pytest.approx(expected.pvalue, abs=1e-12)
    assert (got.n_episodes, got.n_days) == (45, 15)


def test_trades_of_one_day_are_not_independent_evidence() -> None:
    few = skill_test(*days(*[(1.0, 1.0, 1.0)] * 9, (0.0, 0.0, 0.0)))
    many = skill_test(*days(*[(1.0,) * 30] * 9, (0.0,) * 30))
    assert few.p_value == pytest.approx(many.p_value)


def test_fewer_than_thirty_episodes_are_unknown() -> None:
    got = skill_test(*days(*[(0.1 * d,) for d in range(29)]))
    assert (got.p_value, got.reason) == (None, "29 episodes are fewer than 30")


def test_fewer_than_ten_active_days_are_unknown() -> None:
    got = skill_test(*days(*[(0.1 * d,) * 5 for d in range(9)]))
    assert (got.p_value, got.reason) == (None, "9 active days are fewer than 10")


@pytest.mark.parametrize("r", [0.0, 0.3, -0.3])
def test_zero_variance_is_unknown(r: float) -> None:
    got = skill_test(*days(*[(r, r, r)] * 12))
    assert (got.p_value, got.reason) == (None, "daily sums have no variance")


def test_no_episode_is_unknown() -> None:
    assert skill_test([], []) == SkillTest(None, None, 0, 0, None, "0 episodes are fewer than 30")


def test_a_value_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="net_r must be finite"):
        skill_test([T0], [math.nan])


def test_the_test_uses_net_r_of_learnable_episodes_closed_before() -> None:
    good = [episode(1.0, d / 2, net_r=math.sin(d)) for d in range(60)]
    noise = [episode(9.0, 3, is_gap=True), episode(9.0, 31)]
    as_of = T0 + 31 * DAY_MS
    expected = skill_test([e.closed_at_ms for e in good], [math.sin(d) for d in range(60)])
    assert skill_of(good + noise, as_of) == expected


def test_specified_check_accepts_five_of_ten() -> None:
    p = [0.01, 0.02, 0.025, 0.035, 0.045, 0.08, 0.09, 0.1, 0.15, 0.2]
    assert benjamini_hochberg(p, 0.10).tolist() == [True] * 5 + [False] * 5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.sampled_from([0.01, 0.1, 0.3]))
def test_acceptance_equals_scipys_adjusted_p_values(p: list[float], alpha: float) -> None:
    adjusted = stats.false_discovery_control(p)  # second library
    expected = adjusted <= alpha
    clear = np.abs(adjusted - alpha) > 1e-9
    assert (benjamini_hochberg(p, alpha) == expected)[clear].all()


def test_a_later_rank_may_carry_an_earlier_one_over_its_line() -> None:
    assert benjamini_hochberg([0.06, 0.07, 0.08, 0.09], 0.10).all()  # .09 <= 4 x .1 / 4 although .06 > .025


@pytest.mark.parametrize("bad", [math.nan, -0.1, 1.1])
def test_a_p_value_outside_zero_and_one_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"within \[0, 1\]"):
        benjamini_hochberg([0.5, bad])


def test_untestable_traders_have_no_label_and_do_not_count() -> None:
    tests = {
        "0xa": SkillTest(0.04, 2.0, 40, 20, 0.2),
        "0xb": SkillTest(0.9, -1.0, 40, 20, -0.2),
        "0xc": SkillTest(None, None, 3, 2, 0.1, "few"),
    }
    assert fdr_qualified(tests) == {"0xa": True, "0xb": False, "0xc": None}


def test_at_a_true_mean_of_zero_few_are_accepted() -> None:
    rng = np.random.Generator(np.random.Philox(key=11))
    p = [skill_test([T0 + d * DAY_MS for d in range(60)], rng.normal(0, 1, 60)).p_value for _ in range(300)]
    assert benjamini_hochberg(np.array(p, dtype=float)).mean() < 0.02
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_settings_move_the_minimum() -> None:
    params = SkillParams(min_episodes=3, min_active_days=3)
    assert skill_test(*days((1.0,), (2.0,), (0.5,)), params).p_value is not None
