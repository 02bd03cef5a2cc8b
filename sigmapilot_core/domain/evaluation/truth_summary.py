"""Worlds put together: each figure with its interval over worlds, beside the goals of the specification (spec 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sigmapilot_core.domain.evaluation.bootstrap import Interval, over_seeds, ratio_interval
from sigmapilot_core.domain.evaluation.calibration import ProbabilityScore, score_probability
from sigmapilot_core.domain.evaluation.survivorship import Survivorship
from sigmapilot_core.domain.evaluation.truth_report import (
    KNOWN,
    LEADERBOARD,
    POOL_DAYS,
    THOMPSON,
    Copied,
    Outcome,
    PoolTruth,
    SeedTruth,
)
from sigmapilot_core.domain.evaluation.truth_trades import GateLine, TradedLine, gate_lines, traded_lines

MAX_EV_GAP_R = 0.05
MIN_EV_DECISIONS = 500
WANTED_PRECISION_RATIO = 2.0
WANTED_COPIED_RATIO = 0.1
VOTER_BOUNDS = (3, 4, 6, 10, 1000)


@dataclass(frozen=True, slots=True)
class PoolLine:
    """One strategy on one day, over worlds."""

    day: int
    strategy: str
    precision: Interval
    recall: Interval
    deciders: Interval
    own_skill: Interval
    skilled_minds: Interval


@dataclass(frozen=True, slots=True)
class RegretLine:
    """Regret of a strategy in net R an episode, over worlds."""

    strategy: str
    net_r: Interval


@dataclass(frozen=True, slots=True)
class CopiedLine:
    """Shares of gate-passing decisions, over worlds: sums of decisions of a world over sums of its decisions."""

    method: str
    has_gate: bool
    decisions: int
    one_mind: Interval
    too_few_minds: Interval


@dataclass(frozen=True, slots=True)
class GapLine:
    """Realised minus estimated gross R of some decisions, over worlds; `raw` without the calibration maps.

    `mapped_by_day` is the same gap with days of worlds resampled: narrower, for it leaves out that a world's days share
    one population and one fit of the maps.
    """

    name: str
    realised_r: Interval
    raw: Interval
    mapped: Interval
    mapped_by_day: Interval


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal of the specification: `is_met` None is unknown."""

    name: str
    wanted: str
    measured: str
    is_met: bool | None


@dataclass(frozen=True, slots=True)
class TruthReport:
    """Everything the truth of several worlds says."""

    seeds: tuple[int, ...]
    pools: tuple[PoolLine, ...]
    regrets: tuple[RegretLine, ...]
    copied: tuple[CopiedLine, ...]
    gaps: tuple[GapLine, ...]
    raw_probability: ProbabilityScore | None
    mapped_probability: ProbabilityScore | None
    goals: tuple[Goal, ...]
    traded: tuple[TradedLine, ...] = ()
    gates: tuple[GateLine, ...] = ()
    survivors: tuple[Survivorship, ...] = ()


def report_of(worlds: Sequence[SeedTruth], bootstrap_seed: int = 1) -> TruthReport:
    """Put worlds together. Errors: ValueError without a world, or with one twice."""
    seeds = tuple(world.seed for world in worlds)
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds are {seeds}; allowed is one world or more, each once")
    pools = _pools(worlds, bootstrap_seed)
    copied = _copied(worlds, bootstrap_seed)
    gaps = _gaps(worlds, bootstrap_seed)
    outcomes = [one for world in worlds for one in world.outcomes]
    won = [one.gross_r > 0 for one in outcomes]
    asked = [world for world in worlds if world.traded]  # worlds stored by an older report were not asked this
    return TruthReport(
        seeds=seeds,
        pools=pools,
        regrets=_regrets(worlds, bootstrap_seed),
        copied=copied,
        gaps=gaps,
        raw_probability=score_probability(_inside(one.p_raw for one in outcomes), won),
        mapped_probability=score_probability(_inside(one.p_mapped for one in outcomes), won),
        goals=(_precision_goal(pools, worlds, bootstrap_seed), _gap_goal(gaps), _copied_goal(copied)),
        traded=traded_lines([world.traded for world in asked], bootstrap_seed),
        gates=gate_lines([world.stopped for world in asked], [world.traded for world in asked], bootstrap_seed),
        survivors=tuple(world.survivors for world in asked if world.survivors is not None),
    )


