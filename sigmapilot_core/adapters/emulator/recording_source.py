"""A recording of every fill of the exchange as the life behind the emulator: the feed is the clock.

Known exactly: trades of every market, both parties' fills, positions in perpetuals (each fill tells the one before
it). Books were not recorded, so there are none. The rest is approximated and listed in `APPROXIMATIONS`, which the
status route shows: nobody has to guess which number is real.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from decimal import Decimal

from sigmapilot_core.adapters.emulator.driver import RecordedBlock
from sigmapilot_core.adapters.emulator.trade_bars import trade_bars
from sigmapilot_core.adapters.hyperliquid.coins import is_followed
from sigmapilot_core.adapters.hyperliquid.recording import Block
from sigmapilot_core.domain.events import Bar, Book, Fill, Trade
from sigmapilot_core.domain.params import DAY_MS
from sigmapilot_core.domain.traders.ledger import LedgerState, prime, step
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

APPROXIMATIONS = (
    "book and mid price: none, not recorded",
    "mark and oracle price: the last trade, before the first one the first",
    "day volume: the volume of the recording, scaled to a day; funding and open interest: zero, not recorded",
    "entry price: from the first closing fill, else the first price; account value: the leaderboard's, else zero",
    "leaderboard: of another day than the recording; return computed from PnL and account value",
    "size decimals: the most that occur in the recording; maximal leverage: 20",
    "candles: of the recorded trades only",
)
_LEVERAGE = 20
_PRICE_PLACES = 8
_ZERO = Decimal(0)


def _first_entry(fills: Sequence[Fill]) -> Decimal:
    """Entry price of the position before the first fill, from the first fill that closes a part of it."""
    for fill in fills:
        start, pnl = fill.start_position, fill.closed_pnl
        if start is not None and pnl is not None and start * fill.signed_size < 0:
            closed = min(abs(start), fill.sz)
            return fill.px - pnl / closed * (1 if start > 0 else -1)
    return fills[0].px


class RecordingSource:
    """A `VenueSource` over recorded blocks. Its universe are the perpetuals of the first dex; of other markets it has
    the trades and fills, no positions and no figures."""

    def __init__(self, blocks: Iterable[Block], leaderboard: Sequence[LeaderboardRow] = ()) -> None:
        self._blocks = list(blocks)
        if not self._blocks:
            raise ValueError("The recording holds 0 blocks; allowed is at least 1.")
        self._rows = tuple(leaderboard)
        self._values = {r.address: Decimal(repr(r.account_value_usd)) for r in self._rows}
        self._now_ms = self._blocks[0].time_ms - 1
        self._next = 0
        self._trades: dict[str, list[Trade]] = {}
        self._fills: dict[str, list[Fill]] = {}
        self._first_px: dict[str, Decimal] = {}
        self._day_volume: dict[str, float] = {}
        self._held: dict[str, dict[str, LedgerState]] = {}
        self._decimals: dict[str, int] = {}
        self._other_coins: set[str] = set()
        self._assets = self._read_whole()

    def _read_whole(self) -> tuple[AssetSpec, ...]:
        """What must be known before the first block: the universe, first prices, the positions at the start."""
        decimals = self._decimals
        per_position: dict[tuple[str, str], list[Fill]] = {}
        span = max(self._blocks[-1].time_ms - self._blocks[0].time_ms, 1)
        for block in self._blocks:
            for trade in block.trades:
                if not is_followed(trade.coin):
                    self._other_coins.add(trade.coin)
                    continue
                places = -int(trade.sz.normalize().as_tuple().exponent)
                decimals[trade.coin] = max(decimals.get(trade.coin, 0), places)
                self._first_px.setdefault(trade.coin, trade.px)
                volume = self._day_volume.get(trade.coin, 0.0)
                self._day_volume[trade.coin] = volume + float(trade.px * trade.sz) * DAY_MS / span
            for fill in block.fills:
                self._held.setdefault(fill.user, {})
                if is_followed(fill.coin):
                    per_position.setdefault((fill.user, fill.coin), []).append(fill)
        for (user, coin), fills in per_position.items():
            size = fills[0].start_position or _ZERO
            self._held[user][coin] = prime(user, coin, size, _first_entry(fills), self._now_ms)
        return tuple(AssetSpec(coin, places, _LEVERAGE) for coin, places in sorted(decimals.items()))

    @property
    def blocks(self) -> tuple[RecordedBlock, ...]:
        """Times of all blocks and of their arrival."""
        return tuple(RecordedBlock(b.time_ms, b.received_ms) for b in self._blocks)

    @property
    def recorded_users(self) -> list[str]:
        """Accounts that occur in the recording; the leaderboard holds many more."""
        return sorted(self._held)

    @property
    def other_coins(self) -> list[str]:
        """Coins of other markets whose trades were recorded."""
        return sorted(self._other_coins)

    @property
    def now_ms(self) -> int:
        """The instant of the last advance; one millisecond before the first block at the start."""
        return self._now_ms

    @property
    def assets(self) -> Sequence[AssetSpec]:
        """The coins that occur, by name."""
        return self._assets

    def advance(self, to_ms: int) -> Sequence[Trade]:
        """Play all blocks up to and including an instant. ValueError for an instant in the past."""
        if to_ms < self._now_ms:
            raise ValueError(f"to_ms is {to_ms}; allowed is {self._now_ms} or later.")
        self._now_ms = to_ms
        played: list[Trade] = []
        while self._next < len(self._blocks) and self._blocks[self._next].time_ms <= to_ms:
            block = self._blocks[self._next]
            self._next += 1
            played.extend(block.trades)
            for trade in block.trades:
                self._trades.setdefault(trade.coin, []).append(trade)
            for fill in block.fills:
                self._fills.setdefault(fill.user, []).append(fill)
                held = self._held[fill.user]
                if fill.coin in held:
                    held[fill.coin], _ = step(held[fill.coin], fill, self._decimals[fill.coin])
        return played

    def _last_px(self, coin: str) -> Decimal:
        trades = self._trades.get(coin)
        return trades[-1].px if trades else self._first_px[coin]

    def context(self, coin: str) -> AssetContext:
        """Last price and scaled volume; see `APPROXIMATIONS`."""
        px, first_px, volume = self._last_px(coin), self._first_px[coin], self._day_volume[coin]
        return AssetContext(coin, self._now_ms, px, px, None, first_px, volume, 0.0, 0.0, None)

    def book(self, coin: str, depth: int = 20) -> Book | None:
        """Not recorded, hence unknown: a book made up from trades would pass for one that somebody saw."""
        return None

    def candles(self, coin: str, interval_ms: int, start_ms: int, end_ms: int) -> Sequence[Bar]:
        """Candles of the trades played so far; the last one may be unfinished."""
        return trade_bars(self._trades.get(coin, ()), interval_ms, start_ms, end_ms)

    def funding_history(self, coin: str, start_ms: int, end_ms: int) -> Sequence[FundingRate]:
        """Not recorded."""
        return ()

    def recent_trades(self, coin: str, limit: int = 30) -> Sequence[Trade]:
        """The last trades of a coin, oldest first."""
        return self._trades.get(coin, [])[-limit:]

    def users(self) -> Iterable[str]:
        """Everybody in the recording or on the leaderboard."""
        return self._held.keys() | self._values.keys()

    def _between(self, user: str, start_ms: int, end_ms: int) -> list[Fill]:
        fills = self._fills.get(user, [])
        first = bisect_left(fills, start_ms, key=lambda f: f.time_ms)
        return fills[first : bisect_right(fills, end_ms, key=lambda f: f.time_ms)]

    def fills(self, user: str, start_ms: int, end_ms: int) -> Sequence[Fill]:
        """Fills in [start, end] without slices of time-weighted orders."""
        return [f for f in self._between(user, start_ms, end_ms) if f.twap_id is None]

    def twap_slices(self, user: str, start_ms: int, end_ms: int) -> Sequence[TwapSlice]:
        """Slices of time-weighted orders in [start, end]."""
        return [TwapSlice(f.twap_id, f) for f in self._between(user, start_ms, end_ms) if f.twap_id is not None]

    def account(self, user: str) -> AccountState:
        """Exact positions of the accounts in the recording; their value is the leaderboard's."""
        value = self._values.get(user, _ZERO)
        held = (state for state in self._held.get(user, {}).values() if state.position)
        positions = tuple(self._position(state) for state in held)
        return AccountState(user, self._now_ms, value, _ZERO, max(value, _ZERO), positions)

    def _position(self, state: LedgerState) -> Position:
        px = self._last_px(state.coin)
        entry = px if state.avg_entry is None else round(state.avg_entry, _PRICE_PLACES)
        return Position(
            state.coin,
            state.position,
            entry,
            unrealised_pnl=state.position * (px - entry),
            leverage=_LEVERAGE,
            margin_used=abs(state.position) * px / _LEVERAGE,
        )

    def funding_payments(self, user: str, start_ms: int, end_ms: int) -> Sequence[FundingPayment]:
        """Not recorded."""
        return ()

    def cash_flows(self, user: str, start_ms: int, end_ms: int) -> Sequence[CashFlow]:
        """Not recorded."""
        return ()

    def portfolio(self, user: str) -> Sequence[PortfolioHistory]:
        """Not recorded."""
        return ()

    def sub_accounts(self, user: str) -> Sequence[SubAccount]:
        """Not recorded."""
        return ()

    def master_of(self, user: str) -> str | None:
        """Not recorded."""
        return None

    def leaderboard(self, as_of_ms: int | None = None) -> Sequence[LeaderboardRow]:
        """The recorded rows, whatever day is asked for."""
        return self._rows
