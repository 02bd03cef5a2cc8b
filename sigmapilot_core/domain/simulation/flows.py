"""Trades that do not depend on prices: market makers, high-frequency traders and, live, the background.

They are generated a block at a time. A maker's inventory is a random walk reflected at its limits, so it is flat on
average and never large.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.params import DAY_MS
from sigmapilot_core.domain.simulation.keys import Draw, mix, stream, unit
from sigmapilot_core.domain.simulation.kinds import Kind
from sigmapilot_core.domain.simulation.orders import SLICE, Flag, OrderDesk, no_slices
from sigmapilot_core.domain.simulation.population import Population
from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.ticks import MICRO, units_per_usd

INVENTORY_LIMIT = {Kind.MAKER: 6, Kind.HFT: 2}
BACKGROUND_SIZE_SIGMA = 1.0


class InventoryFlow:
    """Market makers and high-frequency traders: one walk per (account, coin), carried from block to block."""

    def __init__(self, settings: WorldSettings, population: Population, desk: OrderDesk) -> None:
        self._seed = settings.seed
        self._desk = desk
        traits = population.traits
        active = traits["orders_per_day"][:, None] * population.coin_weight
        self._user, self._coin = np.nonzero(active > 0)
        self._per_day = active[self._user, self._coin]
        kind = population.kind[self._user]
        self._limit = np.where(kind == Kind.MAKER, INVENTORY_LIMIT[Kind.MAKER], INVENTORY_LIMIT[Kind.HFT])
        self._rests = np.where(kind == Kind.MAKER, 1.0, traits["maker"][self._user])
        px = np.array([coin.start_px for coin in settings.coins]) * units_per_usd(
            [coin.sz_decimals for coin in settings.coins]
        )
        notional = np.minimum(traits["size"][self._user] * traits["equity0"][self._user], 40_000 * MICRO)
        self._lots = np.maximum(1, notional / px[self._coin]).astype(np.int64)
        self._walk = np.zeros(self._user.size, dtype=np.int64)

    def slices(self, block_index: int, start_ms: int, end_ms: int) -> NDArray[np.void]:
        """Slices of a block, unordered."""
        rng = stream(self._seed, "inventory", block_index)
        counts = rng.poisson(self._per_day * (end_ms - start_ms) / DAY_MS)
        pair = np.repeat(np.arange(counts.size), counts)
        total = pair.size
        t = start_ms + 1 + (rng.random(total) * (end_ms - start_ms - 1)).astype(np.int64)
        t = t[np.lexsort((t, pair))]
        step = np.where(rng.random(total) < 0.5, 1, -1)
        first = np.cumsum(counts) - counts
        walked = np.cumsum(step)
        walked += np.repeat(self._walk - (walked - step)[np.minimum(first, total - 1)], counts) if total else 0
        side = reflected(walked, self._limit[pair]) - reflected(walked - step, self._limit[pair])
        np.add.at(self._walk, pair, step)
        slices = np.zeros(total, dtype=SLICE)
        slices["t"], slices["user"], slices["coin"] = t, self._user[pair], self._coin[pair]
        slices["key"] = mix(self._seed, block_index, np.arange(total), 3)
        slices["lots"] = side * self._lots[pair]
        slices["flags"] = np.where(rng.random(total) < self._rests[pair], Flag.MAKER, 0)
        slices["counter"] = -1
        return self._desk.complete(slices)


class BackgroundFlow:
    """Everybody else, trading with one another; listed one by one only in live time."""

    def __init__(self, settings: WorldSettings, population: Population, desk: OrderDesk) -> None:
        self._settings = settings
        self._desk = desk
        self._accounts = population.background
        coins = settings.coins
        self._rate = np.array([coin.trades_per_s for coin in coins])
        mean_usd = np.array([coin.day_volume_usd for coin in coins]) / 86_400 / self._rate
        self._median_usd = mean_usd * np.exp(-(BACKGROUND_SIZE_SIGMA**2) / 2)

    def slices(self, block_index: int, start_ms: int, end_ms: int, marks: NDArray[np.int64]) -> NDArray[np.void]:
        """Slices of a block, unordered; `marks` at its start set the sizes."""
        rng = stream(self._settings.seed, "background", block_index)
        counts = rng.poisson(self._rate * (end_ms - start_ms) / 1000)
        coin = np.repeat(np.arange(counts.size), counts)
        total = coin.size
        slices = np.zeros(total, dtype=SLICE)
        slices["t"] = start_ms + 1 + (rng.random(total) * (end_ms - start_ms - 1)).astype(np.int64)
        slices["coin"] = coin
        usd = self._median_usd[coin] * np.exp(BACKGROUND_SIZE_SIGMA * rng.standard_normal(total))
        lots = np.maximum(1, usd * MICRO / marks[coin]).astype(np.int64)
        slices["lots"] = np.where(rng.random(total) < 0.5, lots, -lots)
        slices["key"] = mix(self._settings.seed, block_index, np.arange(total), 4)
        seat = (unit(slices["key"], Draw.HEDGE) * self._accounts.size).astype(np.int64)
        other = (
            seat + 1 + (unit(slices["key"], Draw.NOTICE) * (self._accounts.size - 1)).astype(np.int64)
        ) % self._accounts.size
        slices["user"], slices["counter"] = self._accounts[seat], self._accounts[other]
        return self._desk.complete(slices) if total else no_slices()


def reflected(walk: NDArray[np.int64], limit: NDArray[np.int64]) -> NDArray[np.int64]:
    """A walk on all integers folded into [-limit, limit]; steps of one stay steps of one."""
    position = np.mod(walk + limit, 4 * limit)
    return np.where(position <= 2 * limit, position, 4 * limit - position) - limit