def _pools(worlds: Sequence[SeedTruth], seed: int) -> tuple[PoolLine, ...]:
    keys = list(dict.fromkeys((row.day, row.strategy) for world in worlds for row in world.pools))
    lines = []
    for day, strategy in keys:
        rows = [row for world in worlds for row in world.pools if (row.day, row.strategy) == (day, strategy)]
        lines.append(PoolLine(day, strategy, *(over_seeds(_each(rows, name), seed) for name in _POOL_FIGURES)))
    return tuple(lines)


_POOL_FIGURES = ("precision", "recall", "deciders", "own_skill", "skilled_minds")


def _each(rows: Iterable[PoolTruth], name: str) -> list[float]:
    """A figure of each row; rows that were not asked for it say nothing."""
    return [float(value) for row in rows if (value := getattr(row, name)) is not None]


def _regrets(worlds: Sequence[SeedTruth], seed: int) -> tuple[RegretLine, ...]:
    names = list(dict.fromkeys(row.strategy for world in worlds for row in world.regrets))
    return tuple(
        RegretLine(name, over_seeds([r.net_r for world in worlds for r in world.regrets if r.strategy == name], seed))
        for name in names
    )


def _copied(worlds: Sequence[SeedTruth], seed: int) -> tuple[CopiedLine, ...]:
    keys = list(dict.fromkeys((row.method, row.has_gate) for world in worlds for row in world.copied))
    lines = []
    for method, has_gate in keys:
        rows = [(i, row) for i, world in enumerate(worlds) for row in world.copied]
        rows = [(i, row) for i, row in rows if (row.method, row.has_gate) == (method, has_gate)]
        total = sum(row.n for _, row in rows)
        shares = (_share(rows, lambda row: row.one_mind, seed), _share(rows, lambda row: row.too_few_minds, seed))
        lines.append(CopiedLine(method, has_gate, total, *shares))
    return tuple(lines)


def _share(rows: Sequence[tuple[int, Copied]], count: Callable[[Copied], int], seed: int) -> Interval:
    return ratio_interval([count(row) for _, row in rows], [row.n for _, row in rows], [i for i, _ in rows], seed)


def _gaps(worlds: Sequence[SeedTruth], seed: int) -> tuple[GapLine, ...]:
    rows = [(i, one) for i, world in enumerate(worlds) for one in world.outcomes]
    lines = [_gap("all", rows, seed)]
    for low, high in pairwise(VOTER_BOUNDS):
        chosen = [(i, one) for i, one in rows if low <= one.n_agreeing < high]
        last = "more" if high == VOTER_BOUNDS[-1] else str(high - 1)
        lines.append(_gap(f"{low} agree" if high == low + 1 else f"{low} to {last} agree", chosen, seed))
    return tuple(lines)


def _gap(name: str, rows: Sequence[tuple[int, Outcome]], seed: int) -> GapLine:
    world = [i for i, _ in rows]
    ones = np.ones(len(rows))
    mapped = [one.gross_r - one.gross_mapped_r for _, one in rows]
    raw = [one.gross_r - one.gross_raw_r for _, one in rows]
    days = [i * _DAYS + one.day for i, one in rows]
    return GapLine(
        name,
        realised_r=ratio_interval([one.gross_r for _, one in rows], ones, world, seed),
        raw=ratio_interval(raw, ones, world, seed),
        mapped=ratio_interval(mapped, ones, world, seed),
        mapped_by_day=ratio_interval(mapped, ones, days, seed),
    )


_DAYS = 1_000_000
"""More than the days since 1970: world and day as one number."""


