"""Intervals by resampling whole days: decisions of one day share their news and are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sigmapilot_core.domain.params import DAY_MS

SAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its interval and how much is behind it; None where there is nothing to say it from."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    blocks: int

    def __str__(self) -> str:
        if self.value is None:
            return "unknown (0)"
        if self.low is None or self.high is None:
            return f"{self.value:+.3f} ({self.n:,}, no interval)"
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}] ({self.n:,})"


def ratio_interval(
    numerator: ArrayLike, denominator: ArrayLike, block: ArrayLike, seed: int, samples: int = SAMPLES
) -> Interval:
    """sum(numerator) / sum(denominator) with its 95 % percentile interval over resampled blocks.

    A mean is the ratio of values to ones, a weighted mean that of w x to w. With fewer than two blocks the interval is
    unknown. Source: cluster bootstrap, Davison and Hinkley (1997), 2.4 and 3.8.
    """
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    _, at = np.unique(np.asarray(block), return_inverse=True)
    n_blocks = int(at.max()) + 1 if at.size else 0
    tops, bottoms = (np.bincount(at, weights=x, minlength=n_blocks) for x in (top, bottom))
    total = float(bottoms.sum())
    if not n_blocks or total == 0:
        return Interval(None, None, None, int(top.size), n_blocks)
    value = float(tops.sum()) / total
    if n_blocks < 2:
        return Interval(value, None, None, int(top.size), n_blocks)
    drawn = _drawn(n_blocks, seed, samples)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = (drawn @ tops) / (drawn @ bottoms)
    return Interval(value, *_limits(ratios), int(top.size), n_blocks)


def _drawn(n_blocks: int, seed: int, samples: int) -> NDArray[np.int64]:
    """(samples, blocks): how often each block is in each sample."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    return rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=samples)


def _limits(figures: NDArray[np.float64]) -> tuple[float, float]:
    """The percentile interval of a figure over the samples in which it is defined."""
    low, high = np.nanquantile(figures, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Sums:
    """What a mean is made of: value x weight, weight, and the block that each of them belongs to."""

    numerator: ArrayLike
    denominator: ArrayLike
    block: ArrayLike

    def mean(self, seed: int) -> Interval:
        """The mean with its interval."""
        return ratio_interval(self.numerator, self.denominator, self.block, seed)


def difference_interval(one: Sums, other: Sums, seed: int, samples: int = SAMPLES) -> Interval:
    """Mean of one minus mean of the other, with the interval over blocks resampled for both alike: what both owe to the
    same day or world is not noise in their difference. `n` counts the first. With fewer than two blocks the interval is
    unknown, without weight on either side everything is."""
    blocks, at = np.unique(np.r_[np.asarray(one.block), np.asarray(other.block)], return_inverse=True)
    n = np.asarray(one.numerator).size
    parts = []
    for sums, rows in ((one, at[:n]), (other, at[n:])):
        for values in (sums.numerator, sums.denominator):
            weights = np.asarray(values, dtype=np.float64)
            parts.append(np.bincount(rows, weights=weights, minlength=blocks.size))
    if not blocks.size or not parts[1].sum() or not parts[3].sum():
        return Interval(None, None, None, n, blocks.size)
    value = float(parts[0].sum() / parts[1].sum() - parts[2].sum() / parts[3].sum())
    if blocks.size < 2:
        return Interval(value, None, None, n, blocks.size)
    drawn = _drawn(blocks.size, seed, samples)
    with np.errstate(divide="ignore", invalid="ignore"):
        differences = (drawn @ parts[0]) / (drawn @ parts[1]) - (drawn @ parts[2]) / (drawn @ parts[3])
    return Interval(value, *_limits(differences), n, blocks.size)


def mean_interval(values: ArrayLike, block: ArrayLike, seed: int, weights: ArrayLike | None = None) -> Interval:
    """Mean, or weighted mean, over resampled blocks."""
    x = np.asarray(values, dtype=np.float64)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    return ratio_interval(w * x, w, block, seed)


def over_seeds(values: Sequence[float], seed: int) -> Interval:
    """Mean over worlds, each a block of its own."""
    return mean_interval(values, np.arange(len(values)), seed)


def day_of(times_ms: ArrayLike) -> NDArray[np.int64]:
    """The UTC day of each instant: the usual block."""
    return np.asarray(times_ms, dtype=np.int64) // DAY_MS
