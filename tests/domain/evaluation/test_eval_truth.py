"""The truth report: counted by hand on small tables, and once on a world."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.codec import from_json
from sigmapilot_core.domain.consensus.gates import GATE_NAMES
from sigmapilot_core.domain.evaluation.record import VenueRecord
from sigmapilot_core.domain.evaluation.summary import (
    CONSENSUS,
    EVERYBODY,
    GREEDY,
    LIMITED,
    NO_TRADE,
    POOL,
    RANDOM,
)
from sigmapilot_core.domain.evaluation.truth_report import (
    KNOWN,
    LEADERBOARD,
    THOMPSON,
    Copied,
    Outcome,
    PoolTruth,
    Regret,
    SeedTruth,
    ask,
    minds_of,
)
from sigmapilot_core.domain.evaluation.truth_summary import report_of
from sigmapilot_core.domain.evaluation.truth_trades import Stopped, Traded
from sigmapilot_core.domain.evaluation.walk_forward import FoldRules
from sigmapilot_core.domain.params import DAY_MS, Params
from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.truth import Truth
from sigmapilot_core.domain.simulation.world import World


def seed_truth(seed: int, ours: float, theirs: float, stopped: int, realised: float) -> SeedTruth:
    """A world of 400 decisions that estimated 0.5 R."""
    outcome = Outcome(1, 0.8, 0.7, 0.6, 0.5, realised, 0.1, 3, 3)
    return SeedTruth(
        seed,
        pools=(
            PoolTruth(60, THOMPSON, 50, ours, 0.5, 0.9, 0.7, 0.6),
            PoolTruth(60, LEADERBOARD, 50, theirs, 0.2, 1.0, 0.25, 0.2),
        ),
        regrets=(Regret(THOMPSON, 0.04),),
        copied=(Copied("cosine", True, 400, 0, stopped), Copied("cosine", False, 500, 20, 50)),
        outcomes=(outcome,) * 400,
    )


def test_goals_are_judged_on_all_worlds_together() -> None:
    report = report_of([seed_truth(1, 0.9, 0.4, 2, 0.52), seed_truth(2, 0.7, 0.3, 4, 0.46)])
    precision, gap, copied = report.goals
    assert precision.is_met is True
    assert precision.measured.startswith("2.29 x [2.25, 2.33] (0.80 against 0.35; 2.86 x is the most")
    assert precision.measured.endswith("skilled minds 3.00 x (0.60 against 0.20; 5.00 x is the most)")
    assert gap.is_met is True
    assert report.gaps[0].mapped.value == pytest.approx(-0.01)
    assert report.gaps[0].raw.value == pytest.approx(-0.11)
    assert copied.is_met is True
    assert copied.measured == "0.075 x (0.0075 against 0.1000)"


def test_a_world_that_was_not_asked_for_a_figure_says_nothing_of_it() -> None:
    older = seed_truth(1, 0.9, 0.4, 2, 0.5)
    older = replace(older, pools=tuple(replace(row, own_skill=None, skilled_minds=None) for row in older.pools))
    alone, both = report_of([older]), report_of([older, seed_truth(2, 0.7, 0.3, 4, 0.46)])
    assert alone.pools[0].own_skill.value is None
    assert (both.pools[0].own_skill.value, both.pools[0].own_skill.n) == (0.7, 1)


def test_what_was_traded_and_stopped_is_put_together_over_worlds() -> None:
    first = replace(
        seed_truth(1, 0.9, 0.4, 2, 0.5),
        traded=(Traded(CONSENSUS, 10, 10.0, 6.0), Traded(RANDOM, 10, 10.0, 2.0), Traded(NO_TRADE, 0, 0.0, 0.0)),
        stopped=(Stopped("effective_k", 4, 1.0),),
    )
    second = replace(
        first,
        seed=2,
        traded=(Traded(CONSENSUS, 30, 30.0, 10.0), *first.traded[1:]),
        stopped=(Stopped("effective_k", 0, 0.0),),
    )
    ours, random, nothing = report_of([first, second, seed_truth(3, 0.9, 0.4, 2, 0.5)]).traded
    assert (ours.mean_r.value, ours.mean_r.n) == (pytest.approx(16 / 40), 40)
    assert ours.margin.value == pytest.approx(0.0)
    assert random.margin.value == pytest.approx(16 / 40 - 4 / 20)
    assert (nothing.mean_r.value, nothing.margin.value) == (0.0, pytest.approx(16 / 40))
    (gate,) = report_of([first, second]).gates
    assert (gate.stopped.value, gate.stopped.n, gate.saved_r) == (pytest.approx(0.25), 4, -1.0)
    assert gate.margin.value == pytest.approx(16 / 40 - 0.25)


def test_goals_that_are_missed_or_unknown_are_said_to_be() -> None:
    report = report_of([seed_truth(1, 0.9, 0.7, 9, 0.7)])
    assert [goal.is_met for goal in report.goals] == [False, None, False], "400 decisions are fewer than 500"


def test_worlds_count_once() -> None:
    with pytest.raises(ValueError, match="each once"):
        report_of([seed_truth(1, 0.9, 0.4, 0, 0.5)] * 2)


def test_a_copy_has_the_mind_of_its_leader(eval_world: World, record: VenueRecord) -> None:
    truth = Truth(eval_world)
    mind = minds_of(record, truth)
    copies = [address for address in record.addresses if truth.kind(address) == "copy"]
    assert copies
    for address in copies:
        leader = truth.leader(address)
        assert leader is not None
        assert mind[record.index_of[address]] == record.index_of[leader]
    assert sum(user != decider for user, decider in mind.items()) == len(copies)


@pytest.mark.slow
def test_a_world_is_asked_everything() -> None:
    world = World(WorldSettings(seed=4, epoch_ms=20_370 * DAY_MS, traders=150, history_days=91))
    found = ask(world, Params(), FoldRules(learn_days=50, warm_up_days=60, test_days=4, gap_days=7))
    assert {row.day for row in found.pools} == {30, 60, 90}
    assert all(0 <= row.precision <= 1 and 0 <= row.recall <= 1 for row in found.pools)
    regret = {row.strategy: row.net_r for row in found.regrets}
    assert 0 <= regret[THOMPSON] < regret["uniform"]
    with_gate, without = found.copied[:2]
    assert with_gate.n < without.n
    assert with_gate.too_few_minds / max(1, with_gate.n) < without.too_few_minds / without.n
    assert found.outcomes
    best = {row.day: row for row in found.pools if row.strategy == KNOWN}
    for row in found.pools:
        assert row.skilled_minds <= row.precision
        assert row.own_skill <= row.precision
        if row.strategy == THOMPSON:
            assert row.precision <= best[row.day].precision
            assert row.skilled_minds <= best[row.day].skilled_minds
    names = [row.strategy for row in found.traded]
    assert names == [CONSENSUS, LIMITED, GREEDY, RANDOM, POOL, EVERYBODY, NO_TRADE]
    assert found.traded[0].n == len(found.outcomes)
    assert [row.gate for row in found.stopped] == list(GATE_NAMES)
    assert found.survivors is not None
    assert found.survivors.listed >= found.survivors.gone
    assert from_json(SeedTruth, canonical_json(found), "world") == found
