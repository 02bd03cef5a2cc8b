"""Prices of fills, and the book they come from: one rule for both, so that trades and book agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.events import Book, Level
from sigmapilot_core.domain.simulation import ticks
from sigmapilot_core.domain.simulation.keys import Draw, mix, unit
from sigmapilot_core.domain.simulation.orders import Flag
from sigmapilot_core.domain.simulation.path import PricePath
from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.ticks import MICRO

BPS = 1e-4
LEVEL_STEP = 1.0
"""A level deeper costs this many half spreads."""

TRADE = np.dtype(
    [
        ("t", "i8"),
        ("coin", "i2"),
        ("px", "i8"),
        ("sz", "i8"),
        ("buyer", "i4"),
        ("seller", "i4"),
        ("buyer_oid", "i8"),
        ("seller_oid", "i8"),
        ("buyer_start", "i8"),
        ("seller_start", "i8"),
        ("twap_id", "i8"),
        ("flags", "u1"),
        ("is_buyer_taker", "?"),
        ("is_buyer_owner", "?"),
    ]
)
"""One trade. Start positions are filled in by the accounts; `flags` and `twap_id` belong to the owner's side."""


class Exchange:
    """Executes slices at the path's prices."""

    def __init__(self, settings: WorldSettings, path: PricePath) -> None:
        self._path = path
        self._seed = settings.seed
        self._names = settings.coin_names
        self._sz_decimals = np.array([coin.sz_decimals for coin in settings.coins])
        self._half_spread = np.array([coin.half_spread_bps for coin in settings.coins]) * BPS
        self._depth_micro = np.array([coin.depth_usd for coin in settings.coins]) * MICRO

    def trades(self, slices: NDArray[np.void]) -> NDArray[np.void]:
        """Trades of slices in their order. A taker pays half the spread and a level more for every fill of an order;
        prices move to the grid away from the mid, so never to the better."""
        rows = np.zeros(len(slices), dtype=TRADE)
        coin, is_buy = slices["coin"], slices["lots"] > 0
        is_maker = (slices["flags"] & Flag.MAKER) > 0
        mid = self._path.at(coin, slices["t"])
        is_ask = is_buy ^ is_maker
        distance = self._half_spread[coin] * (1.0 + LEVEL_STEP * slices["level"])
        decimals = self._sz_decimals[coin]
        rows["px"] = np.where(
            is_ask, ticks.above(mid * (1.0 + distance), decimals), ticks.below(mid * (1.0 - distance), decimals)
        )
        for name in ("t", "coin", "twap_id", "flags"):
            rows[name] = slices[name]
        rows["sz"] = np.abs(slices["lots"])
        rows["buyer"] = np.where(is_buy, slices["user"], slices["counter"])
        rows["seller"] = np.where(is_buy, slices["counter"], slices["user"])
        rows["buyer_oid"] = np.where(is_buy, slices["oid"], slices["counter_oid"])
        rows["seller_oid"] = np.where(is_buy, slices["counter_oid"], slices["oid"])
        rows["is_buyer_taker"] = is_buy ^ is_maker
        rows["is_buyer_owner"] = is_buy
        return rows

    def book(self, coin: int, time_ms: int, depth: int) -> Book:
        """The book of a coin at an instant: levels a half spread apart around the price, each of about `depth_usd`."""
        mark = float(self._path.at(np.array([coin]), np.array([time_ms]))[0])
        decimals = int(self._sz_decimals[coin])
        key = mix(self._seed, coin, time_ms // 1000, np.arange(2 * depth))
        sizes = (
            self._depth_micro[coin] * (0.4 + 1.2 * unit(key, Draw.SIZE)) * (1.0 + 0.15 * np.tile(np.arange(depth), 2))
        )
        lots = np.maximum(1, sizes / mark).astype(np.int64)
        orders = 1 + (unit(key, Draw.CHILDREN) * 6).astype(np.int64)
        distance = self._half_spread[coin] * (1.0 + LEVEL_STEP * np.arange(depth))
        bids = self._levels(
            -_distinct(-ticks.below(mark * (1.0 - distance), decimals), mark, decimals), lots, orders, decimals
        )
        asks = self._levels(
            _distinct(ticks.above(mark * (1.0 + distance), decimals), mark, decimals),
            lots[depth:],
            orders[depth:],
            decimals,
        )
        return Book(self._names[coin], time_ms, time_ms, bids, asks)

    def _levels(
        self, px: NDArray[np.int64], lots: NDArray[np.int64], orders: NDArray[np.int64], decimals: int
    ) -> tuple[Level, ...]:
        return tuple(
            Level(ticks.px_decimal(p, decimals), ticks.sz_decimal(s, decimals), n)
            for p, s, n in zip(px.tolist(), lots.tolist(), orders.tolist(), strict=False)
        )


def _distinct(px: NDArray[np.int64], mark: float, decimals: int) -> NDArray[np.int64]:
    """Ascending prices at least one tick apart."""
    step = int(ticks.tick(abs(mark), decimals))
    ramp = np.arange(len(px)) * step
    return np.maximum.accumulate(px - ramp) + ramp
