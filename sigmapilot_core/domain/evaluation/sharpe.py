"""Deflated Sharpe ratio: how likely the best of several tried strategies is good at all (spec 8).

Source: Bailey and Lopez de Prado, "The Deflated Sharpe Ratio" (2014), equations 1 and 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

EULER_GAMMA = 0.5772156649015329
MIN_DAYS = 20


@dataclass(frozen=True, slots=True)
class DeflatedSharpe:
    """`daily` is the Sharpe ratio per day of the first strategy, `expected_best` the largest one that `trials`
    strategies without any edge would show, `probability` = P(true ratio > that)."""

    daily: float
    expected_best: float
    trials: int
    days: int
    probability: float


def deflated_sharpe(strategies: Sequence[ArrayLike]) -> DeflatedSharpe | None:
    """Of the first strategy, all of them counting as tried; None with too few days or without variance.

    DSR = Phi((SR - SR0) sqrt(T - 1) / sqrt(1 - skew SR + (kurtosis - 1)/4 SR^2)),
    SR0 = sd(SR of the trials) x ((1 - g) z(1 - 1/N) + g z(1 - 1/(N e))), g Euler's constant. One trial: SR0 = 0.
    """
    series = [np.asarray(one, dtype=np.float64) for one in strategies]
    first = series[0]
    if first.size < MIN_DAYS or any(one.size < 2 or np.ptp(one) == 0 for one in series):
        return None
    ratios = [float(one.mean() / one.std(ddof=1)) for one in series]
    n = len(ratios)
    spread = float(np.std(ratios, ddof=1)) if n > 1 else 0.0
    best = 0.0
    if n > 1:
        z = special.ndtri([1 - 1 / n, 1 - 1 / (n * math.e)])
        best = spread * float((1 - EULER_GAMMA) * z[0] + EULER_GAMMA * z[1])
    ratio, t = ratios[0], first.size
    skew, kurtosis = float(stats.skew(first)), float(stats.kurtosis(first, fisher=False))
    scale = math.sqrt(max(1e-12, 1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2))
    return DeflatedSharpe(ratio, best, n, t, float(special.ndtr((ratio - best) * math.sqrt(t - 1) / scale)))
