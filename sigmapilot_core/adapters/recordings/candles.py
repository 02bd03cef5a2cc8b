"""Recorded candles: those relayed from the exchange (JSON), and an hourly reference (CSV)."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from sigmapilot_core.domain.events import Bar
from sigmapilot_core.domain.market.bars import timeframe_ms


def relayed(folder: Path, coin: str, timeframe: str) -> tuple[Bar, ...]:
    """`<coin>_<timeframe>.json`, ascending; none where there is no such file."""
    path = folder / f"{coin}_{timeframe}.json"
    if not path.exists():
        return ()
    length = timeframe_ms(timeframe)
    rows = json.loads(path.read_text())["candles"]
    return tuple(
        Bar(coin, row["t"], row["t"] + length, row["o"], row["h"], row["l"], row["c"], row["v"])
        for row in sorted(rows, key=lambda row: row["t"])
    )


def reference(folder: Path, coin: str) -> tuple[Bar, ...]:
    """`<coin>_1H.csv` of another exchange: prices only, its volume is in contracts and is left at 0."""
    path = folder / f"{coin}_1H.csv"
    if not path.exists():
        return ()
    length = timeframe_ms("1h")
    with path.open() as file:
        return tuple(_bar(coin, row, length) for row in csv.DictReader(file))


def _bar(coin: str, row: dict[str, str], length: int) -> Bar:
    opened, high, low, closed = (float(row[name]) for name in ("open", "high", "low", "close"))
    return Bar(coin, int(row["ts"]), int(row["ts"]) + length, opened, high, low, closed, 0.0)
