"""Everything the matching engine remembers, and what one action of it has brought about so far."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from sigmapilot_core.domain.events import ZERO, Fill, Trade
from sigmapilot_core.domain.execution.accounts import Account, mark_of
from sigmapilot_core.domain.execution.book import EXTERNAL_USER, OrderBook
from sigmapilot_core.domain.execution.orders import Order, OrderStatus
from sigmapilot_core.domain.execution.registry import OrderRegistry
from sigmapilot_core.domain.venue import AssetSpec, FundingPayment


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Rules that differ between venues, or are not known for certain (venue reference 5.2-5.4, 9.4).

    `name` makes transaction hashes of two engines different. `prevalidates`: one error refuses a whole batch.
    `zero_size_closes`: size 0 with reduce-only closes the position. `modify_needs_always_place`: without it a
    modification must be post-only. `allows_entry_triggers`: TP/SL without reduce-only.
    """

    name: str = "engine"
    default_leverage: int = 20
    min_notional_usd: Decimal = Decimal(10)
    band: Decimal = Decimal("0.8")
    market_slippage: Decimal = Decimal("0.1")
    retention: int = 2000
    uses_fee_tiers: bool = True
    prevalidates: bool = True
    zero_size_closes: bool = True
    modify_needs_always_place: bool = True
    allows_entry_triggers: bool = False


@dataclass(frozen=True, slots=True)
class Liquidation:
    """An account fell below its maintenance margin; `method` is `market` or `backstop` (taken over without trades)."""

    user: str
    time_ms: int
    account_value: Decimal
    notional: Decimal
    method: str


@dataclass(frozen=True, slots=True)
class Events:
    """What one action caused, each list in the order it happened. `updates` are orders at each change of status."""

    trades: tuple[Trade, ...] = ()
    fills: tuple[Fill, ...] = ()
    updates: tuple[Order, ...] = ()
    funding: tuple[FundingPayment, ...] = ()
    liquidations: tuple[Liquidation, ...] = ()


@dataclass(slots=True)
class Log:
    """Events of the action in progress."""

    trades: list[Trade] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    updates: list[Order] = field(default_factory=list)
    funding: list[FundingPayment] = field(default_factory=list)
    liquidations: list[Liquidation] = field(default_factory=list)


class VenueState:
    """Books, accounts, orders and prices. Changed only by the engine's steps, one action at a time."""

    def __init__(self, assets: Sequence[AssetSpec], config: EngineConfig) -> None:
        self.config = config
        self.specs = {spec.coin: spec for spec in assets}
        self.asset_index = {spec.coin: index for index, spec in enumerate(assets)}
        self.books = {spec.coin: OrderBook() for spec in assets}
        self.orders = OrderRegistry(config.retention)
        self.marks: dict[str, Decimal] = {}
        self.oracles: dict[str, Decimal] = {}
        self.accounts: dict[str, Account] = {}
        self.fee_pot = ZERO
        self.cancel_times: dict[str, int] = {}
        self.log = Log()
        self.now_ms = 0
        self._actions = 0
        self._trades = 0

    def begin(self, now_ms: int) -> None:
        """A new action: its events are collected apart and share one transaction hash."""
        self.now_ms = now_ms
        self._actions += 1
        self.log = Log()

    def end(self) -> Events:
        """The action's events."""
        log = self.log
        return Events(
            tuple(log.trades), tuple(log.fills), tuple(log.updates), tuple(log.funding), tuple(log.liquidations)
        )

    def spec(self, coin: str) -> AssetSpec:
        """Rules of a coin. Errors: ValueError for a coin the engine does not list."""
        spec = self.specs.get(coin)
        if spec is None:
            raise ValueError(f"coin is {coin!r}; allowed is one of {', '.join(self.specs)}.")
        return spec

    def account(self, user: str) -> Account:
        """The account, opened empty at its first use."""
        account = self.accounts.get(user)
        if account is None:
            account = self.accounts[user] = Account(user, self.config.default_leverage)
        return account

    def mark(self, coin: str) -> Decimal:
        """Mark price. Errors: ValueError when none was set."""
        return mark_of(self.marks, coin)

    def transaction_hash(self) -> str:
        """Hash of the action in progress."""
        return "0x" + hashlib.sha256(f"{self.config.name}:{self._actions}:{self.now_ms}".encode()).hexdigest()

    def trade_id(self, coin: str, buy_oid: int, sell_oid: int) -> int:
        """A 50-bit id, shared by both parties of a trade."""
        self._trades += 1
        digest = hashlib.sha256(f"{self.config.name}:{self._trades}:{coin}:{buy_oid}:{sell_oid}".encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 14 or 1

    def store(self, order: Order) -> Order:
        """Keep the new state of an order and report it."""
        self.orders.put(order)
        self.log.updates.append(order)
        return order

    def finish(self, order: Order, status: OrderStatus) -> Order:
        """The order's last status; it leaves the book."""
        self.books[order.coin].remove(order.oid)
        return self.store(replace(order, status=status, status_ms=self.now_ms))


def is_external(user: str) -> bool:
    """Whether a counterparty is the synthetic liquidity."""
    return user == EXTERNAL_USER
