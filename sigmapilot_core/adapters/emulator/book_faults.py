"""Books moved away from the market, or apart: what a price spike and a dried-up market look like on the wire.

All levels of a side move by one distance, a multiple of the finest step in which the book quotes: a book stays a book,
with one level a price and bids below asks.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

Wire = dict[str, Any]


def shifted(frame: Wire, shift_pct: float) -> Wire:
    """The book with every price moved by a percentage of the best price."""
    best, step = _best(frame), _step(frame)
    distance = _distance(best, shift_pct, step)
    return _moved(frame, distance, distance)


def widened(frame: Wire, spread_pct: float) -> Wire:
    """The book with bids and asks moved apart by a percentage of the best price, the middle where it was."""
    best, step = _best(frame), _step(frame)
    distance = _distance(best, spread_pct / 2, step)
    return _moved(frame, -distance, distance)


def _sides(frame: Wire) -> tuple[list[Any], list[Any]]:
    """Bids and asks of an `l2Book`, or of a `bbo`, whose sides are one level or null."""
    data = frame["data"]
    if "levels" in data:
        return data["levels"][0], data["levels"][1]
    bid, ask = data["bbo"]
    return [] if bid is None else [bid], [] if ask is None else [ask]


def _prices(frame: Wire) -> list[Decimal]:
    return [Decimal(level["px"]) for side in _sides(frame) for level in side]


def _best(frame: Wire) -> Decimal:
    return next(iter(_prices(frame)), Decimal(0))


def _step(frame: Wire) -> Decimal:
    exponents = [price.as_tuple().exponent for price in _prices(frame)]
    return Decimal(1).scaleb(min((e for e in exponents if isinstance(e, int)), default=0))


def _distance(price: Decimal, pct: float, step: Decimal) -> Decimal:
    return (price * Decimal(str(pct)) / 100).quantize(step)


def _moved(frame: Wire, bids_by: Decimal, asks_by: Decimal) -> Wire:
    bids, asks = ([_level(x, by) for x in side] for side, by in zip(_sides(frame), (bids_by, asks_by), strict=True))
    data = frame["data"]
    if "levels" in data:
        return frame | {"data": data | {"levels": [bids, asks]}}
    return frame | {"data": data | {"bbo": [next(iter(bids), None), next(iter(asks), None)]}}


def _level(level: Wire, by: Decimal) -> Wire:
    return level | {"px": str(Decimal(level["px"]) + by)}
