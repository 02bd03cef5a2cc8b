"""The draw of the pool: repeatable, in groups, with reasons (spec 1.6)."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from trader_builders import T0, episode, leaderboard_row

from sigmapilot_core.domain.events import Verdict
from sigmapilot_core.domain.params import DAY_MS, BanditParams
from sigmapilot_core.domain.traders.filters import TraderFacts, evaluate
from sigmapilot_core.domain.traders.learning import learn
from sigmapilot_core.domain.traders.posterior import Posterior
from sigmapilot_core.domain.traders.thompson import (
    MAX_CROWD_EPISODES,
    MIN_CROWD,
    Candidate,
    Crowd,
    Group,
    candidate_of,
    choose_pool,
    crowd_of,
    draws_of,
    group_of,
    philox_key,
    shrunk,
    slots,
)

DAY = dt.date(2025, 11, 20)


def candidate(name: str, n_eff: float = 30, m: float = 0.2, **more: Any) -> Candidate:
    values: dict[str, Any] = {
        "address": name,
        "leaderboard": Verdict.PASS,
        "requests": Verdict.PASS,
        "is_alive": True,
        "posterior": Posterior(m, n_eff + 1, 3 + n_eff / 2, 1 + n_eff / 2),
        "n_eff": n_eff,
        "mean_gross_unclamped": m,
    }
    return Candidate(**(values | more))


def crowd(n_exploit: int, n_explore: int) -> list[Candidate]:
    old = [candidate(f"0xe{i:03}") for i in range(n_exploit)]
    return old + [candidate(f"0xf{i:03}", n_eff=3) for i in range(n_explore)]


def test_key_is_the_first_half_of_the_hash_of_date_and_version() -> None:
    assert f"{philox_key(DAY, 2):032x}" == hashlib.sha256(b"2025-11-20:2").hexdigest()[:32]


def test_the_same_date_and_version_draw_the_same_pool_in_any_input_order() -> None:
    people = crowd(60, 60)
    assert choose_pool(people, DAY, 1) == choose_pool(people[::-1], DAY, 1)


def test_another_version_draws_another_pool() -> None:
    people = crowd(60, 60)
    first, second = choose_pool(people, DAY, 1), choose_pool(people, DAY, 2)
    assert [row.address for row in first.pool] != [row.address for row in second.pool]


def test_the_stored_key_repeats_the_draw() -> None:
    people = crowd(5, 5)
    selection = choose_pool(people, DAY, 1)
    again = draws_of([p.posterior for p in sorted(people, key=lambda p: p.address)], int(selection.key_hex, 16))
    by_address = {row.address: row.draw for row in selection.drawn}
    assert [by_address[name] for name in sorted(by_address)] == again.tolist()


def test_golden_draw_of_the_prior() -> None:
    # own first output, kept so that a change of generator, key or order of draws is noticed
    draws = draws_of([Posterior(0, 1, 3, 1)] * 3, philox_key(DAY, 1))
    assert draws.tolist() == pytest.approx([0.5816198137988402, -0.09940071037209063, 0.44639334039628153], abs=1e-12)


def test_draws_follow_the_marginal_student_t() -> None:
    p = Posterior(0.3, 5, 4, 2)  # mu ~ t with 2 alpha degrees, location m, scale sqrt(beta / (alpha kappa))
    draws = draws_of([p] * 20_000, key=7)
    assert stats.kstest(draws, stats.t(8, 0.3, np.sqrt(2 / (4 * 5))).cdf).pvalue > 0.01


@pytest.mark.parametrize(("size", "expected"), [(50, (40, 10)), (10, (8, 2)), (7, (6, 1)), (3, (2, 1)), (1, (0, 1))])
def test_slots_are_four_fifths_and_at_least_one_to_explore(size: int, expected: tuple[int, int]) -> None:
    assert slots(BanditParams(pool_size=size)) == expected


def test_each_group_fills_its_slots_with_its_best_draws() -> None:
    selection = choose_pool(crowd(60, 60), DAY, 1)
    for group, size in ((Group.EXPLOIT, 40), (Group.EXPLORE, 10)):
        ranked = [row for row in selection.drawn if row.group is group]
        assert [row.slot for row in ranked] == [group] * size + [None] * (60 - size)
    assert selection.reason == ""


def test_ranks_are_by_draw_over_all_eligible() -> None:
    selection = choose_pool(crowd(20, 20), DAY, 1)
    assert [row.rank for row in selection.drawn] == list(range(1, 41))
    assert sorted((row.draw for row in selection.drawn), reverse=True) == [row.draw for row in selection.drawn]


def test_exploit_slots_that_cannot_be_filled_go_to_explore_with_a_reason() -> None:
    selection = choose_pool(crowd(5, 100), DAY, 1)
    assert len(selection.pool) == 50
    spilled = [row for row in selection.pool if row.group is Group.EXPLORE and row.slot is Group.EXPLOIT]
    assert len(spilled) == 35
    assert selection.reason == "35 exploit slots went to explore: only 5 eligible"
    assert all("exploit could not fill" in row.reason for row in spilled)


def test_explore_slots_that_cannot_be_filled_go_to_exploit_with_a_reason() -> None:
    selection = choose_pool(crowd(100, 3), DAY, 1)
    assert len(selection.pool) == 50
    assert sum(row.group is Group.EXPLOIT for row in selection.pool) == 47
    assert selection.reason == "7 explore slots went to exploit: only 3 eligible"


def test_too_few_traders_leave_slots_empty_and_say_so() -> None:
    selection = choose_pool(crowd(2, 3), DAY, 1)
    assert len(selection.pool) == 5
    assert selection.reason == "45 slots are empty: too few eligible traders"


def test_no_candidate_is_an_empty_pool() -> None:
    assert choose_pool([], DAY, 1).pool == ()


def test_equal_draws_are_ordered_by_address() -> None:
    certain = Posterior(0.2, 1e300, 3, 1)  # a spread below the last digit of m: every draw is m
    selection = choose_pool([candidate(name, posterior=certain) for name in ("0xb", "0xa", "0xc")], DAY, 1)
    assert {row.draw for row in selection.drawn} == {0.2}
    assert [row.address for row in selection.drawn] == ["0xa", "0xb", "0xc"]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"leaderboard": Verdict.FAIL}, "filters 1-4: fail"),
        ({"leaderboard": Verdict.UNKNOWN}, "filters 1-4: unknown"),
        ({"requests": Verdict.FAIL}, "filters 5-7: fail"),
        ({"is_alive": False}, "not alive"),
        ({"is_alive": None}, "not known to be alive"),
        ({"mean_gross_unclamped": -0.1}, "mean unclamped gross R -0.100 at n_eff 30.0"),
    ],
)
def test_who_is_not_eligible_is_named_with_the_reason(more: dict[str, Any], reason: str) -> None:
    selection = choose_pool([candidate("0xa", **more)], DAY, 1)
    assert selection.drawn == ()
    assert [(row.address, row.reason) for row in selection.excluded] == [("0xa", reason)]


def test_unknown_requests_compete_for_exploration_only() -> None:
    assert group_of(candidate("0xa", n_eff=50, requests=Verdict.UNKNOWN))[0] is Group.EXPLORE


@pytest.mark.parametrize(("n_eff", "group"), [(19.99, Group.EXPLORE), (20, Group.EXPLOIT)])
def test_twenty_effective_episodes_are_needed_to_exploit(n_eff: float, group: Group) -> None:
    assert group_of(candidate("0xa", n_eff=n_eff))[0] is group


def test_a_negative_mean_is_forgiven_below_ten_episodes() -> None:
    assert group_of(candidate("0xa", n_eff=9, mean_gross_unclamped=-1.0))[0] is Group.EXPLORE


def test_many_lucky_beginners_do_not_take_the_exploit_slots() -> None:
    # spec 1.6: without the bound 500 traders of three episodes take 92 % of the pool
    beginners = [candidate(f"0xf{i:03}", n_eff=3, m=0.0, mean_gross_unclamped=None) for i in range(500)]
    proven = [candidate(f"0xe{i:03}", n_eff=40, m=0.3) for i in range(60)]
    bounded = choose_pool(beginners + proven, DAY, 1)
    unbounded = choose_pool(beginners + proven, DAY, 1, BanditParams(min_episodes=0))
    assert sum(row.address.startswith("0xe") for row in bounded.pool) == 40
    assert sum(row.address.startswith("0xe") for row in unbounded.pool) < 10


def test_who_trades_too_seldom_ever_to_be_known_is_not_explored_unless_asked_for() -> None:
    slow = candidate("0xslow", n_eff=6.3, n_eff_attainable=9.2)
    assert group_of(slow) == (None, "trades too seldom: n_eff 6.3, at this rate never above 9.2")
    assert group_of(replace(slow, requests=Verdict.UNKNOWN))[0] is None
    assert group_of(slow, replace(BanditParams(), explore_slow=True))[0] is Group.EXPLORE


@pytest.mark.parametrize("attainable", [None, 20.0, 400.0])
def test_newcomers_are_explored_while_they_may_still_become_known(attainable: float | None) -> None:
    assert group_of(candidate("0xnew", n_eff=1.0, n_eff_attainable=attainable))[0] is Group.EXPLORE


def test_who_is_known_well_enough_stays_eligible_when_he_slows_down() -> None:
    assert group_of(candidate("0xold", n_eff=20.0, n_eff_attainable=19.0))[0] is Group.EXPLOIT


def test_draws_are_shrunk_towards_the_crowd_by_what_its_mean_is_worth() -> None:
    crowd = Crowd(mean_r=0.1, episodes=20.0)
    few, many = shrunk(Posterior(0.4, 10, 8, 6), crowd), shrunk(Posterior(0.4, 180, 93, 90), crowd)
    assert few == Posterior((10 * 0.4 + 20 * 0.1) / 30, 30, 8, 6)
    assert 0.1 < few.m < many.m < 0.4


def test_the_crowd_is_what_traders_of_known_spread_were_made_with() -> None:
    rng = np.random.default_rng(5)
    kappa = rng.uniform(15, 120, 4000)
    m = rng.normal(0.1, np.sqrt(1 / 25), 4000) + rng.normal(0, 1, 4000) / np.sqrt(kappa)
    crowd = crowd_of([Posterior(a, k, 41, 40) for a, k in zip(m.tolist(), kappa.tolist(), strict=True)])
    assert crowd is not None
    assert crowd.mean_r == pytest.approx(0.1, abs=0.02)
    assert crowd.episodes == pytest.approx(25, rel=0.2)


def test_a_crowd_without_spread_is_worth_its_limit_and_too_few_are_none() -> None:
    alike = [Posterior(0.2, 30, 10, 9)] * MIN_CROWD
    assert crowd_of(alike) == Crowd(pytest.approx(0.2), MAX_CROWD_EPISODES)
    assert crowd_of(alike[1:]) is None


def test_the_crowd_is_everybody_known_and_stands_in_the_selection() -> None:
    people = [
        candidate(f"0x{i:03}", m=0.01 * i, leaderboard=Verdict.PASS if i % 2 else Verdict.FAIL) for i in range(80)
    ]
    drawn = choose_pool([*people, candidate("0xnew", n_eff=3, m=2.0)], DAY, 1)
    assert drawn.crowd == crowd_of([one.posterior for one in people])
    assert choose_pool(people, DAY, 1, replace(BanditParams(), shrink_draws=False)).crowd is None


def test_a_repeated_address_is_refused() -> None:
    with pytest.raises(ValueError, match="distinct addresses"):
        choose_pool([candidate("0xa"), candidate("0xa")], DAY, 1)


def test_a_candidate_takes_its_verdicts_from_filters_and_learning() -> None:
    learnt = learn([episode(1.0, day) for day in range(30)], T0 + 31 * DAY_MS)
    got = candidate_of(evaluate(leaderboard_row(), TraderFacts(10.0, None, True)), learnt, is_alive=True)
    assert (got.leaderboard, got.requests) == (Verdict.PASS, Verdict.UNKNOWN)
    assert got.posterior == learnt.posterior
