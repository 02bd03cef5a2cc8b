"""Reading WebSocket frames (spec section 3): one function from raw text to a message, `BadMessage` for the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from sigmapilot_core.adapters.hyperliquid.coins import is_followed
from sigmapilot_core.adapters.hyperliquid.encode import HELLO
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.fields import FUTURE_MS, address, boolean, mapping, text
from sigmapilot_core.adapters.hyperliquid.messages import (
    AckMessage,
    BboMessage,
    BookMessage,
    CandleMessage,
    ContextMessage,
    EmptyMessage,
    ErrorMessage,
    HelloMessage,
    MalformedMessage,
    Message,
    MidsMessage,
    PongMessage,
    SubscriptionKey,
    TradesMessage,
    UnknownMessage,
    UserFillsMessage,
)
from sigmapilot_core.adapters.hyperliquid.wire_account import parse_fills
from sigmapilot_core.adapters.hyperliquid.wire_market import (
    parse_bbo,
    parse_book,
    parse_candles,
    parse_context,
    parse_mids,
    parse_trades,
)
from sigmapilot_core.adapters.hyperliquid.wire_quick import quick_frame

_HELLO = HELLO.encode()
_COIN = re.compile(rb'"(?:coin|s)"\s*:\s*"([^"\\]{1,40})"')
_EMPTY = frozenset({b"", b"[]", b"{}", b"null"})


def subscription_key(subscription: Mapping[str, Any]) -> SubscriptionKey:
    """Canonical form: the venue's echo adds null and false defaults and reorders keys (spec section 3.1)."""
    items: list[tuple[str, str | int]] = []
    for name, value in subscription.items():
        if value is None or value is False:
            continue
        if not isinstance(value, str | int):
            raise BadMessage(name, value, "a string, a whole number, true, false or null")
        items.append((name, value.lower() if isinstance(value, str) and name == "user" else value))
    return tuple(sorted(items))


def _trades(data: object, now_ms: int) -> Message:
    return TradesMessage(*parse_trades(data, now_ms))


def _book(data: object, now_ms: int) -> Message:
    book = parse_book(data, now_ms)
    return BookMessage(book, 0 if book else 1)


def _bbo(data: object, now_ms: int) -> Message:
    book = parse_bbo(data, now_ms)
    return BboMessage(book, 0 if book else 1)


def _candle(data: object, now_ms: int) -> Message:
    bars = parse_candles(data, now_ms)
    return CandleMessage(bars, (len(data) if isinstance(data, list) else 1) - len(bars))


def _context(data: object, now_ms: int) -> Message:
    row = mapping(data, "data")
    if not is_followed(row.get("coin")):
        return ContextMessage(None, 1)
    return ContextMessage(parse_context(text(row, "coin"), row.get("ctx"), now_ms))


def _mids(data: object, _now_ms: int) -> Message:
    return MidsMessage(*parse_mids(mapping(data, "data").get("mids")))


def _user_fills(data: object, now_ms: int) -> Message:
    row = mapping(data, "data")
    user = address(row, "user")
    page = parse_fills(row.get("fills"), user, known_since_ms=now_ms)
    if page.last_ms is not None and page.last_ms > now_ms + FUTURE_MS:
        raise BadMessage("time", page.last_ms, f"at most {FUTURE_MS // 60_000} minutes after its receipt at {now_ms}")
    is_snapshot = boolean(row, "isSnapshot") if row.get("isSnapshot") is not None else False
    return UserFillsMessage(user, page.fills, is_snapshot, page.ignored)


def _ack(data: object, _now_ms: int) -> Message:
    row = mapping(data, "data")
    return AckMessage(text(row, "method"), subscription_key(mapping(row.get("subscription"), "subscription")))


def _echoed(text_: str) -> SubscriptionKey | None:
    """The subscription some refusals carry: the whole request, or only its inner object."""
    start = text_.find("{")
    if start < 0:
        return None
    try:
        echo = mapping(orjson.loads(text_[start : text_.rfind("}") + 1]), "echo")
        inner = echo.get("subscription", echo)
        return subscription_key(mapping(inner, "echo"))
    except (orjson.JSONDecodeError, BadMessage):
        return None


def _error(data: object, _now_ms: int) -> Message:
    if not isinstance(data, str):
        raise BadMessage("data", data, "a string")
    return ErrorMessage(data, _echoed(data))


_READERS: dict[str, Callable[[object, int], Message]] = {
    "trades": _trades,
    "l2Book": _book,
    "bbo": _bbo,
    "candle": _candle,
    "activeAssetCtx": _context,
    "allMids": _mids,
    "userFills": _user_fills,
    "subscriptionResponse": _ack,
    "error": _error,
}


def parse_frame(raw: bytes | str, received_ms: int) -> Message:
    """What a frame says. Unknown channels are `UnknownMessage`; raises `BadMessage`, its field led by the channel."""
    payload = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
    quick = quick_frame(payload, received_ms)
    return strict_frame(payload, received_ms) if quick is None else quick


def strict_frame(payload: bytes, received_ms: int) -> Message:
    """`parse_frame` field by field: the only judge of what is wrong with a frame."""
    if payload == _HELLO:
        return HelloMessage()
    if payload.strip() in _EMPTY:
        return EmptyMessage()
    try:
        frame = mapping(orjson.loads(payload), "frame")
    except orjson.JSONDecodeError as fault:
        raise BadMessage("frame", payload[:60], "JSON") from fault
    channel = text(frame, "channel")
    if channel == "pong":
        return PongMessage()
    reader = _READERS.get(channel)
    if reader is None:
        return UnknownMessage(channel)
    try:
        return reader(frame.get("data"), received_ms)
    except BadMessage as fault:
        raise fault.within(channel) from fault


def malformed(raw: bytes, fault: BadMessage) -> MalformedMessage:
    """A frame that could not be trusted, with the coin it seems to be about, so that the coin can become unknown."""
    found = _COIN.search(raw)
    channel = fault.field.partition(".")[0]
    return MalformedMessage(channel, found[1].decode("utf-8", "replace") if found else None, str(fault))
