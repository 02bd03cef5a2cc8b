"""One-minute candles of the marks, stretched to hold every trade; longer ones are made of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.events import Bar
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, MINUTE_MS
from sigmapilot_core.domain.simulation import ticks
from sigmapilot_core.domain.simulation.columns import Column
from sigmapilot_core.domain.simulation.keys import Floats
from sigmapilot_core.domain.simulation.market import BaseBlock
from sigmapilot_core.domain.simulation.settings import WorldSettings

CANDLE = np.dtype([("open", "i8"), ("high", "i8"), ("low", "i8"), ("close", "i8"), ("volume", "i8")])
OPEN_LOW = 2**62


class Candles:
    """Candles of all coins by minute since the start; the last one may be unfinished."""

    def __init__(self, settings: WorldSettings) -> None:
        self._start_ms = settings.start_ms
        self._coins = settings.coins
        self._decimals = np.array([coin.sz_decimals for coin in settings.coins])
        self._bars = Column((len(settings.coins),), CANDLE, capacity=1 << 12)

    def __len__(self) -> int:
        return len(self._bars)

    def append_history(self, first: NDArray[np.int64], marks: NDArray[np.int64], block: BaseBlock) -> None:
        """A block of minutes: `first` are the marks at its start, `marks` those at the end of every minute.

        Extremes within a minute follow the law of a Brownian bridge: max = (o + c + sqrt((c-o)^2 - 2 s^2 ln u))/2 in
        logs. The volume is what the background traded, unlisted.
        """
        bars = np.zeros(marks.shape, dtype=CANDLE)
        bars["open"] = np.vstack([first[None, :], marks[:-1]])
        bars["close"] = marks
        o, c = np.log(bars["open"]), np.log(marks)
        spread = -2.0 * block.sigma**2 / 60.0 * np.log(np.maximum(block.extremes, 1e-12))
        top = (o + c + np.sqrt((c - o) ** 2 + spread[0])) / 2
        bottom = (o + c - np.sqrt((c - o) ** 2 + spread[1])) / 2
        higher, lower = np.maximum(bars["open"], marks), np.minimum(bars["open"], marks)
        bars["high"] = np.maximum(ticks.nearest(np.exp(top), self._decimals), higher)
        bars["low"] = np.minimum(ticks.nearest(np.exp(bottom), self._decimals), lower)
        bars["volume"] = self._background_volume(block, marks)
        self._bars.extend(bars)

    def append_live(self, times_ms: NDArray[np.int64], marks: NDArray[np.int64]) -> None:
        """Seconds: a mark belongs to the minute that contains its instant."""
        if not len(times_ms):
            return
        last = int((times_ms[-1] - self._start_ms) // MINUTE_MS)
        if last >= len(self._bars):
            fresh = np.zeros((last + 1 - len(self._bars), len(self._coins)), dtype=CANDLE)
            fresh["low"] = OPEN_LOW
            self._bars.extend(fresh)
        bars = self._bars.view()
        minute = (times_ms - self._start_ms) // MINUTE_MS
        is_first = (times_ms % MINUTE_MS) == 0
        bars["open"][minute[is_first]] = marks[is_first]
        np.maximum.at(bars["high"], minute, marks)
        np.minimum.at(bars["low"], minute, marks)
        at_end = np.r_[minute[1:] != minute[:-1], True]
        bars["close"][minute[at_end]] = marks[at_end]

    def add_trades(self, rows: NDArray[np.void]) -> None:
        """Stretch to the prices of trades and add their sizes."""
        if not len(rows):
            return
        bars = self._bars.view()
        minute = np.minimum((rows["t"] - self._start_ms) // MINUTE_MS, len(bars) - 1)
        cell = (minute, rows["coin"])
        np.maximum.at(bars["high"], cell, rows["px"])
        np.minimum.at(bars["low"], cell, rows["px"])
        np.add.at(bars["volume"], cell, rows["sz"])

    def bars(self, coin: int, interval_ms: int, start_ms: int, end_ms: int) -> list[Bar]:
        """Candles whose open lies in [start, end], ascending; the last one may be unfinished.

        Errors: ValueError for an interval that is not whole minutes.
        """
        if interval_ms < MINUTE_MS or interval_ms % MINUTE_MS:
            raise ValueError(f"interval_ms is {interval_ms}; allowed is a multiple of {MINUTE_MS}.")
        origin = self._start_ms // interval_ms * interval_ms
        first = -(-max(start_ms, origin) // interval_ms) * interval_ms
        low = max(0, (first - self._start_ms) // MINUTE_MS)
        high = min(len(self._bars), (end_ms // interval_ms * interval_ms + interval_ms - self._start_ms) // MINUTE_MS)
        if high <= low:
            return []
        rows = self._bars.view()[low:high, coin]
        opens = (self._start_ms + MINUTE_MS * np.arange(low, high)) // interval_ms * interval_ms
        edges = np.flatnonzero(np.r_[True, opens[1:] != opens[:-1]])
        return self._values(coin, rows, opens, edges, interval_ms)

    def day_volume_usd(self, coin: int) -> float:
        """Value traded in the last 24 h, at the closes of the minutes."""
        rows = self._bars.view()[-DAY_MS // MINUTE_MS :, coin]
        return float((rows["volume"].astype(np.float64) * rows["close"]).sum() / ticks.MICRO)

    def closes_before(self, hours: int) -> NDArray[np.int64]:
        """Closes of all coins some hours ago, or the first ones."""
        back = min(len(self._bars), hours * HOUR_MS // MINUTE_MS + 1)
        return np.asarray(self._bars.view()["close"][-back])

    def view(self) -> NDArray[np.void]:
        """All candles (minutes, coins)."""
        return self._bars.view()

    def _values(
        self, coin: int, rows: NDArray[np.void], opens: NDArray[np.int64], edges: NDArray[np.int64], interval_ms: int
    ) -> list[Bar]:
        decimals = self._coins[coin].sz_decimals
        px_unit, lot = 10.0 ** (ticks.MAX_DECIMALS - decimals), 10.0**decimals
        last = np.r_[edges[1:], len(rows)] - 1
        columns = (
            rows["open"][edges] / px_unit,
            np.maximum.reduceat(rows["high"], edges) / px_unit,
            np.minimum.reduceat(rows["low"], edges) / px_unit,
            rows["close"][last] / px_unit,
            np.add.reduceat(rows["volume"], edges) / lot,
        )
        name = self._coins[coin].coin
        return [
            Bar(name, t, t + interval_ms, *values)
            for t, *values in zip(opens[edges].tolist(), *(column.tolist() for column in columns), strict=True)
        ]

    def _background_volume(self, block: BaseBlock, marks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Lots per minute, larger when prices move more."""
        usd = np.array([coin.day_volume_usd for coin in self._coins]) / (24 * 60)
        activity: Floats = block.sigma / np.array([coin.hourly_sigma for coin in self._coins])
        noise = 0.5 - np.log(np.maximum(1.0 - block.extremes[0], 1e-12)) / 2
        return np.maximum(1, usd * activity * noise * ticks.MICRO / marks).astype(np.int64)
