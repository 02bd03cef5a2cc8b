"""Refusal of bad numbers at the boundary of the market, risk and consensus rules: one sentence naming the field."""

from __future__ import annotations

import math
from decimal import Decimal


def finite(field: str, value: float | Decimal) -> float:
    """The value as float64. Errors: ValueError when it is NaN or infinite."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{field} is {value}; allowed is a finite number.")
    return number


def positive(field: str, value: float | Decimal) -> float:
    """The value as float64. Errors: ValueError when it is not finite and above zero."""
    number = float(value)
    if not math.isfinite(number) or number <= 0:
        raise ValueError(f"{field} is {value}; allowed is a finite number above zero.")
    return number


def not_negative(field: str, value: float | Decimal) -> float:
    """The value as float64. Errors: ValueError when it is not finite or below zero."""
    number = float(value)
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"{field} is {value}; allowed is a finite number of zero or more.")
    return number


def known(value: float | Decimal | None) -> bool:
    """True for a finite number; None, NaN and infinities are unknown."""
    return value is not None and math.isfinite(value)
