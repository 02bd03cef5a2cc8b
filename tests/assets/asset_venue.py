"""A small venue in memory: the twin of the HTTP reader, with traders whose record is known by construction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Self

from sigmapilot_core.domain.events import Bar, Fill, Source
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS
from sigmapilot_core.domain.venue import AssetContext, AssetSpec, FundingRate, LeaderboardRow, LeaderboardWindow
from sigmapilot_core.ports import (
    LeaderboardDownload,
    LeaderboardUnavailableError,
    SubAccounts,
    UniverseEntry,
    VenueUnavailableError,
)

NOW_MS = 1_790_000_000_000 // HOUR_MS * HOUR_MS + 60_000
COINS = ("BTC", "ETH", "SOL")


def address(number: int) -> str:
    """A distinct account."""
    return f"0x{number:040x}"


def price(coin: str, time_ms: int) -> float:
    """A smooth wave, so that bars have a range and every price is known."""
    base = {"BTC": 60_000.0, "ETH": 3_000.0, "SOL": 150.0}[coin]
    return round(base * (1 + 0.02 * math.sin(time_ms / HOUR_MS / 5)), 2)


def trades_of(user: str, count: int, edge: float, coin: str = "BTC") -> list[Fill]:
    """`count` round trips, one every 12 hours and 4 hours long, each won by `edge` of the price."""
    fills: list[Fill] = []
    for i in range(count):
        opened = NOW_MS - (count - i) * DAY_MS // 2
        # a little noise by hand, so that the variance of R is not zero
        gain = edge + (0.002 if i % 2 else -0.002)
        entry = price(coin, opened)
        for step, (px, is_buy, start) in enumerate(((entry, True, "0"), (round(entry * (1 + gain), 2), False, "1"))):
            fills.append(
                Fill(
                    user=user,
                    coin=coin,
                    is_buy=is_buy,
                    px=Decimal(str(px)),
                    sz=Decimal(1),
                    time_ms=opened + step * 4 * HOUR_MS,
                    tid=i * 2 + step + int(user, 16) * 1000,
                    crossed=True,
                    oid=i * 2 + step,
                    start_position=Decimal(start),
                    fee=Decimal("1"),
                    closed_pnl=Decimal(0),
                    source=Source.BACKFILL,
                )
            )
    return fills


def row(user: str, pnl: float = 50_000.0, value: float = 500_000.0) -> LeaderboardRow:
    """A leaderboard row that passes filters 1-4 by default."""
    window = LeaderboardWindow(pnl, pnl / value * 2, 1_000_000.0)
    return LeaderboardRow(user, value, dict.fromkeys(("day", "week", "month", "allTime"), window))


class Open:
    """Is opened like the reader over HTTP, and has nothing to close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@dataclass
class FakeVenue(Open):
    """`ports.VenueReader` and `ports.LeaderboardSource` over lists."""

    histories: dict[str, list[Fill]]
    rows: list[LeaderboardRow]
    masters: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    bad_rows: int = 0
    is_down: bool = False
    is_mute: bool = False
    asked: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return "fake leaderboard"

    def download(self, as_of_ms: int | None = None) -> LeaderboardDownload:
        if self.is_down:
            raise LeaderboardUnavailableError("the leaderboard is truncated")
        return LeaderboardDownload(self.rows, self.bad_rows, "pnl is nan" if self.bad_rows else None, "00", self.name)

    def universe(self) -> Sequence[UniverseEntry]:
        return [UniverseEntry(i, AssetSpec(coin, 4, 40), _context(coin)) for i, coin in enumerate(COINS)]

    def candles(self, coin: str, interval_ms: int, start_ms: int, end_ms: int) -> Sequence[Bar]:
        first = -(-start_ms // interval_ms) * interval_ms
        return [_bar(coin, at, interval_ms) for at in range(first, end_ms, interval_ms)]

    def funding_rates(self, coin: str, start_ms: int, end_ms: int) -> Sequence[FundingRate]:
        first = -(-start_ms // HOUR_MS) * HOUR_MS
        return [FundingRate(coin, at, 0.0000125, 0.0) for at in range(first, end_ms + 1, HOUR_MS)]

    def fill_history(self, user: str, start_ms: int, end_ms: int, limit: int) -> Sequence[Fill]:
        self.asked.append(user)
        if user in self.silent or self.is_mute:
            raise VenueUnavailableError(f"fills of {user}: timed out")
        return self.histories.get(user, [])[-limit:]

    def sub_accounts(self, user: str) -> SubAccounts:
        if self.is_mute:
            raise VenueUnavailableError(f"sub-accounts of {user}: timed out")
        return SubAccounts(user, (address(999),) if user in self.masters else ())

    def taker_fee_bps(self, user: str) -> float:
        if user in self.silent:
            raise VenueUnavailableError(f"userFees of {user}: timed out")
        return 3.5

    def recorded_users(self) -> Sequence[str]:
        return list(self.histories)


def _context(coin: str) -> AssetContext:
    px = Decimal(str(price(coin, NOW_MS)))
    return AssetContext(coin, NOW_MS, px, px, px, px, 50_000_000.0, 1_000.0, 0.0000125, 0.0)


def _bar(coin: str, open_ms: int, length: int) -> Bar:
    opened, closed = price(coin, open_ms), price(coin, open_ms + length)
    high, low = max(opened, closed) * 1.002, min(opened, closed) * 0.998
    return Bar(coin, open_ms, open_ms + length, opened, high, low, closed, 10.0)
