"""From journalled inputs to events of the engine; the same for the live stream and for a replay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
import orjson

from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.gaps import TradeIntake
from sigmapilot_core.adapters.hyperliquid.messages import (
    BookMessage,
    CandleMessage,
    ContextMessage,
    GapMessage,
    MalformedMessage,
    Message,
    TradesMessage,
    UserFillsMessage,
)
from sigmapilot_core.adapters.hyperliquid.received import FrameKind, read_note, unseen
from sigmapilot_core.adapters.hyperliquid.wire import malformed, parse_frame
from sigmapilot_core.domain.codec import from_json
from sigmapilot_core.domain.engine import events
from sigmapilot_core.domain.events import Bar
from sigmapilot_core.domain.risk.state import RiskState
from sigmapilot_core.domain.snapshot import from_json as snapshot_from_json
from sigmapilot_core.domain.venue import Position
from sigmapilot_stream.records import InputRecord

TICK, SNAPSHOT, PRIMED, LOST, RECONCILED, ACCOUNT = "tick", "snapshot", "primed", "lost", "reconciled", "account"
STARTED, HELD, CANARY = "started", "held", "canary"
_SAYS_NOTHING = (FrameKind.LINK, STARTED, HELD, CANARY)


class UnreadableInputError(ValueError):
    """A journalled input that this version cannot read: parked, never skipped in silence."""


@dataclass(slots=True)
class Decoder:
    """Decodes inputs in order. Holds the unfinished candle of each coin: it is closed when the next one begins.

    The journal has frames as they came: trades that came before (replays after a subscribe) are dropped here again, as
    they were when the frame arrived.
    """

    _open_bars: dict[str, Bar] = field(default_factory=dict)
    intake: TradeIntake = field(default_factory=TradeIntake)

    def decode(self, record: InputRecord) -> Iterator[events.Event]:
        """The events of one input, none for what does not concern the engine.

        Raises:
            UnreadableInputError: the payload is not what its kind promises.
        """
        try:
            if record.kind in (FrameKind.LIVE, FrameKind.HISTORY):
                yield from self._frame(record)
            elif record.kind == FrameKind.GAP:
                yield _gap(record)
            elif record.kind not in _SAYS_NOTHING:
                yield from _control(record)
        except (BadMessage, ValueError, KeyError, TypeError) as error:
            raise UnreadableInputError(f"input {record.seq} of kind {record.kind!r}: {error}") from error

    def _frame(self, record: InputRecord) -> Iterator[events.Event]:
        try:
            message = unseen(self.intake, parse_frame(record.payload, record.received_ms))
        except BadMessage as fault:
            message = malformed(record.payload, fault)
        yield from self._message(message, record)

    def _message(self, message: Message, record: InputRecord) -> Iterator[events.Event]:
        match message:
            case TradesMessage(trades=trades) if trades:
                yield events.TradesReceived(trades, record.received_ms, record.seq, record.kind == FrameKind.HISTORY)
            case BookMessage(book=book) if book is not None:
                yield events.BookUpdated(book, record.seq)
            case ContextMessage(context=context) if context is not None:
                yield events.ContextUpdated(context, record.received_ms, record.seq)
            case CandleMessage(bars=bars):
                for bar in bars:
                    yield from self._bar(bar, record)
            case UserFillsMessage(fills=fills, is_snapshot=False) if fills:
                yield events.FillsReceived(fills, record.received_ms, record.seq)
            case MalformedMessage(coin=coin, reason=reason) if coin is not None:
                at = record.received_ms
                yield events.GapReported(at, at, f"malformed frame: {reason}", at, record.seq, coin=coin)

    def _bar(self, bar: Bar, record: InputRecord) -> Iterator[events.Event]:
        before = self._open_bars.get(bar.coin)
        if before is not None and bar.open_ms < before.open_ms:
            return
        self._open_bars[bar.coin] = bar
        if before is not None and bar.open_ms > before.open_ms:
            yield events.BarClosed(before, record.received_ms, record.seq)


def _gap(record: InputRecord) -> events.GapReported:
    note = read_note(FrameKind.GAP, record.payload)
    if not isinstance(note, GapMessage):
        raise UnreadableInputError(f"input {record.seq} is no gap")
    return events.GapReported(
        note.from_ms, note.to_ms, "trades may be missing in the feed", record.received_ms, record.seq, coin=note.coin
    )


def _control(record: InputRecord) -> Iterator[events.Event]:
    at, seq = record.received_ms, record.seq
    if record.kind == SNAPSHOT:
        yield events.SnapshotActivated(snapshot_from_json(record.payload.decode()), at, seq)
        return
    if record.kind == ACCOUNT:
        yield events.AccountUpdated(from_json(RiskState, record.payload.decode(), "risk state"), at, seq)
        return
    body: dict[str, Any] = orjson.loads(record.payload)
    match record.kind:
        case "tick":
            for link in body["connections"]:
                yield _status(link, at, seq)
        case "primed":
            yield events.PositionsPrimed(body["user"], _positions(body["positions"]), body["as_of_ms"], at, seq)
        case "lost":
            yield events.GapReported(body["from_ms"], body["to_ms"], body["detail"], at, seq, user=body["user"])
        case "reconciled":
            yield events.CoinReconciled(body["coin"], at, seq)
        case _:
            raise UnreadableInputError(f"input {record.seq} has the unknown kind {record.kind!r}")


def _status(link: dict[str, Any], received_ms: int, seq: int) -> events.FeedStatus:
    coins, books, unheard = (tuple(link.get(name, ())) for name in ("coins", "book_coins", "unheard"))
    return events.FeedStatus(link["name"], coins, books, link["last_frame_ms"], received_ms, seq, unheard)


def held_coins(record: InputRecord) -> tuple[str, ...]:
    """Coins of a `held` input. Raises UnreadableInputError."""
    try:
        return tuple(msgspec.json.decode(record.payload, type=list[str]))
    except msgspec.MsgspecError as error:
        raise UnreadableInputError(f"input {record.seq} of kind {record.kind!r}: {error}") from error


def _positions(rows: list[dict[str, str]]) -> tuple[Position, ...]:
    return tuple(Position(row["coin"], Decimal(row["size"]), Decimal(row["entry_px"])) for row in rows)


def primed_payload(user: str, as_of_ms: int, positions: tuple[Position, ...]) -> bytes:
    """Positions of one account as a `primed` input holds them."""
    rows = [{"coin": p.coin, "size": str(p.size), "entry_px": str(p.entry_px)} for p in positions]
    return orjson.dumps({"user": user, "as_of_ms": as_of_ms, "positions": rows})
