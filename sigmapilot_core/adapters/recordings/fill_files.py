"""Recorded fills: the leaders' with exact times, and the four traders' with times to the minute."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from sigmapilot_core.adapters.recordings import candles
from sigmapilot_core.domain.evaluation.recorded import Recorded, by_receipt, lots
from sigmapilot_core.domain.events import Bar, Fill, Source
from sigmapilot_core.domain.params import MINUTE_MS

ASSUMED_DELAY_MS = 200
_IST = timezone(timedelta(hours=5, minutes=30))


def is_followed(coin: str) -> bool:
    """Whether a coin is a perpetual of the first dex."""
    return not any(mark in coin for mark in "@:#/")


def leaders(folder: Path, candle_folder: Path) -> Recorded:
    """`exchange_leader_fills.json`: exact fills of eight accounts whose addresses are withheld."""
    raw = json.loads((folder / "exchange_leader_fills.json").read_text())
    found: dict[tuple[str, int, str, int], Fill] = {}
    left = Counter[str]()
    for query in raw["queries"]:
        for row in query["fills"]:
            fill = _leader_fill(query["slot"], row)
            if not is_followed(fill.coin):
                left["fills of other dexes and spot"] += 1
            elif fill.key in found:
                left["repeated fills"] += 1
            else:
                found[fill.key] = fill
    fills = sorted(found.values(), key=lambda f: f.time_ms)
    return _recorded(
        "leaders", fills, [f.time_ms + ASSUMED_DELAY_MS for f in fills], left,
        {coin: candles.relayed(candle_folder, coin, "1h") for coin in {f.coin for f in fills}},
        {coin: candles.relayed(candle_folder, coin, "15m") for coin in {f.coin for f in fills}},
        ("fills are exact to the millisecond; receipt is taken 200 ms later",),
    )  # fmt: skip


def _leader_fill(user: str, row: dict[str, object]) -> Fill:
    return Fill(
        user=user,
        coin=str(row["coin"]),
        is_buy=row["side"] == "B",
        px=Decimal(str(row["px"])),
        sz=Decimal(str(row["sz"])),
        time_ms=int(str(row["time"])),
        tid=int(str(row["tid"])),
        crossed=bool(row["crossed"]),
        start_position=Decimal(str(row["startPosition"])),
        fee=Decimal(str(row["fee"])),
        closed_pnl=Decimal(str(row["closedPnl"])),
        source=Source.BACKFILL,
    )


def four_traders(folder: Path, candle_folder: Path) -> Recorded:
    """`historical_data.csv`: four accounts over seven months. Rows of a minute keep the file's order, or the reverse of
    it, whichever joins more start positions of a trader and coin."""
    left = Counter[str]()
    rows: dict[tuple[str, str], list[Fill]] = {}
    with (folder / "historical_data.csv").open() as file:
        for number, raw in enumerate(csv.DictReader(file)):
            if is_followed(raw["Coin"]):
                fill = _traders_fill(number, raw)
                rows.setdefault((fill.user, fill.coin), []).append(fill)
            else:
                left["fills of other dexes and spot"] += 1
    fills = sorted((f for held in rows.values() for f in _in_order(held)), key=lambda f: f.time_ms)
    coins = {f.coin for f in fills}
    hourly = {coin: candles.reference(candle_folder, coin) for coin in coins}
    return _recorded(
        "four traders", fills, [f.time_ms + MINUTE_MS for f in fills], left, hourly, hourly,
        (
            "times are to the minute: a fill is taken to have happened at its beginning and to be received at its end",
            "bars are of another exchange; their volume is not comparable, so that only BTC and ETH are voted on",
        ),
    )  # fmt: skip


def _traders_fill(number: int, raw: dict[str, str]) -> Fill:
    at = datetime.strptime(raw["Timestamp IST"], "%d-%m-%Y %H:%M").replace(tzinfo=_IST)
    return Fill(
        user=raw["Account"].lower(),
        coin=raw["Coin"],
        is_buy=raw["Side"] == "BUY",
        px=Decimal(raw["Execution Price"]),
        sz=Decimal(raw["Size Tokens"]),
        time_ms=int(at.timestamp() * 1000),
        tid=number,
        crossed=raw["Crossed"].upper() == "TRUE",
        start_position=Decimal(raw["Start Position"]),
        fee=Decimal(raw["Fee"]),
        closed_pnl=Decimal(raw["Closed PnL"]),
        source=Source.BACKFILL,
    )


def _in_order(held: list[Fill]) -> list[Fill]:
    forward = sorted(held, key=lambda f: f.time_ms)
    backward = sorted(held, key=lambda f: (f.time_ms, -f.tid))  # tid is the row of the file
    return max((forward, backward), key=_joined)


def _joined(fills: list[Fill]) -> int:
    return sum((a.start_position or Decimal(0)) + a.signed_size == b.start_position for a, b in pairwise(fills))


def _recorded(
    name: str,
    fills: list[Fill],
    received_ms: list[int],
    left: Counter[str],
    hourly: dict[str, tuple[Bar, ...]],
    exits: dict[str, tuple[Bar, ...]],
    remarks: tuple[str, ...],
) -> Recorded:
    ordered = list(by_receipt(fills, received_ms))
    return Recorded(
        name=name,
        fills=tuple(fill for _, fill in ordered),
        received_ms=tuple(at for at, _ in ordered),
        hourly=hourly,
        exits=exits,
        sz_decimals=lots(fills),
        measures_time=True,
        left_out=dict(left),
        remarks=(*remarks, "no book, mid or funding was recorded: price band, cost and value stay unknown"),
    )
