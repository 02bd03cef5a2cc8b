"""From intended changes of positions to slices: one slice is one fill to be, without its price.

A leg is executed by the trader and, seconds later, by the copies; each in one or several orders, each order in one or
several fills, against a background account or a market maker who lays the risk off again.
"""

from __future__ import annotations

from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.simulation.desk import Role
from sigmapilot_core.domain.simulation.keys import Draw, Floats, Keys, between, mix, unit
from sigmapilot_core.domain.simulation.kinds import Kind
from sigmapilot_core.domain.simulation.plans import TWAP_SLICES, TWAP_STEP_MS
from sigmapilot_core.domain.simulation.population import Population
from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.ticks import MICRO

SLICE = np.dtype(
    [
        ("t", "i8"),
        ("key", "u8"),
        ("user", "i4"),
        ("counter", "i4"),
        ("coin", "i2"),
        ("lots", "i8"),
        ("level", "i2"),
        ("flags", "u1"),
        ("oid", "i8"),
        ("counter_oid", "i8"),
        ("twap_id", "i8"),
    ]
)
"""One fill to be. `lots` is signed for `user`; `level` how deep in the book a taker's fill is."""

COUNTERED_BY_MAKER = 0.25
MIN_FILL_USD = 12.0
MAX_FILLS = 4
OID_BITS = 16


class Flag(IntFlag):
    """What kind of fill it is, for the user of the slice."""

    MAKER = 1
    TWAP = 2
    LIQUIDATION = 4


def no_slices() -> NDArray[np.void]:
    """An empty array of slices."""
    return np.zeros(0, dtype=SLICE)


def in_order(slices: NDArray[np.void]) -> NDArray[np.void]:
    """Slices by time, ties by key: the order of execution."""
    return slices[np.lexsort((slices["key"], slices["t"]))]


class Pending:
    """Slices whose time has not come."""

    def __init__(self) -> None:
        self._slices = no_slices()

    def add(self, slices: NDArray[np.void]) -> None:
        """Queue slices, in any order."""
        if len(slices):
            self._slices = np.concatenate([self._slices, slices])

    def pop(self, to_ms: int) -> NDArray[np.void]:
        """Take out what is due up to and including an instant, in no particular order."""
        due = self._slices["t"] <= to_ms
        if not due.any():
            return no_slices()
        taken, self._slices = self._slices[due], self._slices[~due]
        return taken


