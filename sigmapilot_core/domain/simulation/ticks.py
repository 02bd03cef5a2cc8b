"""Prices and sizes as integers, and the venue's price grid.

A price is counted in units of 10^-(6 - szDecimals), a size in lots of 10^-szDecimals; their product is exactly
micro-USD. A price is legal with at most five significant figures, or as a whole number.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from numpy.typing import ArrayLike, NDArray

MICRO = 1_000_000
MAX_DECIMALS = 6
SIGNIFICANT_FIGURES = 5

Ints = NDArray[np.int64]
_POWERS = 10 ** np.arange(19, dtype=np.int64)


def units_per_usd(sz_decimals: ArrayLike) -> NDArray[np.float64]:
    """Price units in one quote unit: 10^(6 - szDecimals)."""
    return 10.0 ** (MAX_DECIMALS - np.asarray(sz_decimals))


def tick(px_units: ArrayLike, sz_decimals: ArrayLike) -> Ints:
    """Distance of legal prices around a price, in units: 10^(digits - 5), at least one unit, at most a whole number."""
    digits = np.searchsorted(_POWERS, np.floor(np.asarray(px_units)), side="right")
    limit = MAX_DECIMALS - np.asarray(sz_decimals)
    return _POWERS[np.clip(digits - SIGNIFICANT_FIGURES, 0, limit)]


def nearest(px_units: ArrayLike, sz_decimals: ArrayLike) -> Ints:
    """The nearest legal price."""
    step = tick(px_units, sz_decimals)
    return np.floor(np.asarray(px_units) / step + 0.5).astype(np.int64) * step


def below(px_units: ArrayLike, sz_decimals: ArrayLike) -> Ints:
    """The highest legal price at or below."""
    step = tick(px_units, sz_decimals)
    return np.floor(np.asarray(px_units) / step).astype(np.int64) * step


def above(px_units: ArrayLike, sz_decimals: ArrayLike) -> Ints:
    """The lowest legal price at or above."""
    step = tick(px_units, sz_decimals)
    return np.ceil(np.asarray(px_units) / step).astype(np.int64) * step


def px_decimal(px_units: int, sz_decimals: int) -> Decimal:
    """A price in quote units."""
    return Decimal(px_units).scaleb(sz_decimals - MAX_DECIMALS)


def sz_decimal(lots: int, sz_decimals: int) -> Decimal:
    """A size in base units."""
    return Decimal(lots).scaleb(-sz_decimals)


def usd_decimal(micro_usd: int) -> Decimal:
    """An amount of money."""
    return Decimal(micro_usd).scaleb(-MAX_DECIMALS)


def fee_micro(notional_micro: ArrayLike, rate_ppm: ArrayLike) -> Ints:
    """Fee of a fill in micro-USD, notional x rate / 10^6, half to even; a negative rate is a rebate."""
    product = np.asarray(notional_micro, dtype=np.int64) * np.asarray(rate_ppm, dtype=np.int64)
    whole, rest = np.divmod(product, MICRO)
    return whole + ((rest > MICRO // 2) | ((rest == MICRO // 2) & (whole % 2 == 1)))
