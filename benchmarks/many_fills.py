"""Fills of many traders, and episodes folded from them in a process for each processor, as the asset does."""

from __future__ import annotations

import gc
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.params import DAY_MS, MINUTE_MS
from sigmapilot_core.domain.traders.history import build_history

FILLS_PER_TRADER = 400
BEGIN_MS = 20_000 * DAY_MS
_TRADERS_AT_ONCE = 125  # 50,000 fills, which is what the asset hands to a process at a time


@dataclass(frozen=True, slots=True)
class FoldCost:
    """What the fold of one share took, without making the fills; `process` is who did it."""

    process: int
    wall_s: float
    processor_s: float
    n_fills: int
    n_episodes: int


def address(trader: int) -> str:
    """A trader's address."""
    return f"0x{trader:040x}"


def fills_of_trader(trader: int, count: int = FILLS_PER_TRADER) -> list[Fill]:
    """Buys and sells of one trader in one coin, mixed, a minute apart; each with numbers of its own, as when read."""
    rng = np.random.Generator(np.random.Philox(key=trader))
    buys, ticks, lots = rng.random(count) < 0.5, rng.integers(0, 100, count), rng.integers(1, 400, count)
    user, prices, sizes = address(trader), (50_000 + ticks).tolist(), lots.tolist()
    drawn = enumerate(zip(buys.tolist(), prices, sizes, strict=True))
    return [
        Fill(user, "BTC", is_buy, Decimal(px), Decimal(lot) / 1000, BEGIN_MS + i * MINUTE_MS, i, crossed=True)
        for i, (is_buy, px, lot) in drawn
    ]


def fold_cost(first_trader: int, n_traders: int) -> FoldCost:
    """Fold some traders, one after another, in this process."""
    histories = [fills_of_trader(trader) for trader in range(first_trader, first_trader + n_traders)]
    gc.collect()
    wall, processor = time.perf_counter(), time.process_time()
    n_episodes = 0
    for fills in histories:
        found = build_history(fills, sz_decimals={"BTC": 5}, stop_at=lambda _c, _t: 0.02, assume_flat=True)
        n_episodes += len(found.episodes)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return FoldCost(os.getpid(), wall, processor, sum(map(len, histories)), n_episodes)


def folded_by_all(n_fills: int) -> list[FoldCost]:
    """So many fills folded by a process for each processor."""
    n_traders = n_fills // FILLS_PER_TRADER
    firsts = range(0, n_traders, _TRADERS_AT_ONCE)
    counts = [min(_TRADERS_AT_ONCE, n_traders - first) for first in firsts]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), context) as pool:
        return list(pool.map(fold_cost, firsts, counts))


def longest_s(costs: list[FoldCost]) -> float:
    """Seconds by the clock of the process that folded longest."""
    return max(sum(cost.wall_s for cost in costs if cost.process == one) for one in {cost.process for cost in costs})
