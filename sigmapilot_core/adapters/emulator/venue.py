"""The exchange as one whole: the life of its source, stamped block by block, seen through the faults of the moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import groupby
from typing import Any, Protocol, TypeVar

from sigmapilot_core.adapters.emulator.config import EmulatorConfig
from sigmapilot_core.adapters.emulator.desk import Desk
from sigmapilot_core.adapters.emulator.faults import FaultRegistry
from sigmapilot_core.adapters.hyperliquid.fields import decimal_text
from sigmapilot_core.domain.events import Book, Fill, Trade
from sigmapilot_core.domain.execution.orders import Order
from sigmapilot_core.domain.execution.venue_state import Liquidation
from sigmapilot_core.domain.venue import (
    AccountState,
    AssetSpec,
    CashFlow,
    FundingPayment,
    PortfolioHistory,
    SubAccount,
    TwapSlice,
)
from sigmapilot_core.ports import VenueSource

ZERO = Decimal(0)


class _Timed(Protocol):
    @property
    def time_ms(self) -> int: ...


T = TypeVar("T", bound=_Timed)


@dataclass(frozen=True, slots=True)
class Block:
    """What happened after `previous_ms`, up to and including `time_ms`.

    `received_ms` is set where a recording says when its frames arrived. `updates`, `liquidations` and `funding`
    are of accounts of real orders.
    """

    previous_ms: int
    time_ms: int
    trades: tuple[Trade, ...]
    received_ms: int | None = None
    updates: tuple[Order, ...] = ()
    liquidations: tuple[Liquidation, ...] = ()
    funding: tuple[FundingPayment, ...] = ()
    by_coin: dict[str, tuple[Trade, ...]] = field(init=False)

    def __post_init__(self) -> None:
        grouped: dict[str, list[Trade]] = {}
        for trade in self.trades:
            grouped.setdefault(trade.coin, []).append(trade)
        object.__setattr__(self, "by_coin", {coin: tuple(rows) for coin, rows in grouped.items()})

    def crosses(self, period_ms: int) -> bool:
        """True if a multiple of the period lies in (previous, time]."""
        return self.time_ms // period_ms != self.previous_ms // period_ms

    def involves(self, user: str) -> bool:
        """True if the account is a party of one of the trades, or was liquidated."""
        return any(user in (t.buyer, t.seller) for t in self.trades) or any(x.user == user for x in self.liquidations)

    def frames(self, coin: str) -> Iterator[tuple[Trade, ...]]:
        """The trades of a coin, split where the venue's blocks end: equal times are one block."""
        for _, rows in groupby(self.by_coin.get(coin, ()), key=lambda t: t.time_ms):
            yield tuple(rows)


