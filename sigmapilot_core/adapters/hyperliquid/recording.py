"""Readers of recorded feeds: fills of the whole exchange by block, and raw frames with their receive times.

In a recording the feed is the clock: everything read here carries a virtual receive time that never steps back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.fields import integer, mapping, pair, sequence, text, to_address
from sigmapilot_core.adapters.hyperliquid.wire_account import parse_fill
from sigmapilot_core.domain.events import Fill, Trade

TYPICAL_DELAY_MS = 200
"""From block time to our receive time, where the recorded delay is not used."""

_MICROSECONDS = 26  # length of an ISO instant down to the microsecond; the recording has nanoseconds


@dataclass(frozen=True, slots=True)
class Block:
    """One block of the exchange: its trades in execution order, and both halves of each as fills."""

    number: int
    time_ms: int
    received_ms: int
    trades: tuple[Trade, ...]
    fills: tuple[Fill, ...]


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A frame as it came over the wire, and when."""

    received_ms: int
    raw: bytes


def _instant_ms(row: Mapping[str, Any], field: str) -> int:
    value = text(row, field)
    try:
        moment = datetime.fromisoformat(value[:_MICROSECONDS]).replace(tzinfo=UTC)
    except ValueError as fault:
        raise BadMessage(field, value, "an ISO instant in UTC") from fault
    return int(moment.timestamp() * 1_000_000) // 1000


def pair_trades(fills: Iterable[Fill]) -> tuple[Trade, ...]:
    """Trades from both halves, paired by (time, coin, tid); the one that crossed is the aggressor.

    Raises `BadMessage` for a half without its other half, or with two on the same side.
    """
    halves: dict[tuple[int, str, int], list[Fill]] = {}
    for fill in fills:
        halves.setdefault((fill.time_ms, fill.coin, fill.tid), []).append(fill)
    return tuple(_trade(key, found) for key, found in halves.items())


def _trade(key: tuple[int, str, int], halves: list[Fill]) -> Trade:
    buys = [fill for fill in halves if fill.is_buy]
    sells = [fill for fill in halves if not fill.is_buy]
    if len(buys) != 1 or len(sells) != 1:
        raise BadMessage("tid", key, "one buy and one sell of each trade")
    (buy,), (sell,) = buys, sells
    return Trade(
        coin=buy.coin,
        px=buy.px,
        sz=buy.sz,
        time_ms=buy.time_ms,
        tid=buy.tid,
        hash=buy.hash,
        buyer=buy.user,
        seller=sell.user,
        aggressor_is_buyer=buy.crossed,
    )


def read_block(line: bytes, delay_ms: int | None = TYPICAL_DELAY_MS) -> Block:
    """One line of a `node_fills_by_block` file; `delay_ms` None uses the recorded receive time."""
    try:
        row = mapping(orjson.loads(line), "block")
    except orjson.JSONDecodeError as fault:
        raise BadMessage("block", line[:60], "JSON") from fault
    time_ms = _instant_ms(row, "block_time")
    received_ms = _instant_ms(row, "local_time") if delay_ms is None else time_ms + delay_ms
    halves = [pair(event, "event") for event in sequence(row.get("events"), "events")]
    fills = tuple(parse_fill(raw, to_address(user, "user"), known_since_ms=received_ms) for user, raw in halves)
    return Block(integer(row, "block_number"), time_ms, received_ms, pair_trades(fills), fills)


def read_blocks(path: Path, delay_ms: int | None = TYPICAL_DELAY_MS) -> Iterator[Block]:
    """All blocks of a file, in order. Raises `BadMessage` for a file whose receive times step back."""
    last_ms = 0
    with path.open("rb") as stream:
        for line in stream:
            block = read_block(line, delay_ms)
            if block.received_ms < last_ms:
                raise BadMessage("local_time", block.received_ms, f"{last_ms} or later")
            last_ms = block.received_ms
            yield block


def fills_by_user(blocks: Iterable[Block]) -> dict[str, tuple[Fill, ...]]:
    """Fills of each account in execution order, as `userFills` would list them."""
    found: dict[str, list[Fill]] = {}
    for block in blocks:
        for fill in block.fills:
            found.setdefault(fill.user, []).append(fill)
    return {user: tuple(fills) for user, fills in found.items()}


def read_raw_frames(path: Path) -> Iterator[RawFrame]:
    """Raw frames of a file whose lines hold `received_wall_ns`, `channel` and `data`."""
    with path.open("rb") as stream:
        for line in stream:
            try:
                row = mapping(orjson.loads(line), "frame")
            except orjson.JSONDecodeError as fault:
                raise BadMessage("frame", line[:60], "JSON") from fault
            raw = orjson.dumps({"channel": row.get("channel"), "data": row.get("data")})
            yield RawFrame(integer(row, "received_wall_ns") // 1_000_000, raw)
