"""Deposits and withdrawals, planned at midnight for the day ahead; they distort every return computed from equity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.params import DAY_MS, HOUR_MS
from sigmapilot_core.domain.simulation.accounts import FLOW
from sigmapilot_core.domain.simulation.keys import mix, stream
from sigmapilot_core.domain.simulation.kinds import Kind
from sigmapilot_core.domain.simulation.population import Population
from sigmapilot_core.domain.simulation.ticks import MICRO

MOVERS_SHARE = 0.25
PER_DAY = 0.06
DEPOSIT_SHARE = 0.6
SHARE_OF_EQUITY = (0.05, 0.20)


def planned_flows(
    seed: int, day_ms: int, population: Population, equity: NDArray[np.int64], dead: set[int], flat: NDArray[np.bool_]
) -> NDArray[np.void]:
    """Cash flows of the day that starts at `day_ms`, by time. A liquidated account takes out what is left."""
    n = len(population)
    rng = stream(seed, "flows", day_ms // DAY_MS)
    moves = mix(seed, np.arange(n), 10) % np.uint64(1000) < np.uint64(1000 * MOVERS_SHARE)
    steady = np.isin(population.kind, (Kind.MAKER, Kind.HFT, Kind.MASTER, Kind.BACKGROUND, Kind.DOOMED))
    chosen = moves & ~steady & (rng.random(n) < PER_DAY) & (equity > 0)
    sign = np.where(rng.random(n) < DEPOSIT_SHARE, 1, -1)
    amount = sign * (rng.uniform(*SHARE_OF_EQUITY, size=n) * equity / MICRO).astype(np.int64) * MICRO
    at = day_ms + 1 + (rng.random(n) * (DAY_MS - 2)).astype(np.int64)
    gone = np.zeros(n, dtype=np.bool_)
    gone[list(dead)] = True
    gone &= flat & (equity > 0)
    amount, at = np.where(gone, -equity, amount), np.where(gone, day_ms + HOUR_MS, at)
    rows = np.flatnonzero((chosen | gone) & (amount != 0))
    flows = np.zeros(rows.size, dtype=FLOW)
    flows["t"], flows["user"], flows["amount"] = at[rows], rows, amount[rows]
    return flows[np.lexsort((flows["user"], flows["t"]))]
