"""Positions of large accounts looked at in sweeps of 30 to 60 minutes and more: what changed between two looks."""

from __future__ import annotations

import csv
from bisect import bisect_left
from collections import Counter
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from sigmapilot_core.adapters.recordings import candles
from sigmapilot_core.domain.evaluation.recorded import Recorded, by_receipt, lots
from sigmapilot_core.domain.events import Fill, Source
from sigmapilot_core.domain.venue import AssetContext

COINS = ("BTC", "ETH", "SOL")
_UNKNOWN_SPAN_MS = 2 * 3_600_000


def whales(folder: Path, candle_folder: Path) -> Recorded:
    """`events_<coin>.csv` as fills: size is the change, price the mark of the sweep (an opened position's own entry).

    The earliest instant is a millisecond after the sweep before, since the act can have happened anywhere between.
    """
    contexts = _contexts(folder)
    rows = [row for coin in COINS for row in _rows(folder / f"events_{coin}.csv")]
    sweeps = sorted({_ms(row["ts"]) for row in rows} | set(contexts))
    fills, received, left = [], [], Counter[str]()
    for number, row in enumerate(sorted(rows, key=lambda row: _ms(row["ts"]))):
        at_ms = _ms(row["ts"])
        change = Decimal(row["szi"]) - Decimal(row["szi_prev"])
        if not change:
            left["events without a change of size"] += 1
            continue
        before = bisect_left(sweeps, at_ms) - 1
        earliest = (sweeps[before] if before >= 0 else at_ms - _UNKNOWN_SPAN_MS) + 1
        fills.append(_fill(number, row, change, earliest))
        received.append(at_ms)
    ordered = list(by_receipt(fills, received))
    return Recorded(
        name="whales",
        fills=tuple(fill for _, fill in ordered),
        received_ms=tuple(at for at, _ in ordered),
        hourly={coin: candles.relayed(candle_folder, coin, "1h") for coin in COINS},
        exits={coin: candles.relayed(candle_folder, coin, "15m") for coin in COINS},
        sz_decimals=lots(fills),
        measures_time=False,
        contexts=contexts,
        left_out=dict(left),
        remarks=(
            f"acts are known by {len(sweeps)} sweeps, {_median_minutes(sweeps):.0f} minutes apart in the median: an act"
            " counts from the sweep before, a shared sweep is no agreement in time, correlation is not measured",
            "the mark stands for the mid; no book was recorded",
        ),
    )


def _fill(number: int, row: dict[str, str], change: Decimal, earliest_ms: int) -> Fill:
    own = row["entryPx"] if row["kind"] == "OPEN" and row["entryPx"] else row["mark"]
    return Fill(
        user=row["addr"].lower(),
        coin=row["coin"],
        is_buy=change > 0,
        px=Decimal(own),
        sz=abs(change),
        time_ms=earliest_ms,
        tid=number,
        crossed=True,
        start_position=Decimal(row["szi_prev"]),
        source=Source.BACKFILL,
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def _contexts(folder: Path) -> dict[int, tuple[AssetContext, ...]]:
    """Mark, funding, premium and open interest of each sweep."""
    found: dict[int, list[AssetContext]] = {}
    for coin in COINS:
        for row in _rows(folder / f"agg_{coin}.csv"):
            at_ms, mark = _ms(row["ts"]), Decimal(row["mark"])
            premium = float(row["premium"]) if row["premium"] else None
            context = AssetContext(
                coin, at_ms, mark, mark, mark, mark, 0.0, float(row["oi"]), float(row["funding"]), premium
            )
            found.setdefault(at_ms, []).append(context)
    return {at_ms: tuple(rows) for at_ms, rows in found.items()}


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def _median_minutes(sweeps: list[int]) -> float:
    gaps = sorted(b - a for a, b in pairwise(sweeps))
    return gaps[len(gaps) // 2] / 60_000 if gaps else 0.0