def _precision_goal(pools: Sequence[PoolLine], worlds: Sequence[SeedTruth], seed: int) -> Goal:
    """The pool's precision against that of the leaderboard's order; a share cannot exceed 1. Two stricter readings of
    precision stand beside it and do not decide."""
    day = POOL_DAYS[1]
    lines = {line.strategy: line for line in pools if line.day == day}
    name = f"pool precision at {day} days over leaderboard order"
    wanted = f"at least {WANTED_PRECISION_RATIO:g} x"
    ours, theirs, best = lines.get(THOMPSON), lines.get(LEADERBOARD), lines.get(KNOWN)
    ratio = None if ours is None or theirs is None else _ratio(ours.precision, theirs.precision)
    if ours is None or theirs is None or ratio is None:
        return Goal(name, wanted, "unknown", None)
    between = _ratio_over_worlds(worlds, day, seed)
    parts = [_compared("", ours.precision, theirs.precision, None if best is None else best.precision, between)]
    for label in ("own_skill", "skilled_minds"):
        most = None if best is None else getattr(best, label)
        parts.append(_compared(f"{label.replace('_', ' ')} ", getattr(ours, label), getattr(theirs, label), most))
    return Goal(name, wanted, "; ".join(parts), ratio >= WANTED_PRECISION_RATIO)


def _ratio_over_worlds(worlds: Sequence[SeedTruth], day: int, seed: int) -> Interval | None:
    """The pool's precision over that of leaderboard order, worlds resampled for both alike."""
    found = {(world.seed, row.strategy): row.precision for world in worlds for row in world.pools if row.day == day}
    seeds = [world.seed for world in worlds if {(world.seed, THOMPSON), (world.seed, LEADERBOARD)} <= found.keys()]
    if len(seeds) < 2:
        return None
    ours, theirs = ([found[one, name] for one in seeds] for name in (THOMPSON, LEADERBOARD))
    return ratio_interval(ours, theirs, seeds, seed)


def _ratio(ours: Interval, theirs: Interval) -> float | None:
    return ours.value / theirs.value if ours.value is not None and theirs.value else None


def _compared(
    label: str, ours: Interval, theirs: Interval, best: Interval | None, between: Interval | None = None
) -> str:
    ratio = _ratio(ours, theirs)
    if ratio is None or not theirs.value:
        return f"{label}unknown"
    most = 1.0 if best is None or best.value is None else best.value
    limits = "" if between is None or between.low is None else f" [{between.low:.2f}, {between.high:.2f}]"
    return (
        f"{label}{ratio:.2f} x{limits} ({ours.value:.2f} against {theirs.value:.2f}; "
        f"{most / theirs.value:.2f} x is the most)"
    )


def _gap_goal(gaps: Sequence[GapLine]) -> Goal:
    """Bias of the mapped EV over every decision that passed."""
    mapped = gaps[0].mapped
    enough = mapped.value is not None and mapped.n >= MIN_EV_DECISIONS
    is_met = abs(mapped.value) < MAX_EV_GAP_R if enough and mapped.value is not None else None
    wanted = f"below {MAX_EV_GAP_R:g} R over at least {MIN_EV_DECISIONS} decisions"
    return Goal("|realised - estimated gross EV|", wanted, str(mapped), is_met)


def _copied_goal(copied: Sequence[CopiedLine]) -> Goal:
    """Share caused by one copied leader, with the gate over without it, by the default method."""
    shares = {line.has_gate: line.too_few_minds.value for line in copied if line.method == "cosine"}
    name = "decisions that one leader's copies made possible, with the K gate over without"
    wanted = f"at most {WANTED_COPIED_RATIO:g} x"
    with_gate, without = shares.get(True), shares.get(False)
    if with_gate is None or not without:
        return Goal(name, wanted, "unknown", None)
    shown = f"{with_gate / without:.3f} x ({with_gate:.4f} against {without:.4f})"
    return Goal(name, wanted, shown, with_gate / without <= WANTED_COPIED_RATIO)


def _inside(p: Iterable[float]) -> np.ndarray:
    """A mapped probability may be 0 or 1, whose log score is infinite."""
    return np.clip(np.fromiter(p, dtype=np.float64), 1e-6, 1 - 1e-6)
