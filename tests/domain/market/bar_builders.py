"""Bars for the market tests."""

from __future__ import annotations

import random
from collections.abc import Sequence

from sigmapilot_core.domain.events import Bar
from sigmapilot_core.domain.params import HOUR_MS, MINUTE_MS

START_MS = 1_700_000_000_000 // (24 * HOUR_MS) * (24 * HOUR_MS)


def bar(index: int, high: float, low: float, close: float, length_ms: int = HOUR_MS, coin: str = "BTC") -> Bar:
    """A bar whose open is its close, `index` lengths after the start."""
    open_ms = START_MS + index * length_ms
    return Bar(coin, open_ms, open_ms + length_ms, close, high, low, close, 1.0)


def walk(n: int, seed: int = 1, missing: Sequence[int] = (), length_ms: int = HOUR_MS, coin: str = "BTC") -> list[Bar]:
    """A random walk of `n` bars around 100, some of them left out."""
    rng = random.Random(seed)
    bars, price = [], 100.0
    for index in range(n):
        opened = price
        price *= 1 + rng.gauss(0, 0.01)
        top, bottom = max(opened, price) * (1 + rng.random() * 0.004), min(opened, price) * (1 - rng.random() * 0.004)
        open_ms = START_MS + index * length_ms
        if index not in missing:
            bars.append(Bar(coin, open_ms, open_ms + length_ms, opened, top, bottom, price, rng.random() * 5))
    return bars


def minutes(n: int, seed: int = 1, missing: Sequence[int] = ()) -> list[Bar]:
    """One-minute bars from a full hour on."""
    return walk(n, seed, missing, MINUTE_MS)
