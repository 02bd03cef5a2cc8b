"""Real orders: the matching engine beside the source's life, fed with its books, marks and funding.

What an action causes belongs to the next block and carries its time; the answer to the action comes before it, as at
the venue. The source does not notice: own trades take its displayed liquidity until the next block shows it again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from sigmapilot_core.domain.events import Book, Fill, Trade
from sigmapilot_core.domain.execution.book import EXTERNAL_USER
from sigmapilot_core.domain.execution.liquidation import BACKSTOP_USER
from sigmapilot_core.domain.execution.matching import MatchingEngine
from sigmapilot_core.domain.execution.venue_state import EngineConfig, Events
from sigmapilot_core.domain.params import HOUR_MS
from sigmapilot_core.domain.venue import AccountState, CashFlow, FundingPayment, SubAccount
from sigmapilot_core.ports import VenueSource

ZERO = Decimal(0)
_RECENT = 30
T = TypeVar("T")
_NOBODY = frozenset({EXTERNAL_USER, BACKSTOP_USER})


@dataclass(slots=True)
class OwnAccount:
    """What is remembered of an account of real orders, beside what the engine knows."""

    master: str | None = None
    name: str = ""
    spot_usd: Decimal = ZERO
    volume_usd: Decimal = ZERO
    fills: list[Fill] = field(default_factory=list)
    funding: list[FundingPayment] = field(default_factory=list)
    cash_flows: list[CashFlow] = field(default_factory=list)


class Desk:
    """Accounts of real orders. `block_ms` is the length of a block."""

    def __init__(self, source: VenueSource, block_ms: int, config: EngineConfig | None = None) -> None:
        self.engine = MatchingEngine(source.assets, config or EngineConfig(name="emulator"))
        self.coins = tuple(asset.coin for asset in source.assets)
        self.accounts: dict[str, OwnAccount] = {}
        self._source = source
        self._block_ms = block_ms
        self._pending: list[tuple[int, Events]] = []
        self._synced: dict[str, int] = {}
        self._recent: dict[str, deque[Trade]] = {}

    @property
    def next_block_ms(self) -> int:
        """Time of the block that what happens now will belong to."""
        return (self._source.now_ms // self._block_ms + 1) * self._block_ms

    def knows(self, user: str) -> bool:
        """True for an account of real orders."""
        return user in self.accounts

    def has_funds(self, user: str) -> bool:
        """True if the account, or a sub-account of it, holds any money."""
        family = [user, *(s.user for s in self.sub_accounts(user))]
        return any(self.engine.equity(u) > 0 or self.accounts[u].spot_usd > 0 for u in family)

    # --- money ---

    def move(self, user: str, usdc: Decimal, kind: str) -> None:
        """Add money (a withdrawal if negative) and write it into the ledger; opens the account."""
        account = self.accounts.setdefault(user, OwnAccount())
        self.engine.deposit(user, usdc)
        account.cash_flows.append(CashFlow(user, self.next_block_ms, usdc, kind))

    def open_sub_account(self, master: str, name: str, address: str) -> None:
        """A new, empty sub-account."""
        self.accounts[address] = OwnAccount(master, name)

    def sub_accounts(self, master: str) -> list[SubAccount]:
        """Sub-accounts of a master."""
        return [SubAccount(a.name, user, master) for user, a in self.accounts.items() if a.master == master]

    def state(self, user: str) -> AccountState:
        """Positions and margin, stamped with the block they belong to."""
        fills = self.accounts[user].fills
        return self.engine.account(user, max(self._source.now_ms, fills[-1].time_ms if fills else 0))

    # --- market ---

    def sync(self, coin: str, now_ms: int) -> None:
        """Give the engine the book and mark of the moment, once a block; `now_ms` stamps what that causes."""
        if self._synced.get(coin) == self._source.now_ms:
            return
        self._synced[coin] = self._source.now_ms
        context, book = self._source.context(coin), self._source.book(coin)
        bids, asks = (book.bids, book.asks) if book is not None else ((), ())
        self._take(self.engine.set_external_book(coin, bids, asks, now_ms), now_ms)
        self._take(self.engine.set_mark(coin, context.mark_px, now_ms, context.oracle_px), now_ms)

    def busy_coins(self) -> set[str]:
        """Coins in which somebody has an order or a position."""
        now = self._source.now_ms
        held = {p.coin for user in self.accounts for p in self.engine.account(user, now).positions}
        return held | {o.coin for user in self.accounts for o in self.engine.open_orders(user)}

    def pass_time(self, previous_ms: int, to_ms: int) -> None:
        """A block of the source has passed: books and marks move, funding is paid, scheduled cancels fire."""
        if not self.accounts:
            return
        busy = sorted(self.busy_coins())
        for coin in busy:
            self.sync(coin, to_ms)
        if to_ms // HOUR_MS != previous_ms // HOUR_MS:
            for coin in busy:
                self._take(self.engine.apply_funding(coin, self._source.context(coin).funding_rate, to_ms), to_ms)
        self._take(self.engine.advance(to_ms), to_ms)

    def book(self, coin: str, depth: int) -> Book | None:
        """The source's book with the accounts' orders in it; None where there are none."""
        if not any(o.coin == coin and o.is_resting for user in self.accounts for o in self.engine.open_orders(user)):
            return None
        return self.engine.book(coin, self._source.now_ms, depth)

    def recent_trades(self, coin: str) -> list[Trade]:
        """The last trades of real orders in a coin that have been shown."""
        return [t for t in self._recent.get(coin, ()) if t.time_ms <= self._source.now_ms]

    # --- events ---

    def run(self, coins: Iterable[str], act: Callable[[int], T], events_of: Callable[[T], Events]) -> T:
        """Let the engine act on some coins at the time of the next block, and keep what it caused."""
        now = self.next_block_ms
        for coin in sorted(set(coins)):
            self.sync(coin, now)
        done = act(now)
        self._take(events_of(done), now)
        return done

    def _take(self, events: Events, time_ms: int) -> None:
        if events.trades or events.updates or events.liquidations or events.funding:
            self._pending.append((time_ms, events))
        for trade in events.trades:
            self._recent.setdefault(trade.coin, deque(maxlen=_RECENT)).append(trade)
        for fill in events.fills:
            if fill.user not in _NOBODY:
                account = self.accounts[fill.user]
                account.fills.append(fill)
                account.volume_usd += fill.notional
        for payment in events.funding:
            if payment.user not in _NOBODY:
                self.accounts[payment.user].funding.append(payment)

    def due(self, to_ms: int) -> list[Events]:
        """What belongs to blocks up to `to_ms`, in the order it happened; given once."""
        due = [events for time_ms, events in self._pending if time_ms <= to_ms]
        self._pending = [(time_ms, events) for time_ms, events in self._pending if time_ms > to_ms]
        return due
