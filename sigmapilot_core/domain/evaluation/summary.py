"""The walk-forward report: every strategy in R per trade and in total, per fold and over all, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sigmapilot_core.domain.evaluation.ablation import GateWorth, gate_worth
from sigmapilot_core.domain.evaluation.baselines import Copies, copies, greedy, of_pools, random_order
from sigmapilot_core.domain.evaluation.bootstrap import (
    Interval,
    Sums,
    day_of,
    difference_interval,
    mean_interval,
)
from sigmapilot_core.domain.evaluation.calibration import ProbabilityScore, score_probability
from sigmapilot_core.domain.evaluation.day_model import Learner
from sigmapilot_core.domain.evaluation.drift import InputDrift, drift_of
from sigmapilot_core.domain.evaluation.scoring import Scored, within_limits
from sigmapilot_core.domain.evaluation.sharpe import DeflatedSharpe, deflated_sharpe
from sigmapilot_core.domain.evaluation.survivorship import Survivorship, listing, survivorship
from sigmapilot_core.domain.evaluation.walk_forward import Fold, FoldRules, Progress, Walk, walk
from sigmapilot_core.domain.params import DAY_MS, Params

CONSENSUS, LIMITED = "consensus", "consensus, portfolio limits"
GREEDY, RANDOM = "consensus, pool by posterior mean", "consensus, random pool"
POOL, EVERYBODY, NO_TRADE = "pool copied one by one", "all leaderboard traders", "no trade"


@dataclass(frozen=True, slots=True)
class Line:
    """One strategy in one fold (None: all of them): trades, mean R after costs with its interval, sum of R.

    `margin` is the consensus' mean minus this one's, days resampled for both alike.
    """

    strategy: str
    fold: int | None
    mean_r: Interval
    total_r: float
    margin: Interval


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `sigmapilot evaluate` prints. `ev_gap` is realised minus estimated gross R of the decisions that passed."""

    folds: tuple[Fold, ...]
    lines: tuple[Line, ...]
    ev_gap: Interval
    raw_ev_gap: Interval
    probability: ProbabilityScore | None
    raw_probability: ProbabilityScore | None
    gates: tuple[GateWorth, ...]
    sharpe: DeflatedSharpe | None
    survivorship: Survivorship
    drift: tuple[InputDrift, ...]


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades of one strategy as columns: when, R after costs, and how much each counts in the mean."""

    name: str
    decided_ms: np.ndarray
    result_r: np.ndarray
    weights: np.ndarray


def evaluate(
    learner: Learner,
    params: Params,
    rules: FoldRules | None = None,
    *,
    seed: int = 1,
    compares: bool = True,
    progress: Progress | None = None,
) -> Evaluation:
    """Walk, compare, calibrate. `compares` runs the two other pools through the same decisions, which takes as long
    again each."""
    rules = rules or FoldRules()
    own = walk(learner, params, rules, progress=progress)
    walks = {CONSENSUS: own}
    if compares:
        walks |= other_pools(learner, params, rules, own, seed, progress=progress)
    end_ms = own.folds[-1].end_ms
    listed = listing(learner.record, end_ms)
    made = copies(learner, own.folds[0].start_ms, end_ms, params, listed)
    strategies = traded(walks, made, params)
    lines = [line for one in strategies for line in _lines(one, strategies[0], own.folds, seed)]
    tested = own.tested()
    return Evaluation(
        folds=own.folds,
        lines=tuple(lines),
        ev_gap=ev_gap(tested, seed),
        raw_ev_gap=ev_gap(tested, seed, is_raw=True),
        probability=_probability(tested, is_raw=False),
        raw_probability=_probability(tested, is_raw=True),
        gates=gate_worth(learner.record.minutes, own.judged_in_tests(), tested, params.outcome, seed),
        sharpe=deflated_sharpe([daily_r(limited(one, params), own) for one in walks.values()]),
        survivorship=survivorship(listed, learner.liquidated(end_ms), made.user, made.result_r),
        drift=drift_of(own),
    )


def other_pools(
    learner: Learner,
    params: Params,
    rules: FoldRules,
    own: Walk,
    seed: int,
    *,
    until_ms: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Walk]:
    """Two other pools of the same size through the same decisions, with the maps that were published then."""
    ranks = {GREEDY: greedy, RANDOM: random_order(seed)}
    return {
        name: walk(learner, params, rules, rank=rank, maps=own.maps, until_ms=until_ms, progress=progress)
        for name, rank in ranks.items()
    }


def traded(walks: Mapping[str, Walk], made: Copies, params: Params) -> list[Trades]:
    """What every strategy traded in the test days, the one that is judged first; `made` are everybody's copies."""
    own = walks[CONSENSUS]
    strategies = [_decisions(name, one.tested()) for name, one in walks.items()]
    strategies.insert(1, _decisions(LIMITED, limited(own, params)))
    nothing = Trades(NO_TRADE, np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))
    return [*strategies, *_copied(own, made), nothing]