class Venue:
    """Queries and the passing of time. Everything a client can see goes through here.

    `other_coins` are of other markets than the universe: their trades can be heard, nothing else.
    """

    def __init__(
        self, source: VenueSource, faults: FaultRegistry, config: EmulatorConfig, other_coins: Iterable[str] = ()
    ) -> None:
        self.source = source
        self.batch_states = config.batch_states
        self.faults = faults
        self.asset_ids = {a.coin: i for i, a in enumerate(source.assets)}
        self.other_coins = tuple(other_coins)
        self.desk = Desk(source, config.block_ms)
        self._users = frozenset(source.users())

    @property
    def now_ms(self) -> int:
        """The time of the last block."""
        return self.source.now_ms

    def advance(self, to_ms: int, received_ms: int | None = None) -> Block:
        """Let time pass until `to_ms` and tell what happened."""
        previous = self.now_ms
        trades = self.source.advance(to_ms)
        self.desk.pass_time(previous, to_ms)
        own = self.desk.due(to_ms)
        if not own:
            return Block(previous, to_ms, tuple(trades), received_ms)
        both = sorted((*trades, *(t for e in own for t in e.trades)), key=lambda t: t.time_ms)
        return Block(
            previous,
            to_ms,
            tuple(both),
            received_ms,
            updates=tuple(o for e in own for o in e.updates),
            liquidations=tuple(x for e in own for x in e.liquidations),
            funding=tuple(p for e in own for p in e.funding),
        )

    def knows(self, user: str) -> bool:
        """True if the address belongs to an account of the source."""
        return user in self._users

    def assets(self) -> list[AssetSpec]:
        """The universe in order of asset ids."""
        delisted = self.faults.find
        return [
            replace(a, is_delisted=True) if delisted("delisted_coin", coin=a.coin) else a for a in self.source.assets
        ]

    def book(self, coin: str, depth: int = 20) -> Book | None:
        """The book with real orders in it, without levels while the fault `empty_book` is on."""
        book = self.desk.book(coin, depth) or self.source.book(coin, depth)
        if book is not None and self.faults.find("empty_book", coin=coin):
            return replace(book, bids=(), asks=())
        return book

    def mids(self) -> dict[str, Decimal]:
        """Mid price of every listed asset; the mark price where a side of the book is empty."""
        contexts = (self.source.context(a.coin) for a in self.assets() if not a.is_delisted)
        return {c.coin: c.mark_px if c.mid_px is None else c.mid_px for c in contexts}

    def account(self, user: str) -> AccountState:
        """State of an account; empty and well-formed for an address nobody has used (spec section 9.2)."""
        if self.desk.knows(user):
            return self.desk.state(user)
        if not self.knows(user):
            return AccountState(user, self.now_ms, ZERO, ZERO, ZERO, ())
        state = self.source.account(user)
        if self.faults.find("leader_liquidated", user=user):
            return replace(state, account_value=ZERO, maintenance_margin=ZERO, withdrawable=ZERO, positions=())
        if self.faults.find("unified_account", user=user):
            return replace(state, account_value=ZERO, withdrawable=ZERO)
        return state

    def fills(self, user: str, start_ms: int, end_ms: int) -> Sequence[Fill]:
        """Fills of an account in [start, end] in execution order, without slices of time-weighted orders."""
        if self.desk.knows(user):
            return self._within(self.desk.accounts[user].fills, start_ms, end_ms)
        return self.source.fills(user, start_ms, end_ms) if self.knows(user) else ()

    def _within(self, rows: Sequence[T], start_ms: int, end_ms: int) -> list[T]:
        """Rows of a real account in [start, end]; what has happened since the last block counts as now."""
        end = self.desk.next_block_ms if end_ms >= self.now_ms else end_ms
        return [row for row in rows if start_ms <= row.time_ms <= end]

    def recent_trades(self, coin: str, limit: int) -> Sequence[Trade]:
        """The last trades of a coin, oldest first."""
        own = self.desk.recent_trades(coin)
        theirs = self.source.recent_trades(coin, limit)
        return sorted((*theirs, *own), key=lambda t: t.time_ms)[-limit:] if own else theirs

    def twap_slices(self, user: str, start_ms: int, end_ms: int) -> Sequence[TwapSlice]:
        """Slices of time-weighted orders of an account."""
        return self.source.twap_slices(user, start_ms, end_ms) if self.knows(user) else ()

    def funding_payments(self, user: str, start_ms: int, end_ms: int) -> Sequence[FundingPayment]:
        """Funding an account has paid or received."""
        if self.desk.knows(user):
            return self._within(self.desk.accounts[user].funding, start_ms, end_ms)
        return self.source.funding_payments(user, start_ms, end_ms) if self.knows(user) else ()

    def cash_flows(self, user: str, start_ms: int, end_ms: int) -> Sequence[CashFlow]:
        """Deposits and withdrawals of an account."""
        if self.desk.knows(user):
            return self._within(self.desk.accounts[user].cash_flows, start_ms, end_ms)
        return self.source.cash_flows(user, start_ms, end_ms) if self.knows(user) else ()

    def portfolio(self, user: str) -> Sequence[PortfolioHistory]:
        """Histories of an account's value and PnL."""
        return self.source.portfolio(user) if self.knows(user) else ()

    def sub_accounts(self, user: str) -> Sequence[SubAccount]:
        """Sub-accounts of a master."""
        if self.desk.knows(user):
            return self.desk.sub_accounts(user)
        return self.source.sub_accounts(user) if self.knows(user) else ()

    def role(self, user: str) -> tuple[str, str | None]:
        """What an address is (missing, user, subAccount) and whose."""
        if self.desk.knows(user):
            owner = self.desk.accounts[user].master
            return ("user", None) if owner is None else ("subAccount", owner)
        if not self.knows(user):
            return "missing", None
        master = self.source.master_of(user)
        return ("user", None) if master is None else ("subAccount", master)

    def asset_data(self, user: str, coin: str) -> dict[str, Any]:
        """Leverage of an account in an asset and what it could trade."""
        spec = self.source.assets[self.asset_ids[coin]]
        mark = self.source.context(coin).mark_px
        free = self.account(user).withdrawable
        leverage = self.desk.engine.leverage(user, coin) if self.desk.knows(user) else spec.max_leverage
        size = decimal_text(round(free * leverage / mark, spec.sz_decimals))
        return {
            "user": user,
            "coin": coin,
            "leverage": {"type": "cross", "value": leverage},
            "maxTradeSzs": [size, size],
            "availableToTrade": [decimal_text(free)] * 2,
            "markPx": decimal_text(mark),
        }
