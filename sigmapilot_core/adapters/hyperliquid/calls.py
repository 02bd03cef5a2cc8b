"""Every read request we make: its body, its weight, and how its reply is read. No I/O.

The clients in `rest.py` send them, asynchronously or not; `histories.py` combines pages. Weights: spec section 4.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, TypeVar

from sigmapilot_core.adapters.hyperliquid import wire_account, wire_ledger, wire_market
from sigmapilot_core.adapters.hyperliquid.intervals import interval_name
from sigmapilot_core.adapters.hyperliquid.messages import (
    CashFlowPage,
    ExchangeStatus,
    FillPage,
    MarketSnapshot,
    PaymentPage,
    SubAccountState,
    TwapPage,
    UserFees,
    UserRole,
)
from sigmapilot_core.domain.events import Bar, Book, Source, Trade
from sigmapilot_core.domain.venue import (
    AccountState,
    AssetSpec,
    FundingRate,
    PortfolioHistory,
)

T = TypeVar("T")

LIGHT, NORMAL, ROLE = 2, 20, 60
_LIGHT_TYPES = frozenset(
    {"l2Book", "allMids", "clearinghouseState", "orderStatus", "spotClearinghouseState", "exchangeStatus"}
)
_PER_ITEM = {"candleSnapshot": 60} | dict.fromkeys(
    (
        "recentTrades",
        "historicalOrders",
        "userFills",
        "userFillsByTime",
        "fundingHistory",
        "userFunding",
        "userNonFundingLedgerUpdates",
        "userTwapSliceFills",
        "userTwapSliceFillsByTime",
    ),
    20,
)
FILLS_PAGE, ROWS_PAGE, CANDLES_PAGE = 2000, 500, 5000


def base_weight(kind: str) -> int:
    """Weight of a request before its items are known."""
    return ROLE if kind == "userRole" else LIGHT if kind in _LIGHT_TYPES else NORMAL


def item_weight(kind: str, items: int) -> int:
    """Surcharge: one for every 20 items, every 60 candles, nothing for the other types."""
    per = _PER_ITEM.get(kind)
    return 0 if per is None else items // per


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request to /info. `expected_items` is what the limiter is charged for before the reply is known."""

    body: dict[str, Any]
    read: Callable[[object], T]
    expected_items: int = 0

    @property
    def kind(self) -> str:
        """The request's type."""
        return str(self.body["type"])

    @property
    def estimate(self) -> int:
        """Weight charged before the reply."""
        return base_weight(self.kind) + item_weight(self.kind, self.expected_items)

    def actual(self, raw: object) -> int:
        """Weight the reply turned out to cost."""
        return base_weight(self.kind) + item_weight(self.kind, len(raw) if isinstance(raw, list) else 0)


def meta() -> Call[tuple[AssetSpec, ...]]:
    """The universe of the first dex, in order of asset ids."""
    return Call({"type": "meta"}, wire_market.parse_meta)


def market(received_ms: int) -> Call[MarketSnapshot]:
    """Universe and market figures; `received_ms` becomes the time of the figures."""
    return Call({"type": "metaAndAssetCtxs"}, lambda raw: wire_market.parse_market(raw, received_ms))


def mids() -> Call[dict[str, Decimal]]:
    """Mid prices of the followed coins."""
    return Call({"type": "allMids"}, lambda raw: wire_market.parse_mids(raw)[0])


def book(coin: str, received_ms: int) -> Call[Book | None]:
    """Up to 20 levels a side; None for an unknown coin."""
    return Call({"type": "l2Book", "coin": coin}, lambda raw: wire_market.parse_book(raw, received_ms))


def recent_trades(coin: str) -> Call[tuple[Trade, ...]]:
    """The most recent trades of a coin; how many is the venue's choice."""
    body = {"type": "recentTrades", "coin": coin}
    return Call(body, lambda raw: wire_market.parse_trades(raw)[0], expected_items=100)


def account(user: str) -> Call[AccountState]:
    """Positions and margin of one account: the cheapest truth (weight 2)."""
    return Call({"type": "clearinghouseState", "user": user}, lambda raw: wire_account.parse_account(raw, user))


def accounts(users: tuple[str, ...]) -> Call[tuple[AccountState, ...]]:
    """Positions of several accounts in the order asked. Undocumented, its weight is not known and its answer names no
    account: only asked to learn whether it is there (spec section 10.1)."""
    body = {"type": "batchClearinghouseStates", "users": list(users)}
    return Call(body, lambda raw: wire_account.parse_accounts(raw, users))


