"""Prices of a trade's stop and take-profit, and the distance between entry and stop (spec 3, 5.1, 7)."""

from __future__ import annotations

from sigmapilot_core.domain.events import Direction
from sigmapilot_core.domain.market.checks import positive

BPS = 10_000.0


def stop_price(entry_px: float, direction: Direction, stop_fraction: float) -> float:
    """entry x (1 - f) for a long, entry x (1 + f) for a short.

    Errors: ValueError for numbers that are not finite and positive, f of 1 or more, or no direction.
    """
    return _shifted(entry_px, direction, -stop_fraction)


def take_profit_price(entry_px: float, direction: Direction, stop_fraction: float, take_profit_r: float) -> float:
    """The price `take_profit_r` risks away on the winning side: entry x (1 + r f) for a long. Errors: as `stop_price`.

    A short cannot win more than its whole price; r f of 1 or more is refused.
    """
    return _shifted(entry_px, direction, positive("take_profit_r", take_profit_r) * stop_fraction)


def stop_bps(entry_px: float, stop_px: float) -> float:
    """|entry - stop|/entry in basis points. Errors: ValueError for prices that are not finite and positive."""
    return abs(positive("entry_px", entry_px) - positive("stop_px", stop_px)) / entry_px * BPS


def _shifted(entry_px: float, direction: Direction, fraction: float) -> float:
    positive("entry_px", entry_px)
    if positive("stop_fraction", abs(fraction)) >= 1:
        raise ValueError(f"distance from the entry is {abs(fraction)} of the price; allowed is less than 1.")
    if direction is Direction.NONE:
        raise ValueError("direction is none; allowed is long or short.")
    return entry_px * (1 + direction.sign * fraction)
