"""Fees of perpetuals by 14-day volume, maker and taker (venue reference 6)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sigmapilot_core.domain.events import ZERO

FEE_QUANTUM = Decimal("1e-6")
VOLUME_DAYS = 14


@dataclass(frozen=True, slots=True)
class FeeRates:
    """Fractions of the notional; a negative maker rate is a rebate."""

    taker: Decimal
    maker: Decimal


def _rates(taker_pct: str, maker_pct: str) -> FeeRates:
    return FeeRates(Decimal(taker_pct) / 100, Decimal(maker_pct) / 100)


_M = 1_000_000
_TIERS = (
    (0, _rates("0.045", "0.015")),
    (5 * _M, _rates("0.040", "0.012")),
    (25 * _M, _rates("0.035", "0.008")),
    (100 * _M, _rates("0.030", "0.004")),
    (500 * _M, _rates("0.028", "0")),
    (2_000 * _M, _rates("0.026", "0")),
    (7_000 * _M, _rates("0.024", "0")),
)
BASE_RATES = _TIERS[0][1]


def rates_for_volume(volume_usd: Decimal) -> FeeRates:
    """Rates of the tier: a threshold must be exceeded, not just reached.

    Errors: ValueError for a volume that is not finite or below zero.
    """
    if not volume_usd.is_finite() or volume_usd < 0:
        raise ValueError(f"volume_usd is {volume_usd}; allowed is a finite number of zero or more.")
    exceeded = bisect_right([threshold for threshold, _ in _TIERS[1:]], volume_usd - FEE_QUANTUM)
    return _TIERS[exceeded][1]


def volume_before(volume_by_day: Mapping[int, Decimal], day: int) -> Decimal:
    """Volume of the 14 full UTC days before `day`."""
    return sum((volume_by_day.get(day - back, ZERO) for back in range(1, VOLUME_DAYS + 1)), ZERO)


def fee_usd(px: Decimal, sz: Decimal, rates: FeeRates, is_taker: bool) -> Decimal:
    """px x sz x rate, rounded to 6 decimals as in observed fills."""
    rate = rates.taker if is_taker else rates.maker
    return (px * sz * rate).quantize(FEE_QUANTUM)
