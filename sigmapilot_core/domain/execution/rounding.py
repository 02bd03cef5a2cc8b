"""Prices and sizes as the venue takes them (venue reference 5.2): ticks, lots, wire text, least notional."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from enum import Enum

from sigmapilot_core.domain.canonical import decimal_text

SIGNIFICANT_FIGURES = 5
PERP_PRICE_DECIMALS = 6
MIN_NOTIONAL_USD = Decimal(10)


class ZeroSizeError(ValueError):
    """A size below one lot: sending 0 would mean "close the whole position" to the venue, so there is no size."""


class Towards(Enum):
    """Where a price between two ticks goes."""

    NEAREST = ROUND_HALF_EVEN
    DOWN = ROUND_FLOOR
    UP = ROUND_CEILING


def price_tick(px: Decimal, sz_decimals: int) -> Decimal:
    """Distance of neighbouring legal prices at `px` of a perp: the coarser of 5 significant figures and
    6 - szDecimals decimals, but never coarser than 1, as integers are always legal.

    Errors: ValueError unless the price is finite and above zero and szDecimals is 0 to 6.
    """
    if not px.is_finite() or px <= 0:
        raise ValueError(f"px is {px}; allowed is a finite number above zero.")
    if not 0 <= sz_decimals <= PERP_PRICE_DECIMALS:
        raise ValueError(f"sz_decimals is {sz_decimals}; allowed is 0 to {PERP_PRICE_DECIMALS}.")
    by_figures = Decimal(1).scaleb(px.adjusted() - SIGNIFICANT_FIGURES + 1)
    by_decimals = Decimal(1).scaleb(sz_decimals - PERP_PRICE_DECIMALS)
    return max(min(by_figures, Decimal(1)), by_decimals)


def is_legal_price(px: Decimal, sz_decimals: int) -> bool:
    """Whether the venue takes the price as it is."""
    return px.is_finite() and px > 0 and px % price_tick(px, sz_decimals) == 0


def round_price(px: Decimal, sz_decimals: int, towards: Towards = Towards.NEAREST) -> Decimal:
    """The legal price next to `px`. Errors: as `price_tick`, and ValueError when it would be 0."""
    tick = price_tick(px, sz_decimals)
    rounded = (px / tick).to_integral_value(towards.value) * tick
    if rounded <= 0:
        raise ValueError(f"px is {px}; allowed is at least half a tick of {tick}.")
    return rounded


def worst_price(reference_px: Decimal, is_buy: bool, slippage: Decimal, sz_decimals: int) -> Decimal:
    """Legal limit at most the fraction `slippage` worse than the reference, rounded towards it.

    Errors: as `round_price`.
    """
    worst = reference_px * (1 + slippage if is_buy else 1 - slippage)
    return round_price(worst, sz_decimals, Towards.DOWN if is_buy else Towards.UP)


def is_legal_size(sz: Decimal, sz_decimals: int) -> bool:
    """Whether the size is finite, above zero and a whole number of lots of 10^-szDecimals."""
    return sz.is_finite() and sz > 0 and sz % Decimal(1).scaleb(-sz_decimals) == 0


def floor_size(sz: Decimal, sz_decimals: int) -> Decimal:
    """The size rounded down to whole lots.

    Errors: ValueError unless finite and not negative; `ZeroSizeError` when less than one lot is left.
    """
    if not sz.is_finite() or sz < 0:
        raise ValueError(f"sz is {sz}; allowed is a finite number of zero or more.")
    lot = Decimal(1).scaleb(-sz_decimals)
    floored = (sz / lot).to_integral_value(ROUND_FLOOR) * lot
    if floored == 0:
        raise ZeroSizeError(f"sz is {sz}; allowed is at least one lot of {lot}.")
    return floored


def size_for_notional(notional_usd: Decimal, px: Decimal, sz_decimals: int) -> Decimal:
    """Whole lots worth at most `notional_usd` at `px`. Errors: as `floor_size`; ValueError for a bad price."""
    if not px.is_finite() or px <= 0:
        raise ValueError(f"px is {px}; allowed is a finite number above zero.")
    return floor_size(notional_usd / px, sz_decimals)


def wire_text(value: Decimal) -> str:
    """Plain digits without exponent and without trailing zeros: the text is part of the signed hash.

    Errors: ValueError for a number that is not finite.
    """
    return decimal_text(value)