def sub_accounts(user: str) -> Call[tuple[SubAccountState, ...]]:
    """All sub-accounts of a master with their positions."""
    return Call({"type": "subAccounts", "user": user}, wire_account.parse_sub_accounts)


def role(user: str) -> Call[UserRole]:
    """What an address is (weight 60)."""
    return Call({"type": "userRole", "user": user}, wire_account.parse_role)


def fees(user: str) -> Call[UserFees]:
    """Fee rates of one account."""
    return Call({"type": "userFees", "user": user}, wire_account.parse_fees)


def portfolio(user: str) -> Call[tuple[PortfolioHistory, ...]]:
    """Histories of account value and PnL, for charts."""
    return Call({"type": "portfolio", "user": user}, wire_account.parse_portfolio)


def status() -> Call[ExchangeStatus]:
    """The venue's time: the cheapest health check."""
    return Call({"type": "exchangeStatus"}, wire_account.parse_status)


def recent_fills(user: str, source: Source = Source.BACKFILL, known_since_ms: int | None = None) -> Call[FillPage]:
    """The newest 2000 fills, newest first."""
    body = {"type": "userFills", "user": user}
    return Call(body, lambda raw: wire_account.parse_fills(raw, user, source, known_since_ms), FILLS_PAGE)


def fills_page(user: str, start_ms: int, end_ms: int | None, known_since_ms: int | None = None) -> Call[FillPage]:
    """At most 2000 fills from `start_ms` (inclusive) on, ascending; without slices of time-weighted orders."""
    body = _window("userFillsByTime", user, start_ms, end_ms)
    return Call(body, lambda raw: wire_account.parse_fills(raw, user, Source.BACKFILL, known_since_ms), FILLS_PAGE)


def twap_page(user: str, start_ms: int, end_ms: int | None, known_since_ms: int | None = None) -> Call[TwapPage]:
    """At most 2000 slices of time-weighted orders from `start_ms` on; the venue keeps about 13 days."""
    body = _window("userTwapSliceFillsByTime", user, start_ms, end_ms)
    return Call(body, lambda raw: wire_account.parse_twap_slices(raw, user, Source.BACKFILL, known_since_ms), 200)


def recent_twap_slices(user: str, known_since_ms: int | None = None) -> Call[TwapPage]:
    """The newest 2000 slices."""
    body = {"type": "userTwapSliceFills", "user": user}
    return Call(body, lambda raw: wire_account.parse_twap_slices(raw, user, Source.BACKFILL, known_since_ms), 200)


def _until(end_ms: int | None) -> dict[str, Any]:
    return {} if end_ms is None else {"endTime": end_ms}


def _window(kind: str, user: str, start_ms: int, end_ms: int | None) -> dict[str, Any]:
    return {"type": kind, "user": user, "startTime": start_ms} | _until(end_ms)


def funding_page(coin: str, start_ms: int, end_ms: int | None) -> Call[tuple[FundingRate, ...]]:
    """At most 500 hourly funding rates of a coin from `start_ms` on, ascending."""
    body: dict[str, Any] = {"type": "fundingHistory", "coin": coin, "startTime": start_ms}
    return Call(body | _until(end_ms), wire_market.parse_funding_history, ROWS_PAGE)


def payments_page(user: str, start_ms: int, end_ms: int | None) -> Call[PaymentPage]:
    """At most 500 blocks of funding payments of an account from `start_ms` on, ascending."""
    body = _window("userFunding", user, start_ms, end_ms)
    return Call(body, lambda raw: wire_ledger.parse_funding_payments(raw, user), ROWS_PAGE)


def cash_flow_page(user: str, start_ms: int, end_ms: int | None) -> Call[CashFlowPage]:
    """At most 500 deposits, withdrawals and transfers of an account from `start_ms` on, ascending."""
    body = _window("userNonFundingLedgerUpdates", user, start_ms, end_ms)
    return Call(body, lambda raw: wire_ledger.parse_cash_flows(raw, user), 100)


def candle_page(coin: str, interval_ms: int, start_ms: int, end_ms: int) -> Call[tuple[Bar, ...]]:
    """Candles opening in [start, end], the unfinished one included; only the most recent 5000 exist."""
    span = {"coin": coin, "interval": interval_name(interval_ms), "startTime": start_ms, "endTime": end_ms}
    expected = min(CANDLES_PAGE, max(0, end_ms - start_ms) // interval_ms + 1)
    return Call({"type": "candleSnapshot", "req": span}, wire_market.parse_candles, expected)
