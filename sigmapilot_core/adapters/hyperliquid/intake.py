"""From raw text to the frames the feed hands on: parse, drop what is not followed or was seen, count. No I/O."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace

from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.gaps import TradeIntake
from sigmapilot_core.adapters.hyperliquid.messages import (
    BboMessage,
    BookMessage,
    CandleMessage,
    ContextMessage,
    EmptyMessage,
    ErrorMessage,
    GapMessage,
    LinkMessage,
    MalformedMessage,
    Message,
    MidsMessage,
    TradesMessage,
    UnknownMessage,
    UserFillsMessage,
)
from sigmapilot_core.adapters.hyperliquid.received import FrameKind, ReceivedFrame, channel_of, note_of
from sigmapilot_core.adapters.hyperliquid.wire import malformed, parse_frame

_NAMES_KEPT = 20
_DELAYS_KEPT = 256


@dataclass(slots=True)
class Intake:
    """State of the intake over all connections. `unknown_channels` keeps the first names met."""

    trades: TradeIntake = field(default_factory=TradeIntake)
    counts: Counter[str] = field(default_factory=Counter)
    unknown_channels: Counter[str] = field(default_factory=Counter)
    last_error: str = ""
    _delays: deque[int] = field(default_factory=lambda: deque(maxlen=_DELAYS_KEPT))

    def take(self, connection: str, raw: bytes, received_ms: int) -> tuple[Message, tuple[ReceivedFrame, ...]]:
        """What a frame says, and the frames to hand on: none, one, or one led by the gaps before it."""
        self.counts["frames"] += 1
        try:
            parsed = parse_frame(raw, received_ms)
        except BadMessage as fault:
            parsed = malformed(raw, fault)
        frame = ReceivedFrame(received_ms, connection, channel_of(parsed), raw, parsed)
        if isinstance(parsed, TradesMessage):
            return parsed, self._trades(frame, parsed)
        if isinstance(parsed, UserFillsMessage):
            return parsed, self._fills(frame, parsed)
        return parsed, (frame,) if self._is_data(parsed) else ()

    def note(self, connection: str, message: GapMessage | LinkMessage, received_ms: int) -> ReceivedFrame:
        """Our own note as a frame."""
        kind = FrameKind.GAP if isinstance(message, GapMessage) else FrameKind.LINK
        return ReceivedFrame(received_ms, connection, kind, note_of(message), message, kind)

    def clock_offset_ms(self) -> int | None:
        """Smallest (receive time - venue time) of the last live frames: our clock's lead plus the shortest network
        delay. Negative means that our clock is behind. None before the first live frame."""
        return min(self._delays, default=None)

    def _trades(self, frame: ReceivedFrame, parsed: TradesMessage) -> tuple[ReceivedFrame, ...]:
        taken = self.trades.take(parsed.trades)
        self.counts["ignored"] += parsed.ignored
        self.counts["duplicates"] += taken.duplicates
        self.counts["trades"] += len(taken.fresh)
        self.counts["gaps"] += len(taken.gaps)
        notes = tuple(
            self.note(frame.connection, GapMessage(gap.coin, gap.from_ms, gap.to_ms), frame.received_ms)
            for gap in taken.gaps
        )
        if not taken.fresh:
            self.counts["empty"] += not parsed.trades and not parsed.ignored
            return notes
        if not taken.is_history:
            self._delays.append(frame.received_ms - taken.fresh[-1].time_ms)
        kind = FrameKind.HISTORY if taken.is_history else FrameKind.LIVE
        return (*notes, replace(frame, parsed=replace(parsed, trades=taken.fresh), kind=kind))

    def _fills(self, frame: ReceivedFrame, parsed: UserFillsMessage) -> tuple[ReceivedFrame, ...]:
        fresh = self.trades.take_fills(parsed.user, parsed.fills)
        self.counts["ignored"] += parsed.ignored
        self.counts["duplicates"] += len(parsed.fills) - len(fresh)
        if not fresh:
            return ()
        kind = FrameKind.HISTORY if parsed.is_snapshot else FrameKind.LIVE
        return (replace(frame, parsed=replace(parsed, fills=fresh), kind=kind),)

    def _is_data(self, parsed: Message) -> bool:
        """Count the message; True where it is handed on."""
        match parsed:
            case BookMessage(book, ignored) | BboMessage(book, ignored):
                self.counts["ignored"] += ignored
                if book is not None:
                    self._delays.append(book.received_ms - book.time_ms)
                return book is not None
            case ContextMessage(content, ignored) | MidsMessage(content, ignored) | CandleMessage(content, ignored):
                self.counts["ignored"] += ignored
                return bool(content)
            case MalformedMessage():
                self.counts["malformed"] += 1
                return True
            case EmptyMessage():
                self.counts["empty"] += 1
            case ErrorMessage(text):
                self.counts["errors"] += 1
                self.last_error = text
            case UnknownMessage(channel):
                self.counts["unknown"] += 1
                if channel in self.unknown_channels or len(self.unknown_channels) < _NAMES_KEPT:
                    self.unknown_channels[channel] += 1
        return False
