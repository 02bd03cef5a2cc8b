"""The two frames that make up nearly all traffic, `trades` and `l2Book`, read in a third of the time.

Only what is plainly right is read here: a frame of exactly the types the venue sends, with sound values. All else is
None and goes the strict way of `wire_market`, which alone says what is wrong; what both read, they read alike.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import msgspec

from sigmapilot_core.adapters.hyperliquid.coins import is_followed, is_market
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.fields import FUTURE_MS, MAX_INT, is_storable, to_address, to_decimal, traded
from sigmapilot_core.adapters.hyperliquid.messages import BookMessage, TradesMessage
from sigmapilot_core.domain.events import Book, Level, Trade

_TRADES, _BOOK = b'{"channel":"trades",', b'{"channel":"l2Book",'


class _WireTrade(msgspec.Struct, gc=False):
    coin: str
    side: Literal["A", "B"]
    px: str
    sz: str
    time: int
    hash: str
    tid: int
    users: tuple[str, str]


class _TradesFrame(msgspec.Struct):
    channel: Literal["trades"]
    data: list[_WireTrade]


class _WireLevel(msgspec.Struct, gc=False):
    px: str
    sz: str
    n: int


class _WireBook(msgspec.Struct):
    coin: str
    time: int
    levels: tuple[list[_WireLevel], list[_WireLevel]]


class _BookFrame(msgspec.Struct):
    channel: Literal["l2Book"]
    data: _WireBook


_TRADES_DECODER = msgspec.json.Decoder(_TradesFrame)
_BOOK_DECODER = msgspec.json.Decoder(_BookFrame)


def quick_frame(payload: bytes, received_ms: int) -> TradesMessage | BookMessage | None:
    """The message of a sound frame of trades or of a book; None for every other frame."""
    try:
        if payload.startswith(_TRADES):
            return _trades(payload, received_ms)
        if payload.startswith(_BOOK):
            return _book(payload, received_ms)
    except (msgspec.MsgspecError, UnicodeDecodeError, BadMessage):
        return None
    return None


def _trades(payload: bytes, received_ms: int) -> TradesMessage | None:
    rows, latest_ms = _TRADES_DECODER.decode(payload).data, received_ms + FUTURE_MS
    found = []
    for row in rows:
        if not is_market(row.coin):
            return None  # it is counted there, once its other fields were not looked at
        if not 0 <= row.time <= latest_ms or not 0 <= row.tid <= MAX_INT or not is_storable(row.hash):
            return None
        buyer, seller = row.users
        found.append(
            Trade(
                row.coin, _traded(row.px), _traded(row.sz), row.time, row.tid, row.hash,
                _address(buyer), _address(seller), row.side == "B",
            )
        )  # fmt: skip
    return TradesMessage(tuple(found))


def _book(payload: bytes, received_ms: int) -> BookMessage | None:
    book = _BOOK_DECODER.decode(payload).data
    if book.time < 0 or not is_followed(book.coin):
        return None
    wire_bids, wire_asks = book.levels
    bids, asks = _side(wire_bids), _side(wire_asks)
    is_ordered = all(a.px > b.px for a, b in pairwise(bids)) and all(a.px < b.px for a, b in pairwise(asks))
    return BookMessage(Book(book.coin, book.time, received_ms, bids, asks)) if is_ordered else None


def _side(levels: list[_WireLevel]) -> tuple[Level, ...]:
    if any(level.n < 0 for level in levels):
        raise BadMessage("n", -1, "a whole number of 0 or more")
    return tuple([Level(_above_zero(level.px), _above_zero(level.sz), level.n) for level in levels])


@lru_cache(maxsize=65_536)
def _above_zero(text: str) -> Decimal:
    """A price or a size; the same texts come again and again."""
    value = to_decimal(text, "px")
    if value <= 0:
        raise BadMessage("px", text, "a number above zero")
    return value


@lru_cache(maxsize=65_536)
def _traded(text: str) -> Decimal:
    """A price or a size of a trade, within what any market can say."""
    return traded({"px": text}, "px")


@lru_cache(maxsize=65_536)
def _address(text: str) -> str:
    """An address in lower case, one object for each account: looked up in many dictionaries."""
    return to_address(text, "users")
