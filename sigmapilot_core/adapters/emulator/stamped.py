"""A source whose events carry the time of the block they fall into, as at the venue: equal times are one block.

An event at t belongs to the block that ends at ceil(t / length) x length. Ranges of fills are translated, so that a
query by stamped time finds exactly what was shown with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sigmapilot_core.domain.events import Bar, Book, Fill, Trade
from sigmapilot_core.domain.venue import (
    AccountState,
    AssetContext,
    AssetSpec,
    CashFlow,
    FundingPayment,
    FundingRate,
    LeaderboardRow,
    PortfolioHistory,
    SubAccount,
    TwapSlice,
)
from sigmapilot_core.ports import VenueSource


class StampedSource:
    """A `VenueSource` over another one; only the times of trades and fills change."""

    def __init__(self, inner: VenueSource, block_ms: int) -> None:
        self.inner = inner
        self._block_ms = block_ms
        inner.advance(self._stamp(inner.now_ms))

    def _stamp(self, time_ms: int) -> int:
        return -(-time_ms // self._block_ms) * self._block_ms

    def _raw(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        """The range of true times whose stamps lie in [start, end]."""
        return self._stamp(start_ms) - self._block_ms + 1, end_ms // self._block_ms * self._block_ms

    @property
    def now_ms(self) -> int:
        """The instant of the last advance."""
        return self.inner.now_ms

    @property
    def assets(self) -> Sequence[AssetSpec]:
        """The universe."""
        return self.inner.assets

    def advance(self, to_ms: int) -> Sequence[Trade]:
        """Move to the end of a block. ValueError for an instant within one."""
        if to_ms % self._block_ms:
            raise ValueError(f"to_ms is {to_ms}; allowed is a multiple of {self._block_ms}.")
        return [replace(t, time_ms=self._stamp(t.time_ms)) for t in self.inner.advance(to_ms)]

    def recent_trades(self, coin: str, limit: int = 30) -> Sequence[Trade]:
        """The newest trades of a coin, oldest first."""
        return [replace(t, time_ms=self._stamp(t.time_ms)) for t in self.inner.recent_trades(coin, limit)]

    def fills(self, user: str, start_ms: int, end_ms: int) -> Sequence[Fill]:
        """Fills whose block lies in [start, end]."""
        found = self.inner.fills(user, *self._raw(start_ms, end_ms))
        return [replace(f, time_ms=self._stamp(f.time_ms)) for f in found]

    def twap_slices(self, user: str, start_ms: int, end_ms: int) -> Sequence[TwapSlice]:
        """Slices whose block lies in [start, end]."""
        found = self.inner.twap_slices(user, *self._raw(start_ms, end_ms))
        return [replace(s, fill=replace(s.fill, time_ms=self._stamp(s.fill.time_ms))) for s in found]

    def context(self, coin: str) -> AssetContext:
        """Market figures of a coin now."""
        return self.inner.context(coin)

    def book(self, coin: str, depth: int = 20) -> Book | None:
        """The book of a coin now."""
        return self.inner.book(coin, depth)

    def candles(self, coin: str, interval_ms: int, start_ms: int, end_ms: int) -> Sequence[Bar]:
        """Candles that open in [start, end]."""
        return self.inner.candles(coin, interval_ms, start_ms, end_ms)

    def funding_history(self, coin: str, start_ms: int, end_ms: int) -> Sequence[FundingRate]:
        """Hourly rates of a coin."""
        return self.inner.funding_history(coin, start_ms, end_ms)

    def users(self) -> Iterable[str]:
        """All accounts."""
        return self.inner.users()

    def account(self, user: str) -> AccountState:
        """Positions and margin now."""
        return self.inner.account(user)

    def funding_payments(self, user: str, start_ms: int, end_ms: int) -> Sequence[FundingPayment]:
        """Hourly payments of an account."""
        return self.inner.funding_payments(user, start_ms, end_ms)

    def cash_flows(self, user: str, start_ms: int, end_ms: int) -> Sequence[CashFlow]:
        """Deposits and withdrawals of an account."""
        return self.inner.cash_flows(user, start_ms, end_ms)

    def portfolio(self, user: str) -> Sequence[PortfolioHistory]:
        """Charts of an account."""
        return self.inner.portfolio(user)

    def sub_accounts(self, user: str) -> Sequence[SubAccount]:
        """Sub-accounts of a master."""
        return self.inner.sub_accounts(user)

    def master_of(self, user: str) -> str | None:
        """The master of a sub-account."""
        return self.inner.master_of(user)

    def leaderboard(self, as_of_ms: int | None = None) -> Sequence[LeaderboardRow]:
        """The leaderboard now or at a past instant."""
        return self.inner.leaderboard(as_of_ms)
