"""Values that cross every boundary: trades, fills, books and bars of the venue.

Prices, sizes and money of single fills are `Decimal`; instants are integer milliseconds since the epoch, UTC.
Signed sizes are positive for buys and for long positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sigmapilot_core.domain.frozen import Remembering, quick

ZERO = Decimal(0)


class Direction(StrEnum):
    """Side of a position, vote or decision; `NONE` is a tie or no position."""

    LONG = "long"
    SHORT = "short"
    NONE = "none"

    @property
    def sign(self) -> int:
        """+1 for long, -1 for short, 0 for none."""
        return 1 if self is Direction.LONG else -1 if self is Direction.SHORT else 0

    @classmethod
    def of(cls, signed: Decimal | float | int) -> Direction:
        """Direction of a signed size or notional."""
        if signed > 0:
            return cls.LONG
        return cls.SHORT if signed < 0 else cls.NONE


class Verdict(StrEnum):
    """Three values, never two: unknown never passes and is never replaced by a neutral number."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"


class Source(StrEnum):
    """Where a fill or episode is known from: seen live, or fetched later (chosen with hindsight)."""

    LIVE = "live"
    BACKFILL = "backfill"


@quick
@dataclass(frozen=True, slots=True)
class Trade:
    """One public trade: both parties are named. `aggressor_is_buyer` is the venue's side "B"."""

    coin: str
    px: Decimal
    sz: Decimal
    time_ms: int
    tid: int
    hash: str
    buyer: str
    seller: str
    aggressor_is_buyer: bool

    @property
    def key(self) -> tuple[int, str, int]:
        """The venue's identity of a trade: (time, coin, tid)."""
        return (self.time_ms, self.coin, self.tid)


@quick
@dataclass(frozen=True, slots=True)
class Fill:
    """One party's half of a trade. Identity: (user, time, coin, tid), never the transaction hash.

    `start_position` is the signed position before the fill where the source carries it; `fee` is None where it does
    not. `closed_pnl` is gross of fees, as the venue reports it.
    """

    user: str
    coin: str
    is_buy: bool
    px: Decimal
    sz: Decimal
    time_ms: int
    tid: int
    crossed: bool
    hash: str = ""
    oid: int | None = None
    start_position: Decimal | None = None
    fee: Decimal | None = None
    closed_pnl: Decimal | None = None
    dir: str | None = None
    twap_id: int | None = None
    is_liquidation: bool = False
    source: Source = Source.LIVE
    known_since_ms: int | None = None

    @property
    def key(self) -> tuple[str, int, str, int]:
        """(user, time, coin, tid)."""
        return (self.user, self.time_ms, self.coin, self.tid)

    @property
    def id(self) -> str:
        """The key as text, as stored and referred to by votes."""
        return f"{self.user}:{self.time_ms}:{self.coin}:{self.tid}"

    @property
    def signed_size(self) -> Decimal:
        """+size for a buy, -size for a sell."""
        return self.sz if self.is_buy else -self.sz

    @property
    def notional(self) -> Decimal:
        """Unsigned value of the fill in quote currency."""
        return self.px * self.sz


def fills_of_trade(trade: Trade, known_since_ms: int | None = None) -> tuple[Fill, Fill]:
    """Both halves of a public trade: (buyer's fill, seller's fill); fees and start positions are not in the feed."""
    common = {
        "coin": trade.coin,
        "px": trade.px,
        "sz": trade.sz,
        "time_ms": trade.time_ms,
        "tid": trade.tid,
        "hash": trade.hash,
        "known_since_ms": known_since_ms,
    }
    return (
        Fill(user=trade.buyer, is_buy=True, crossed=trade.aggressor_is_buyer, **common),  # type: ignore[arg-type]
        Fill(user=trade.seller, is_buy=False, crossed=not trade.aggressor_is_buyer, **common),  # type: ignore[arg-type]
    )


@quick
@dataclass(frozen=True, slots=True)
class Level:
    """One price level of a book; `n` orders rest there."""

    px: Decimal
    sz: Decimal
    n: int = 1


@quick
@dataclass(frozen=True, slots=True)
class Book(Remembering):
    """A two-sided book at one instant; bids descend, asks ascend. `received_ms` is our receive time."""

    coin: str
    time_ms: int
    received_ms: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    @property
    def mid(self) -> float | None:
        """(best bid + best ask)/2; None when a side is empty or the book is crossed."""
        if not self.bids or not self.asks or self.bids[0].px >= self.asks[0].px:
            return None
        return float((self.bids[0].px + self.asks[0].px) / 2)


@quick
@dataclass(frozen=True, slots=True)
class Bar:
    """One closed candle; `open_ms` inclusive, `close_ms` exclusive (open + timeframe)."""

    coin: str
    open_ms: int
    close_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