def limited(one: Walk, params: Params) -> list[Scored]:
    """Test decisions an account with the portfolio's limits could have taken, those with a known end."""
    inside = [item for item in one.scored if one.fold_of(item.judged.decided_at_ms) is not None]
    return [item for item in within_limits(inside, params.risk) if item.result_r is not None]


def ev_gap(tested: Sequence[Scored], seed: int, *, is_raw: bool = False) -> Interval:
    """Mean of realised minus estimated gross R, days resampled."""
    name = "gross_raw_r" if is_raw else "gross_r"
    gaps = [(one.gross_r or 0.0) - getattr(one.judged, name) for one in tested]
    return mean_interval(gaps, _days(tested), seed)


def daily_r(trades: Sequence[Scored], one: Walk) -> np.ndarray:
    """Sum of R by day of the decision, days without a trade being 0."""
    first, last = one.folds[0].start_ms // DAY_MS, one.folds[-1].end_ms // DAY_MS
    at = np.array([item.judged.decided_at_ms // DAY_MS - first for item in trades], dtype=np.int64)
    return np.bincount(at, weights=[item.result_r or 0.0 for item in trades], minlength=int(last - first))


def _days(tested: Sequence[Scored]) -> np.ndarray:
    return day_of([one.judged.decided_at_ms for one in tested])


def _decisions(name: str, tested: Sequence[Scored]) -> Trades:
    times = np.array([one.judged.decided_at_ms for one in tested], dtype=np.int64)
    result = np.array([one.result_r for one in tested], dtype=np.float64)
    return Trades(name, times, result, np.ones(len(tested)))


def _copied(own: Walk, made: Copies) -> list[Trades]:
    in_pool = of_pools(made, own.models)
    return [
        Trades(POOL, made.opened_ms[in_pool], made.result_r[in_pool], np.ones(int(in_pool.sum()))),
        Trades(EVERYBODY, made.opened_ms, made.result_r, made.per_trader_weights()),
    ]


def _keys(folds: Sequence[Fold]) -> list[int | None]:
    return [*(fold.index for fold in folds), None]


def _lines(trades: Trades, own: Trades, folds: Sequence[Fold], seed: int) -> list[Line]:
    lines = []
    for index in _keys(folds):
        fold = None if index is None else folds[index]
        here, ours = _sums(trades, fold), _sums(own, fold)
        if trades.name == NO_TRADE:
            lines.append(Line(NO_TRADE, index, Interval(0.0, 0.0, 0.0, 0, 0), 0.0, ours.mean(seed)))
            continue
        total = float(trades.result_r[_inside(trades, fold)].sum())
        lines.append(Line(trades.name, index, here.mean(seed), total, difference_interval(ours, here, seed)))
    return lines


def _inside(trades: Trades, fold: Fold | None) -> np.ndarray:
    """Which trades a fold decided."""
    at_ms = trades.decided_ms
    return np.ones(len(at_ms), dtype=np.bool_) if fold is None else (at_ms >= fold.start_ms) & (at_ms < fold.end_ms)


def _sums(trades: Trades, fold: Fold | None) -> Sums:
    rows = _inside(trades, fold)
    weights = trades.weights[rows]
    return Sums(weights * trades.result_r[rows], weights, day_of(trades.decided_ms[rows]))


def _probability(tested: Sequence[Scored], *, is_raw: bool) -> ProbabilityScore | None:
    p: ArrayLike = [(one.judged.p_raw if is_raw else one.judged.p_win) or 0.0 for one in tested]
    won = [(one.gross_r or 0.0) > 0 for one in tested]
    return score_probability(np.clip(p, 1e-6, 1 - 1e-6), won)
