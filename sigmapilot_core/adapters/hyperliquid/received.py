"""One message as the feed hands it on, and the same message read back from a journal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import orjson

from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.fields import boolean, integer, mapping, sequence, text
from sigmapilot_core.adapters.hyperliquid.gaps import TradeIntake
from sigmapilot_core.adapters.hyperliquid.messages import (
    BboMessage,
    BookMessage,
    CandleMessage,
    ContextMessage,
    GapMessage,
    LinkMessage,
    MalformedMessage,
    Message,
    MidsMessage,
    TradesMessage,
    UserFillsMessage,
)
from sigmapilot_core.adapters.hyperliquid.wire import malformed, parse_frame


class FrameKind(StrEnum):
    """What a frame is to the reader; also the kind under which it stands in the journal."""

    LIVE = "live"
    HISTORY = "history"
    GAP = "gap"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class ReceivedFrame:
    """A frame in the order received. `parsed` holds each trade and fill only once over the life of the feed.

    `raw` is what came over the wire; for our own notes (gap, link) it is their JSON.
    """

    received_ms: int
    connection: str
    channel: str
    raw: bytes
    parsed: Message
    kind: FrameKind = FrameKind.LIVE

    @property
    def is_history(self) -> bool:
        """True for replays after a subscribe: known before we asked, never a live event."""
        return self.kind is FrameKind.HISTORY


def note_of(message: GapMessage | LinkMessage) -> bytes:
    """Our own note as JSON, to stand in the journal like a frame."""
    if isinstance(message, GapMessage):
        return orjson.dumps({"coin": message.coin, "from_ms": message.from_ms, "to_ms": message.to_ms})
    return orjson.dumps({"is_up": message.is_up, "coins": message.coins, "reason": message.reason})


def read_note(kind: FrameKind, raw: bytes) -> GapMessage | LinkMessage:
    """A note read back. Raises `BadMessage`."""
    try:
        row = mapping(orjson.loads(raw), kind)
    except orjson.JSONDecodeError as fault:
        raise BadMessage(kind, raw[:60], "JSON") from fault
    if kind is FrameKind.GAP:
        return GapMessage(text(row, "coin"), integer(row, "from_ms"), integer(row, "to_ms"))
    coins = tuple(str(coin) for coin in sequence(row.get("coins"), "coins"))
    return LinkMessage(boolean(row, "is_up"), coins, text(row, "reason"))


def replayed(entries: Iterable[tuple[str, int, bytes]], connection: str = "journal") -> Iterator[ReceivedFrame]:
    """Frames from journal entries (kind, receive time, raw), deduped as they were when they came in."""
    intake = TradeIntake()
    for kind_text, received_ms, raw in entries:
        kind = FrameKind(kind_text)
        if kind in (FrameKind.GAP, FrameKind.LINK):
            yield ReceivedFrame(received_ms, connection, kind, raw, read_note(kind, raw), kind)
            continue
        try:
            parsed = parse_frame(raw, received_ms)
        except BadMessage as fault:
            parsed = malformed(raw, fault)
        yield ReceivedFrame(received_ms, connection, channel_of(parsed), raw, unseen(intake, parsed), kind)


def unseen(intake: TradeIntake, parsed: Message) -> Message:
    """The message without the trades and fills that were seen before."""
    if isinstance(parsed, TradesMessage):
        fresh = intake.take(parsed.trades).fresh
        return parsed if fresh == parsed.trades else replace(parsed, trades=fresh)
    if isinstance(parsed, UserFillsMessage):
        return replace(parsed, fills=intake.take_fills(parsed.user, parsed.fills))
    return parsed


_CHANNELS: dict[type, str] = {
    TradesMessage: "trades",
    BookMessage: "l2Book",
    BboMessage: "bbo",
    CandleMessage: "candle",
    ContextMessage: "activeAssetCtx",
    MidsMessage: "allMids",
    UserFillsMessage: "userFills",
}


def channel_of(message: Message) -> str:
    """Channel a message of data came on, and "" for other messages; what was malformed says it itself."""
    return message.channel if isinstance(message, MalformedMessage) else _CHANNELS.get(type(message), "")