class OrderDesk:
    """Turns legs into slices."""

    def __init__(self, settings: WorldSettings, population: Population) -> None:
        self._population = population
        self._start_ms = settings.start_ms
        self._depth_micro = np.array([coin.depth_usd for coin in settings.coins]) * MICRO
        self._background = population.background
        makers = np.flatnonzero(population.kind == Kind.MAKER)
        self._makers = [makers[population.coin_weight[makers, c] > 0] for c in range(len(settings.coins))]

    def slices(self, legs: NDArray[np.void]) -> NDArray[np.void]:
        """Slices of the legs and of the copies' legs, with the market makers' hedges, unordered."""
        if not len(legs):
            return no_slices()
        row, users = self._participants(legs)
        key, at, lots = self._intents(legs, row, users)
        kept = np.flatnonzero(lots)
        return self._orders(legs[row[kept]], users[kept], key[kept], at[kept], lots[kept])

    def _participants(self, legs: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(row of the leg, account) of the trader and his copies."""
        leader = legs["user"].astype(np.int64)
        start = self._population.copy_start
        counts = 1 + start[leader + 1] - start[leader]
        row = np.repeat(np.arange(len(legs)), counts)
        rank = np.arange(row.size) - np.repeat(np.cumsum(counts) - counts, counts)
        is_copy = rank > 0
        users = leader[row]
        users[is_copy] = self._population.copies[start[users[is_copy]] + rank[is_copy] - 1]
        return row, users

    def _intents(
        self, legs: NDArray[np.void], row: NDArray[np.int64], users: NDArray[np.int64]
    ) -> tuple[Keys, NDArray[np.int64], NDArray[np.int64]]:
        """(key, time, signed lots) of every participant. A copy scales all parts of a trip alike and so ends flat."""
        leg = legs[row]
        traits = self._population.traits[users]
        is_copy = users != leg["user"]
        ratio = np.where(is_copy, traits["copy_ratio"], 1.0)
        miss = np.where(is_copy, traits["copy_miss"], 0.0)

        def scaled(name: str) -> NDArray[np.int64]:
            return np.floor(leg[name] * ratio + 0.5).astype(np.int64)

        entry = scaled("entry_lots")
        is_part = leg["role"] == Role.PART
        opening = np.where(is_part, np.minimum(scaled("open_lots"), entry), scaled("open_lots"))
        closing = np.where(is_part, 0, entry + scaled("add_lots") - np.minimum(scaled("part_lots"), entry))
        opens = unit(mix(leg["open_key"], users), Draw.MISS) >= miss
        closes = unit(mix(leg["close_key"], users), Draw.MISS) >= miss
        lots = leg["open_sign"] * opening * opens + leg["close_sign"] * closing * closes
        delay = 1_000 + 59_000 * unit(mix(leg["open_key"], users), Draw.COPY_DELAY) ** 1.5
        return mix(leg["open_key"], leg["role"], users), leg["t"] + (delay * is_copy).astype(np.int64), lots

    def _orders(
        self,
        legs: NDArray[np.void],
        users: NDArray[np.int64],
        key: Keys,
        at: NDArray[np.int64],
        lots: NDArray[np.int64],
    ) -> NDArray[np.void]:
        """Split intents into orders and orders into slices."""
        traits = self._population.traits[users]
        is_single = (users != legs["user"]) | legs["is_liquidation"] | (legs["close_sign"] * legs["open_sign"] != 0)
        is_twap = traits["is_twap"] & (legs["role"] == Role.ENTRY) & ~is_single
        count = np.where(is_twap, TWAP_SLICES, np.where(is_single, 1, _children(key, legs["role"])))
        notional = np.abs(lots) * legs["px"]
        count = np.clip(count, 1, np.maximum(1, notional // (MIN_FILL_USD * MICRO))).astype(np.int64)
        parent, child = _expand(count)
        order_key = mix(key[parent], child, np.uint64(Draw.ORDER))
        step = np.where(is_twap[parent], TWAP_STEP_MS, between(key[parent], Draw.OFFSET, 2_000.0, 8_000.0))
        slices = np.zeros(parent.size, dtype=SLICE)
        slices["t"] = at[parent] + (child * step).astype(np.int64)
        slices["key"], slices["user"], slices["coin"] = order_key, users[parent], legs["coin"][parent]
        slices["lots"] = _share(lots[parent], count[parent], child)
        slices["twap_id"] = np.where(is_twap[parent], (key[parent] & np.uint64(0xFFFFFF)).astype(np.int64) + 1, 0)
        liquidated = legs["is_liquidation"][parent]
        rests = (unit(order_key, Draw.MAKER) < traits["maker"][parent]) & ~is_twap[parent] & ~liquidated
        slices["flags"] = rests * Flag.MAKER + is_twap[parent] * Flag.TWAP + liquidated * Flag.LIQUIDATION
        return self._fills(slices, legs["px"][parent])

    def _fills(self, orders: NDArray[np.void], px: Floats) -> NDArray[np.void]:
        """One slice per fill, and the hedges of market makers."""
        self._choose_counterparties(orders)
        hedges = self._hedges(orders)
        notional = np.abs(orders["lots"]) * px
        count = 1 + (notional / self._depth_micro[orders["coin"]]).astype(np.int64)
        count = np.clip(count, 1, MAX_FILLS)
        orders["oid"] = self.oid(orders["t"], orders["key"])
        parent, child = _expand(count)
        slices = orders[parent]
        slices["lots"] = _share(orders["lots"][parent], count[parent], child)
        slices["key"] = mix(orders["key"][parent], child)
        is_maker = (slices["flags"] & Flag.MAKER) > 0
        slices["level"] = np.where(is_maker, 0, child)
        pause = between(orders["key"][parent], Draw.OFFSET, 300.0, 3_000.0)
        slices["t"] += np.where(is_maker, (child * pause).astype(np.int64), 0)
        return self.complete(np.concatenate([slices[slices["lots"] != 0], hedges]))

    def complete(self, slices: NDArray[np.void]) -> NDArray[np.void]:
        """Fill in background counterparties and order ids where there are none yet."""
        unnamed = slices["counter"] < 0
        pick = unit(slices["key"], Draw.COUNTERPARTY) * len(self._background)
        slices["counter"] = np.where(unnamed, self._background[pick.astype(np.int64)], slices["counter"])
        slices["oid"] = np.where(slices["oid"] == 0, self.oid(slices["t"], slices["key"]), slices["oid"])
        rested = between(slices["key"], Draw.RESTING, 50.0, 60_000.0).astype(np.int64)
        placed = slices["t"] - np.where((slices["flags"] & Flag.MAKER) > 0, 1, rested)
        slices["counter_oid"] = self.oid(placed, mix(slices["key"], np.uint64(Draw.RESTING)))
        return slices

    def oid(self, t: NDArray[np.int64], key: Keys) -> NDArray[np.int64]:
        """Order ids: milliseconds since the start, then 16 bits of the key."""
        low = (key & np.uint64((1 << OID_BITS) - 1)).astype(np.int64)
        return np.maximum(t - self._start_ms, 1) * (1 << OID_BITS) + low

    def _choose_counterparties(self, orders: NDArray[np.void]) -> None:
        """A market maker for a share of taking orders, the liquidator for liquidations, later the background."""
        orders["counter"] = -1
        is_taking = (orders["flags"] & (Flag.MAKER | Flag.LIQUIDATION)) == 0
        wanted = is_taking & (unit(orders["key"], Draw.COUNTERPARTY) < COUNTERED_BY_MAKER)
        pick = unit(orders["key"], Draw.HEDGE)
        for coin, makers in enumerate(self._makers):
            rows = np.flatnonzero(wanted & (orders["coin"] == coin)) if makers.size else np.zeros(0, dtype=np.int64)
            orders["counter"][rows] = makers[(pick[rows] * makers.size).astype(np.int64)]
        orders["counter"][(orders["flags"] & Flag.LIQUIDATION) > 0] = self._background[0]

    def _hedges(self, orders: NDArray[np.void]) -> NDArray[np.void]:
        """What market makers took over they pass on within 90 s, at the other side of the book."""
        maker_countered = np.isin(self._population.kind[orders["counter"]], Kind.MAKER) & (orders["counter"] >= 0)
        hedges = orders[maker_countered]
        hedges["user"] = hedges["counter"]
        hedges["counter"] = -1
        hedges["t"] += between(hedges["key"], Draw.HEDGE_DELAY, 1_000.0, 90_000.0).astype(np.int64)
        hedges["key"] = mix(hedges["key"], np.uint64(Draw.HEDGE))
        hedges["flags"], hedges["twap_id"], hedges["oid"] = Flag.MAKER, 0, 0
        return hedges


def _children(key: Keys, role: NDArray[np.int16]) -> NDArray[np.int64]:
    """Orders per leg: 1, 2 or 3 for entries, 1 or 2 for exits, else 1."""
    u = unit(key, Draw.CHILDREN)
    entry = 1 + (u > 0.55).astype(np.int64) + (u > 0.85)
    return np.where(role == Role.ENTRY, entry, np.where(role == Role.EXIT, 1 + (u > 0.7), 1))


def _expand(count: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(row, position within the row) of `count` copies of every row."""
    row = np.repeat(np.arange(count.size), count)
    return row, np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)


def _share(lots: NDArray[np.int64], count: NDArray[np.int64], child: NDArray[np.int64]) -> NDArray[np.int64]:
    """Equal signed shares that sum to `lots`; the first ones take the remainder."""
    size = np.abs(lots)
    return np.sign(lots) * (size // count + (child < size % count))
