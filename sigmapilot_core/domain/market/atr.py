"""True range, Wilder's average true range and its rank among recent values (spec 5.1).

All forms work on float64 arrays of an unbroken run of bars; NaN stands for "not enough bars".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sigmapilot_core.domain.params import VolatilityParams

Floats = NDArray[np.float64]

PERCENTILE_MIN_VALUES = 20
"""With fewer values no rank can lie below the 20th or above the 80th percentile with any meaning: unknown."""


def true_range(high: float, low: float, previous_close: float | None) -> float:
    """max(H-L, |H-C1|, |L-C1|); without a previous close H-L (spec 5.1)."""
    if previous_close is None:
        return high - low
    return max(high - low, abs(high - previous_close), abs(low - previous_close))


def true_ranges(high: ArrayLike, low: ArrayLike, close: ArrayLike) -> Floats:
    """True range of every bar of an unbroken run; the first, which has no previous close, is H-L."""
    h, lo, c = (np.asarray(values, dtype=np.float64) for values in (high, low, close))
    if not (h.shape == lo.shape == c.shape) or h.ndim != 1:
        raise ValueError("high, low and close must be one-dimensional and of one length.")
    if not (np.isfinite(h).all() and np.isfinite(lo).all() and np.isfinite(c).all()):
        raise ValueError("high, low and close must be finite.")
    ranges = h - lo
    if h.size > 1:
        step = np.maximum(np.abs(h[1:] - c[:-1]), np.abs(lo[1:] - c[:-1]))
        ranges[1:] = np.maximum(ranges[1:], step)
    return ranges


def wilder_atr_series(high: ArrayLike, low: ArrayLike, close: ArrayLike, period: int, seed_bars: int) -> Floats:
    """ATR after every bar: the mean of the first `period` true ranges, then ((period-1) ATR + TR)/period.

    Each value is seeded at most `seed_bars` bars back (spec 5.1), so it is a function of those bars alone, however
    long the history is; NaN before `period` + 1 bars. Same operations in the same order for every bar: the value of a
    bar is the same float64 in a long series and in a short one that ends there.
    """
    if period < 1 or seed_bars <= period:
        raise ValueError(f"seed_bars is {seed_bars}; allowed is more than the period {period}.")
    plain = true_ranges(high, low, close)
    n = plain.size
    atr = np.full(n, np.nan)
    value = sum(plain[:period].tolist()) / period if n > period else np.nan
    for bar in range(period, min(n, seed_bars)):
        value = ((period - 1) * value + plain[bar]) / period
        atr[bar] = value
    if n > seed_bars:
        atr[seed_bars:] = _windowed(plain, np.asarray(high) - np.asarray(low), period, seed_bars)
    return atr


def _windowed(ranges: Floats, first_ranges: Floats, period: int, seed_bars: int) -> Floats:
    """ATR of every full window of `seed_bars` bars after the first one, all windows advanced together."""
    windows = ranges.size - seed_bars
    total = first_ranges[1 : 1 + windows].copy()
    for offset in range(1, period):
        total += ranges[1 + offset : 1 + offset + windows]
    value = total / period
    for offset in range(period, seed_bars):
        value = ((period - 1) * value + ranges[1 + offset : 1 + offset + windows]) / period
    return value


def wilder_atr(high: ArrayLike, low: ArrayLike, close: ArrayLike, params: VolatilityParams) -> float | None:
    """ATR after the last bar of an unbroken run, None with fewer than `atr_period` + 1 bars."""
    h, lo, c = (np.asarray(values, dtype=np.float64)[-params.seed_bars :] for values in (high, low, close))
    series = wilder_atr_series(h, lo, c, params.atr_period, params.seed_bars)
    return float(series[-1]) if series.size and np.isfinite(series[-1]) else None


def mid_rank_percentile(values: ArrayLike) -> float | None:
    """Rank of the last value among all of them, 0 to 100: 100 (below + equal/2)/n, itself included (spec 5.1).

    NaN values are left out; None if the last one is NaN or fewer than `PERCENTILE_MIN_VALUES` are known.
    """
    array = np.asarray(values, dtype=np.float64)
    array_known = array[np.isfinite(array)]
    if not array.size or not np.isfinite(array[-1]) or array_known.size < PERCENTILE_MIN_VALUES:
        return None
    below = np.count_nonzero(array_known < array[-1])
    equal = np.count_nonzero(array_known == array[-1])
    return float(100.0 * (below + equal / 2) / array_known.size)


def stop_fraction(atr_fraction: float, multiplier: float, params: VolatilityParams) -> float:
    """clamp(ATR/price x multiplier, 0.001, 0.10), a fraction of the price (spec 5.1)."""
    raw = atr_fraction * multiplier
    if not np.isfinite(raw) or raw < 0:
        raise ValueError(f"atr_fraction x multiplier is {raw}; allowed is a finite number of zero or more.")
    return min(params.max_stop_fraction, max(params.min_stop_fraction, raw))
