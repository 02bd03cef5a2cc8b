"""What trading earned in simulated worlds beside the baselines, and what each gate was worth: over worlds (spec 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sigmapilot_core.domain.evaluation.ablation import GateWorth
from sigmapilot_core.domain.evaluation.bootstrap import Interval, Sums, difference_interval
from sigmapilot_core.domain.evaluation.summary import CONSENSUS, NO_TRADE, Trades


@dataclass(frozen=True, slots=True)
class Traded:
    """Trades of one strategy in one world: how many, their weights and weighted R after costs summed."""

    strategy: str
    n: int
    weight: float
    weighted_r: float


@dataclass(frozen=True, slots=True)
class Stopped:
    """Decisions of one world that one gate alone stopped: how many have ended, and the sum of their R after costs."""

    gate: str
    n: int
    sum_r: float


@dataclass(frozen=True, slots=True)
class TradedLine:
    """One strategy over worlds: mean R after costs, and the consensus' mean minus it, the same worlds resampled."""

    strategy: str
    mean_r: Interval
    margin: Interval


@dataclass(frozen=True, slots=True)
class GateLine:
    """One gate over worlds. `stopped` is the mean R of what it alone stopped; `margin` is the mean R of what passed
    minus that: above 0 the gate stopped worse than what it let pass. `saved_r` = -sum of R of the stopped."""

    gate: str
    stopped: Interval
    margin: Interval
    saved_r: float


def traded_of(strategies: Sequence[Trades]) -> tuple[Traded, ...]:
    """Sums of one world."""
    return tuple(
        Traded(one.name, len(one.result_r), float(one.weights.sum()), float(one.weights @ one.result_r))
        for one in strategies
    )


def stopped_of(gates: Sequence[GateWorth]) -> tuple[Stopped, ...]:
    """Sums of one world."""
    return tuple(Stopped(row.gate, row.stopped.n, -row.saved_r) for row in gates)


def traded_lines(worlds: Sequence[Sequence[Traded]], seed: int) -> tuple[TradedLine, ...]:
    """Worlds put together: sums of worlds over sums of their weights."""
    names = list(dict.fromkeys(row.strategy for world in worlds for row in world))
    found = {name: _sums([(i, row.weighted_r, row.weight) for i, w in enumerate(worlds) for row in w
                          if row.strategy == name]) for name in names}  # fmt: skip
    lines = []
    for name in names:
        if name == NO_TRADE:
            lines.append(TradedLine(name, Interval(0.0, 0.0, 0.0, 0, 0), found[CONSENSUS].mean(seed)))
            continue
        n = sum(row.n for world in worlds for row in world if row.strategy == name)
        margin = difference_interval(found[CONSENSUS], found[name], seed)
        lines.append(TradedLine(name, replace(found[name].mean(seed), n=n), margin))
    return tuple(lines)


def gate_lines(
    worlds: Sequence[Sequence[Stopped]], traded: Sequence[Sequence[Traded]], seed: int
) -> tuple[GateLine, ...]:
    """Worlds put together; what passed is what the consensus traded."""
    names = list(dict.fromkeys(row.gate for world in worlds for row in world))
    passed = _sums([(i, row.weighted_r, row.weight) for i, world in enumerate(traded) for row in world
                    if row.strategy == CONSENSUS])  # fmt: skip
    lines = []
    for name in names:
        rows = [(i, row.sum_r, float(row.n)) for i, world in enumerate(worlds) for row in world if row.gate == name]
        stopped = _sums(rows)
        n = int(sum(count for _, _, count in rows))
        margin = difference_interval(passed, stopped, seed)
        lines.append(GateLine(name, replace(stopped.mean(seed), n=n), margin, -sum(r for _, r, _ in rows) or 0.0))
    return tuple(lines)


def _sums(rows: Sequence[tuple[int, float, float]]) -> Sums:
    world, top, bottom = np.array(rows, dtype=np.float64).reshape(-1, 3).T
    return Sums(top, bottom, world.astype(np.int64))
