"""What the engine consumes, in the order in which it was journalled.

Every event carries its sequence number `seq` in the journal and the instant `now_ms` at which it counts: its receive
time, or a timer's deadline.
"""

from __future__ import annotations

from dataclasses import dataclass

from sigmapilot_core.domain.events import Bar, Book, Fill, Trade
from sigmapilot_core.domain.frozen import quick
from sigmapilot_core.domain.risk.state import RiskState
from sigmapilot_core.domain.snapshot import ModelSnapshot
from sigmapilot_core.domain.venue import AssetContext, Position


@quick
@dataclass(frozen=True, slots=True)
class TradesReceived:
    """Public trades of one frame, in execution order; `is_history` for the replay after a subscribe."""

    trades: tuple[Trade, ...]
    received_ms: int
    seq: int
    is_history: bool = False

    @property
    def now_ms(self) -> int:
        """Receive time."""
        return self.received_ms


@quick
@dataclass(frozen=True, slots=True)
class FillsReceived:
    """Fills of followed accounts from their own channel, in execution order."""

    fills: tuple[Fill, ...]
    received_ms: int
    seq: int

    @property
    def now_ms(self) -> int:
        """Receive time."""
        return self.received_ms


@dataclass(frozen=True, slots=True)
class PositionsPrimed:
    """All open positions of one account as of the venue's instant `as_of_ms`: coins not named are flat."""

    user: str
    positions: tuple[Position, ...]
    as_of_ms: int
    received_ms: int
    seq: int

    @property
    def now_ms(self) -> int:
        """Receive time."""
        return self.received_ms


@quick
@dataclass(frozen=True, slots=True)
class BookUpdated:
    """A new book of one coin."""

    book: Book
    seq: int

    @property
    def now_ms(self) -> int:
        """Receive time."""
        return self.book.received_ms


@quick
@dataclass(frozen=True, slots=True)
class ContextUpdated:
    """Mark, funding and other figures of one coin."""

    context: AssetContext
    received_ms: int
    seq: int

    @property
    def now_ms(self) -> int:
        """Receive time."""
        return self.received_ms


@dataclass(frozen=True, slots=True)
class BarClosed:
    """A closed one-minute candle."""

    bar: Bar
    received_ms: int
    seq: int

    @property
    def now_ms(self) -> int:
        """Receive time."""
        return self.received_ms


@dataclass(frozen=True, slots=True)
class SnapshotActivated:
    """A model snapshot that decides from here on."""

    snapshot: ModelSnapshot
    received_ms: int
    seq: int

    @property
    def now_ms(self) -> int:
        """Receive time."""
        return self.received_ms


@quick
@dataclass(frozen=True, slots=True)
class TimerFired:
    """A deadline the engine asked for has come."""

    deadline_ms: int
    seq: int

    @property
    def now_ms(self) -> int:
        """The deadline itself, however late the timer fired: a replay sees the same."""
        return self.deadline_ms


@dataclass(frozen=True, slots=True)
class AccountUpdated:
    """State of the governor with the own account in it."""

    risk: RiskState
    received_ms: int
    seq: int

    @property
    def now_ms(self) -> int:
        """Receive time."""
        return self.received_ms


@quick
@dataclass(frozen=True, slots=True)
class FeedStatus:
    """Which coins a connection hears, which of them with books, and when its last frame of any kind came; `unheard` are
    coins whose trades it should carry and does not.
    """

    connection: str
    coins: tuple[str, ...]
    book_coins: tuple[str, ...]
    last_frame_ms: int | None
    received_ms: int
    seq: int
    unheard: tuple[str, ...] = ()

    @property
    def now_ms(self) -> int:
        """Receive time."""
        return self.received_ms


@dataclass(frozen=True, slots=True)
class GapReported:
    """Something was missed between two instants: of a coin (its record is unknown until `CoinReconciled`), or of one
    account (primed anew). Exactly one of `coin` and `user` is given.
    """

    from_ms: int
    to_ms: int
    detail: str
    received_ms: int
    seq: int
    coin: str | None = None
    user: str | None = None

    def __post_init__(self) -> None:
        if (self.coin is None) == (self.user is None):
            raise ValueError(f"a gap is of a coin or of a user, got coin={self.coin} and user={self.user}")

    @property
    def now_ms(self) -> int:
        """Receive time."""
        return self.received_ms


@dataclass(frozen=True, slots=True)
class CoinReconciled:
    """Positions in the coin were compared with the venue again: its record counts as complete."""

    coin: str
    received_ms: int
    seq: int

    @property
    def now_ms(self) -> int:
        """Receive time."""
        return self.received_ms


Event = (
    TradesReceived
    | FillsReceived
    | PositionsPrimed
    | BookUpdated
    | ContextUpdated
    | BarClosed
    | SnapshotActivated
    | TimerFired
    | AccountUpdated
    | FeedStatus
    | GapReported
    | CoinReconciled
)
