"""What the simulated world's truth says of the method: who is in the pool, what that costs, who copies whom, how well
probabilities and EVs are calibrated (spec 8). The only part of the product that may ask the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sigmapilot_core.domain.consensus.gates import GATE_NAMES
from sigmapilot_core.domain.evaluation.ablation import gate_worth
from sigmapilot_core.domain.evaluation.baselines import copies, greedy, random_order
from sigmapilot_core.domain.evaluation.day_model import Learner, Standing
from sigmapilot_core.domain.evaluation.record import VenueRecord
from sigmapilot_core.domain.evaluation.replay import Judged
from sigmapilot_core.domain.evaluation.simulated import record_of
from sigmapilot_core.domain.evaluation.summary import CONSENSUS, other_pools, traded
from sigmapilot_core.domain.evaluation.survivorship import Survivorship, listing, survivorship
from sigmapilot_core.domain.evaluation.truth_trades import Stopped, Traded, stopped_of, traded_of
from sigmapilot_core.domain.evaluation.walk_forward import FoldRules, Walk, walk
from sigmapilot_core.domain.params import DAY_MS, Params
from sigmapilot_core.domain.simulation.truth import Truth
from sigmapilot_core.domain.simulation.world import World
from sigmapilot_core.domain.traders.thompson import Score

POOL_DAYS = (30, 60, 90)
REGRET_DAYS = (35, 45, 55, 65, 75, 85)
RULES = FoldRules(learn_days=38, warm_up_days=60, test_days=15, gap_days=7)
HISTORY_DAYS = 91
TRADERS = 1000
"""Of a world that is asked: the pool of 50 must be a choice among many, not a sixth of everybody."""
THOMPSON, GREEDY, UNIFORM, LEADERBOARD = "Thompson", "posterior mean", "uniform", "leaderboard order"
KNOWN = "truth known, eligible only"
_K_GATE = GATE_NAMES.index("effective_k")


@dataclass(frozen=True, slots=True)
class PoolTruth:
    """One pool on one day. `precision`: share of it with skill, or copying someone with skill; `recall`: share of all
    listed traders with skill who are in it; `deciders`: distinct minds over size, a copy being its leader's.

    Two stricter readings of precision: `own_skill` leaves copies out, `skilled_minds` counts each mind with skill once,
    however many of the pool share it. None in worlds stored before they were asked.
    """

    day: int
    strategy: str
    size: int
    precision: float
    recall: float
    deciders: float
    own_skill: float | None = None
    skilled_minds: float | None = None


@dataclass(frozen=True, slots=True)
class Regret:
    """Mean true net R of an episode of the best possible pool, minus that of the pool chosen; mean over days."""

    strategy: str
    net_r: float


@dataclass(frozen=True, slots=True)
class Copied:
    """Decisions that pass the other gates, with or without the effective-K gate. `one_mind`: all who agree are one
    leader and his copies. `too_few_minds`: fewer minds agree than voters are needed; includes the former."""

    method: str
    has_gate: bool
    n: int
    one_mind: int
    too_few_minds: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """One decision that passed, and what came of it. `n_agreeing` heads of `minds` minds."""

    day: int
    p_raw: float
    p_mapped: float
    gross_raw_r: float
    gross_mapped_r: float
    gross_r: float
    cost_r: float
    n_agreeing: int
    minds: int


@dataclass(frozen=True, slots=True)
class SeedTruth:
    """Everything asked of one world."""

    seed: int
    pools: tuple[PoolTruth, ...]
    regrets: tuple[Regret, ...]
    copied: tuple[Copied, ...]
    outcomes: tuple[Outcome, ...]
    traded: tuple[Traded, ...] = ()
    stopped: tuple[Stopped, ...] = ()
    survivors: Survivorship | None = None


def ask(world: World, params: Params, rules: FoldRules = RULES) -> SeedTruth:
    """Ask the truth of one world; takes about a minute of processor time at the default size."""
    record, truth = record_of(world), Truth(world)
    learner = Learner.of(record, params)
    until_ms = record.start_ms + (rules.warm_up_days + rules.test_days) * DAY_MS
    own = walk(learner, params, rules, until_ms=until_ms)
    phi = replace(params, correlation=replace(params.correlation, method="phi"))
    by_phi = walk(
        Learner(record, learner.market, learner.episodes, phi), phi, rules, only_tests=True, until_ms=until_ms
    )
    mind = minds_of(record, truth)
    seed = world.settings.seed
    walks = {CONSENSUS: own, **other_pools(learner, params, rules, own, seed, until_ms=until_ms)}
    listed = listing(record, until_ms)
    made = copies(learner, own.folds[0].start_ms, until_ms, params, listed)
    gates = gate_worth(record.minutes, own.judged_in_tests(), own.tested(), params.outcome, seed)
    return SeedTruth(
        seed=seed,
        pools=tuple(row for day in POOL_DAYS for row in _pools(learner, truth, day, params, seed)),
        regrets=_regrets(learner, truth, params, seed),
        copied=tuple(
            row for name, one in (("cosine", own), ("phi", by_phi)) for row in _copied(name, one, mind, params)
        ),
        outcomes=_outcomes(own, mind),
        traded=traded_of(traded(walks, made, params)),
        stopped=stopped_of(gates),
        survivors=survivorship(listed, learner.liquidated(until_ms), made.user, made.result_r),
    )


def minds_of(record: VenueRecord, truth: Truth) -> dict[int, int]:
    """Who decides for each address: its leader, or itself; accounts that are not listed are their own."""
    index = record.index_of
    leaders = {i: truth.leader(address) for i, address in enumerate(record.addresses)}
    return {i: index.get(leader, i) if leader is not None else i for i, leader in leaders.items()}


def chosen_by(learner: Learner, standing: Standing, params: Params, seed: int) -> dict[str, tuple[str, ...]]:
    """The pool of a day by each strategy; leaderboard order is its first rows, as many as a pool has."""
    ranks: dict[str, Score | None] = {THOMPSON: None, GREEDY: greedy, UNIFORM: random_order(seed)}
    pools = {
        name: tuple(drawn.address for drawn in learner.select(standing, rank).pool) for name, rank in ranks.items()
    }
    rows = learner.record.board(standing.as_of_ms) or ()
    pools[LEADERBOARD] = tuple(row.address for row in rows[: params.bandit.pool_size])
    return pools


def _pools(learner: Learner, truth: Truth, day: int, params: Params, seed: int) -> list[PoolTruth]:
    at_ms = learner.record.start_ms + day * DAY_MS
    standing = learner.standing(at_ms)
    if standing is None:
        return []
    skilled = {one.address for one in standing.candidates if truth.is_skilled(one.address, at_ms)}
    pools = chosen_by(learner, standing, params, seed)
    pools[KNOWN] = _known_best(standing, truth, skilled, len(pools[THOMPSON]), params)
    return [_pool_truth(day, name, pool, truth, skilled) for name, pool in pools.items()]


def _pool_truth(day: int, name: str, pool: Sequence[str], truth: Truth, skilled: set[str]) -> PoolTruth:
    found = skilled & set(pool)
    size = max(1, len(pool))
    return PoolTruth(
        day=day,
        strategy=name,
        size=len(pool),
        precision=len(found) / size,
        recall=len(found) / max(1, len(skilled)),
        deciders=len({_mind(truth, address) for address in pool}) / size,
        own_skill=sum(truth.leader(address) is None for address in found) / size,
        skilled_minds=len({_mind(truth, address) for address in found}) / size,
    )


def _known_best(standing: Standing, truth: Truth, skilled: set[str], size: int, params: Params) -> tuple[str, ...]:
    """The best that any ranking of the eligible could choose: each mind with skill once, itself before its copies, then
    further copies of skill, then the rest."""
    eligible = sorted(standing.candidates[i].address for i in standing.eligible(params))
    own_first = sorted(
        eligible, key=lambda address: (address not in skilled, truth.leader(address) is not None, address)
    )
    seen: set[str] = set()
    repeated = {}
    for address in own_first:
        mind = _mind(truth, address)
        repeated[address] = mind in seen
        seen.add(mind)
    return tuple(sorted(own_first, key=lambda address: (address not in skilled, repeated[address]))[:size])


def _mind(truth: Truth, address: str) -> str:
    return truth.leader(address) or address


def _regrets(learner: Learner, truth: Truth, params: Params, seed: int) -> tuple[Regret, ...]:
    gaps: dict[str, list[float]] = {}
    for day in REGRET_DAYS:
        at_ms = learner.record.start_ms + day * DAY_MS
        standing = learner.standing(at_ms)
        if standing is None:
            continue
        pools = chosen_by(learner, standing, params, seed)
        dead = learner.liquidated(at_ms)
        alive = [address for i, address in enumerate(learner.record.addresses) if i not in dead]
        best = _best_edge(truth, alive, at_ms, len(pools[THOMPSON]))
        for name, pool in pools.items():
            gaps.setdefault(name, []).append(best - _mean_edge(truth, pool, at_ms))
    return tuple(Regret(name, float(np.mean(values))) for name, values in gaps.items())


def _best_edge(truth: Truth, addresses: Sequence[str], at_ms: int, size: int) -> float:
    """Mean net edge of the best pool of a size: where good traders are too few, accounts without ideas are next."""
    return float(np.mean(sorted(_edges(truth, addresses, at_ms), reverse=True)[:size])) if size else 0.0


def _mean_edge(truth: Truth, pool: Sequence[str], at_ms: int) -> float:
    return float(np.mean(_edges(truth, pool, at_ms))) if pool else 0.0


def _edges(truth: Truth, pool: Sequence[str], at_ms: int) -> list[float]:
    """Net edges, R; accounts that trade without ideas have none."""
    edges = (truth.edge(address, at_ms) for address in pool)
    return [0.0 if edge is None else edge.net_r for edge in edges]


def _copied(method: str, own: Walk, mind: dict[int, int], params: Params) -> list[Copied]:
    tested = [one for one in own.judged if own.fold_of(one.decided_at_ms) is not None]
    rows = []
    for has_gate in (True, False):
        passed = [one for one in tested if _passes(one, has_gate)]
        minds = [len({mind[user] for user in one.agreeing}) for one in passed]
        few = sum(n < params.consensus.min_traders for n in minds)
        rows.append(Copied(method, has_gate, len(passed), sum(n == 1 for n in minds), few))
    return rows


def _passes(one: Judged, has_gate: bool) -> bool:
    return all(verdict is True for i, verdict in enumerate(one.passed) if has_gate or i != _K_GATE)


def _outcomes(own: Walk, mind: dict[int, int]) -> tuple[Outcome, ...]:
    rows = []
    for one in own.tested():
        j = one.judged
        known = (j.p_raw, j.p_win, j.win_r, j.loss_r, j.gross_r, j.cost_r, one.gross_r)
        if any(value is None for value in known):
            continue
        p_raw, p_win, win, loss, gross, cost, realised = (float(value or 0.0) for value in known)
        raw = p_raw * win - (1 - p_raw) * loss
        minds = len({mind[user] for user in j.agreeing})
        day = j.decided_at_ms // DAY_MS
        rows.append(Outcome(day, p_raw, p_win, raw, gross, realised, cost, len(j.agreeing), minds))
    return tuple(rows)
