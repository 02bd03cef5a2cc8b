"""The in-memory twin of a world: trades, books and cash flows exactly as a test or a script writes them.

Everything that follows from the script is derived: fills with their start positions, positions, last prices, candles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from sigmapilot_core.adapters.emulator.trade_bars import trade_bars
from sigmapilot_core.domain.events import Bar, Book, Fill, Level, Trade, fills_of_trade
from sigmapilot_core.domain.traders.ledger import LedgerState, flat, step
from sigmapilot_core.domain.venue import (
    AccountState,
    AssetContext,
    AssetSpec,
    CashFlow,
    FundingPayment,
    FundingRate,
    LeaderboardRow,
    PortfolioHistory,
    Position,
    SubAccount,
    TwapSlice,
)

ZERO = Decimal(0)
_DECIMALS = 8


@dataclass
class Script:
    """What happens: all lists may grow while the source runs, in order of time and never before its now."""

    assets: list[AssetSpec]
    prices: dict[str, Decimal]
    trades: list[Trade] = field(default_factory=list)
    books: dict[str, Book] = field(default_factory=dict)
    cash_flows: list[CashFlow] = field(default_factory=list)
    funding_rates: list[FundingRate] = field(default_factory=list)
    funding_payments: list[FundingPayment] = field(default_factory=list)
    twap_ids: dict[int, int] = field(default_factory=dict)
    sub_accounts: list[SubAccount] = field(default_factory=list)
    portfolios: dict[str, tuple[PortfolioHistory, ...]] = field(default_factory=dict)
    leaderboard: list[LeaderboardRow] = field(default_factory=list)


class ScriptedSource:
    """A `VenueSource` that plays a script; its `twap_ids` map the tid of a slice to its time-weighted order."""

    def __init__(self, script: Script, start_ms: int) -> None:
        self.script = script
        self._now_ms = start_ms
        self._played: list[Trade] = []
        self._fills: dict[str, list[Fill]] = {}
        self._ledgers: dict[tuple[str, str], LedgerState] = {}

    @property
    def now_ms(self) -> int:
        """The instant of the last advance."""
        return self._now_ms

    @property
    def assets(self) -> Sequence[AssetSpec]:
        """The universe of the script."""
        return self.script.assets

    def advance(self, to_ms: int) -> Sequence[Trade]:
        """Play all trades up to and including an instant. ValueError for an instant in the past."""
        if to_ms < self._now_ms:
            raise ValueError(f"to_ms is {to_ms}; allowed is {self._now_ms} or later.")
        self._now_ms = to_ms
        due = [t for t in self.script.trades[len(self._played) :] if t.time_ms <= to_ms]
        for trade in due:
            self._played.append(trade)
            self.script.prices[trade.coin] = trade.px
            for half in fills_of_trade(trade):
                self._apply(half)
        return due

    def _apply(self, half: Fill) -> None:
        held = self._ledgers.get((half.user, half.coin), flat(half.user, half.coin))
        self._ledgers[half.user, half.coin], change = step(held, half, _DECIMALS)
        told = {"start_position": change.before, "closed_pnl": change.realised, "fee": ZERO, "oid": half.tid}
        fill = replace(half, **told, dir=direction_text(change.before, change.after))  # type: ignore[arg-type]
        self._fills.setdefault(half.user, []).append(fill)

    def context(self, coin: str) -> AssetContext:
        """Mark, oracle and previous day's price are the last price; nothing else is known."""
        px = self.script.prices[coin]
        volume = sum(float(t.px * t.sz) for t in self._played if t.coin == coin)
        return AssetContext(coin, self._now_ms, px, px, px, px, volume, 0.0, 0.0, 0.0)

    def book(self, coin: str, depth: int = 20) -> Book | None:
        """The scripted book, stamped with now; one level of 10 on either side of the last price without a script."""
        book = self.script.books.get(coin)
        if book is None:
            px = self.script.prices[coin]
            step = px / 10_000
            book = Book(coin, 0, 0, (Level(px - step, Decimal(10)),), (Level(px + step, Decimal(10)),))
        return replace(
            book, time_ms=self._now_ms, received_ms=self._now_ms, bids=book.bids[:depth], asks=book.asks[:depth]
        )

    def candles(self, coin: str, interval_ms: int, start_ms: int, end_ms: int) -> Sequence[Bar]:
        """Candles made of the trades played so far; the last one may be unfinished."""
        trades = (t for t in self._played if t.coin == coin)
        return trade_bars(trades, interval_ms, start_ms, end_ms)

    def funding_history(self, coin: str, start_ms: int, end_ms: int) -> Sequence[FundingRate]:
        """Scripted rates of a coin."""
        return [r for r in self.script.funding_rates if r.coin == coin and self._seen(r.time_ms, start_ms, end_ms)]

    def recent_trades(self, coin: str, limit: int = 30) -> Sequence[Trade]:
        """The last trades of a coin, oldest first."""
        return [t for t in self._played if t.coin == coin][-limit:]

    def users(self) -> Iterable[str]:
        """Everybody who has traded, moved money or is on the leaderboard."""
        names = {u for t in self.script.trades for u in (t.buyer, t.seller)}
        names |= {f.user for f in self.script.cash_flows} | {r.address for r in self.script.leaderboard}
        names |= {u for s in self.script.sub_accounts for u in (s.user, s.master)}
        return sorted(names)

    def fills(self, user: str, start_ms: int, end_ms: int) -> Sequence[Fill]:
        """Fills of one account without slices of time-weighted orders."""
        return [f for f in self._all_fills(user, start_ms, end_ms) if f.tid not in self.script.twap_ids]

    def twap_slices(self, user: str, start_ms: int, end_ms: int) -> Sequence[TwapSlice]:
        """Fills of one account that are slices."""
        ids = self.script.twap_ids
        return [TwapSlice(ids[f.tid], f) for f in self._all_fills(user, start_ms, end_ms) if f.tid in ids]

    def account(self, user: str) -> AccountState:
        """Open positions at the last price; the value is cash flows + closed PnL + unrealised PnL."""
        held = (s for (owner, _), s in self._ledgers.items() if owner == user and s.position)
        positions = tuple(self._position(state) for state in held)
        money = sum((f.usdc for f in self.cash_flows(user, 0, self._now_ms)), ZERO)
        closed = sum((f.closed_pnl or ZERO for f in self._fills.get(user, ())), ZERO)
        value = money + closed + sum((p.unrealised_pnl for p in positions), ZERO)
        return AccountState(user, self._now_ms, value, ZERO, max(value, ZERO), positions)

    def _position(self, state: LedgerState) -> Position:
        entry = state.avg_entry or ZERO
        pnl = state.position * (self.script.prices[state.coin] - entry)
        return Position(state.coin, state.position, entry, unrealised_pnl=pnl)

    def funding_payments(self, user: str, start_ms: int, end_ms: int) -> Sequence[FundingPayment]:
        """Scripted funding of one account."""
        rows = self.script.funding_payments
        return [p for p in rows if p.user == user and self._seen(p.time_ms, start_ms, end_ms)]

    def cash_flows(self, user: str, start_ms: int, end_ms: int) -> Sequence[CashFlow]:
        """Scripted cash flows of one account."""
        rows = self.script.cash_flows
        return [f for f in rows if f.user == user and self._seen(f.time_ms, start_ms, end_ms)]

    def portfolio(self, user: str) -> Sequence[PortfolioHistory]:
        """Scripted portfolio of one account."""
        return self.script.portfolios.get(user, ())

    def sub_accounts(self, user: str) -> Sequence[SubAccount]:
        """Sub-accounts of a master."""
        return [s for s in self.script.sub_accounts if s.master == user]

    def master_of(self, user: str) -> str | None:
        """Master of a sub-account."""
        return next((s.master for s in self.script.sub_accounts if s.user == user), None)

    def leaderboard(self, as_of_ms: int | None = None) -> Sequence[LeaderboardRow]:
        """The scripted rows, the same at any time."""
        return self.script.leaderboard

    def _all_fills(self, user: str, start_ms: int, end_ms: int) -> list[Fill]:
        return [f for f in self._fills.get(user, ()) if start_ms <= f.time_ms <= end_ms]

    def _seen(self, time_ms: int, start_ms: int, end_ms: int) -> bool:
        return start_ms <= time_ms <= min(end_ms, self._now_ms)


def direction_text(before: Decimal, after: Decimal) -> str:
    """The venue's text for what a fill did to a position."""
    if before * after < 0:
        return "Long > Short" if before > 0 else "Short > Long"
    opens = abs(after) > abs(before)
    side = "Long" if (after if opens else before) > 0 else "Short"
    return f"{'Open' if opens else 'Close'} {side}"
