"""What a WebSocket message or a REST reply says, once it has been read.

`ignored` counts entries of markets that are not followed (spot, builders' dexes, outcomes; spec section 7.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sigmapilot_core.domain.events import Bar, Book, Fill, Trade
from sigmapilot_core.domain.venue import (
    AccountState,
    AssetContext,
    AssetSpec,
    CashFlow,
    FundingPayment,
    SubAccount,
    TwapSlice,
)

SubscriptionKey = tuple[tuple[str, str | int], ...]
"""Canonical form of a subscription: sorted pairs without null and false, so that the normalised echo matches."""


@dataclass(frozen=True, slots=True)
class HelloMessage:
    """The plain text that opens every connection."""


@dataclass(frozen=True, slots=True)
class PongMessage:
    """The answer to our ping."""


@dataclass(frozen=True, slots=True)
class EmptyMessage:
    """A frame without content."""


@dataclass(frozen=True, slots=True)
class TradesMessage:
    """Trades of one block, in execution order and of any market; `ignored` had a coin whose name is not known."""

    trades: tuple[Trade, ...]
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class BookMessage:
    """A book of up to 20 levels a side; None where the coin is not followed."""

    book: Book | None
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class BboMessage:
    """Best bid and ask as a book of one level; None where the coin is not followed."""

    book: Book | None
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class CandleMessage:
    """Candles; the last one is unfinished while its close lies ahead."""

    bars: tuple[Bar, ...]
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class ContextMessage:
    """Market figures of one asset; None where the coin is not followed."""

    context: AssetContext | None
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class MidsMessage:
    """Mid prices of the followed coins."""

    mids: dict[str, Decimal]
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class UserFillsMessage:
    """Fills of one account; `is_snapshot` marks history sent after a subscription."""

    user: str
    fills: tuple[Fill, ...]
    is_snapshot: bool
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class AckMessage:
    """The venue accepted a subscribe or unsubscribe."""

    method: str
    key: SubscriptionKey


@dataclass(frozen=True, slots=True)
class ErrorMessage:
    """The venue refused something; `key` is the subscription where the text echoes one."""

    text: str
    key: SubscriptionKey | None


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """A channel we do not use or do not know; counted, never fatal."""

    channel: str


@dataclass(frozen=True, slots=True)
class MalformedMessage:
    """A frame that could not be trusted; `coin` is what it seems to be about, so that the coin can become unknown."""

    channel: str
    coin: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class GapMessage:
    """Our own note: trades of a coin after `from_ms` and before `to_ms` may be missing."""

    coin: str
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class LinkMessage:
    """Our own note: a connection was lost, or hears everything it should again; `coins` are those it carries."""

    is_up: bool
    coins: tuple[str, ...]
    reason: str


Message = (
    HelloMessage
    | PongMessage
    | EmptyMessage
    | TradesMessage
    | BookMessage
    | BboMessage
    | CandleMessage
    | ContextMessage
    | MidsMessage
    | UserFillsMessage
    | AckMessage
    | ErrorMessage
    | UnknownMessage
    | MalformedMessage
    | GapMessage
    | LinkMessage
)


@dataclass(frozen=True, slots=True)
class MarketSnapshot:
    """Reply to `metaAndAssetCtxs`. An asset whose figures cannot be trusted is in `rejected` and has no context."""

    assets: tuple[AssetSpec, ...]
    contexts: tuple[AssetContext, ...]
    rejected: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FillPage:
    """One reply with fills; `rows` and `last_ms` count every row, also ignored ones, to drive the paging."""

    fills: tuple[Fill, ...]
    rows: int
    last_ms: int | None
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class TwapPage:
    """One reply with slices of time-weighted orders."""

    slices: tuple[TwapSlice, ...]
    rows: int
    last_ms: int | None
    ignored: int = 0

    @property
    def fills(self) -> tuple[Fill, ...]:
        """The slices as plain fills."""
        return tuple(s.fill for s in self.slices)


@dataclass(frozen=True, slots=True)
class CashFlowPage:
    """Deposits, withdrawals and transfers; `ignored` counts kinds that move no USDC or are unknown."""

    flows: tuple[CashFlow, ...]
    rows: int
    last_ms: int | None
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class PaymentPage:
    """One reply with funding payments."""

    payments: tuple[FundingPayment, ...]
    rows: int
    last_ms: int | None
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class SubAccountState:
    """A sub-account with its positions; one call brings all of a master's (spec section 1.4)."""

    account: SubAccount
    state: AccountState


@dataclass(frozen=True, slots=True)
class UserRole:
    """What an address is; `master` for agents and sub-accounts."""

    role: str
    master: str | None = None


@dataclass(frozen=True, slots=True)
class UserFees:
    """Fee rates of one account on perpetuals, as fractions; a negative maker rate is a rebate."""

    taker: float
    maker: float


@dataclass(frozen=True, slots=True)
class ExchangeStatus:
    """The venue's own time, and what it announces."""

    time_ms: int
    special_statuses: tuple[str, ...]
