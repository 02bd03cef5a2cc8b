"""What could be observed of a venue, as columns: fills of every listed trader, minutes, hours, funding, leaderboards.

Nothing in it is of the future of the instant it is asked for: every reader cuts at its own instant, and
`until` gives the same record as it stood at an instant, which tests compare with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.events import Bar, Book, Fill
from sigmapilot_core.domain.params import HOUR_MS, MINUTE_MS
from sigmapilot_core.domain.simulation import ticks
from sigmapilot_core.domain.traders.filters import TraderFacts
from sigmapilot_core.domain.venue import LeaderboardRow

UNKNOWN_START = np.iinfo(np.int64).min
"""`start` of a fill whose position before is not known."""
NO_ORDER = -1

FILL = np.dtype(
    [
        ("t", "i8"),
        ("user", "i4"),
        ("coin", "i2"),
        ("px", "i8"),
        ("lots", "i8"),
        ("start", "i8"),
        ("oid", "i8"),
        ("tid", "i8"),
        ("crossed", "?"),
        ("is_liquidation", "?"),
    ]
)
"""One half of a trade in exact integers: `px` in units of 10^-(6 - szDecimals), signed `lots`, position `start` before
it in lots; px x lots is micro-USD."""


@dataclass(frozen=True, slots=True)
class Minutes:
    """One-minute bars of all coins as (minutes, coins) arrays from `start_ms` on; `volume` in base units."""

    start_ms: int
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]

    @property
    def end_ms(self) -> int:
        """Close of the last bar."""
        return self.start_ms + MINUTE_MS * len(self.open)

    def first_from(self, time_ms: int) -> int:
        """Row of the first bar that opens at or after an instant."""
        return max(0, -(-(time_ms - self.start_ms) // MINUTE_MS))


@dataclass(frozen=True, slots=True)
class VenueRecord:
    """Everything observable of [start_ms, end_ms). Users and coins are positions in `addresses` and `coins`.

    `fills` are in order of execution. `hours` are closed hourly bars by coin, without holes in a simulated record.
    `funding_times` (h,) and `funding_rates` (h, coins) are the hourly rates. `board` answers the leaderboard as of an
    instant, None where none was stored; `book` the book at an instant, None where there is none. Rows of
    `is_book_recorded` say whether a coin has books at all. `masters` have sub-accounts.

    A stored history was fetched at some time: `known_ms` says of each fill since when it is known (None: since it was
    executed), `answers` what filters 5-7 had been told of a trader by an instant (None: his fills tell it). Minutes
    without a stored candle are NaN, hours without a stored rate too.
    """

    addresses: tuple[str, ...]
    coins: tuple[str, ...]
    sz_decimals: tuple[int, ...]
    start_ms: int
    end_ms: int
    fills: NDArray[np.void]
    minutes: Minutes
    hours: tuple[tuple[Bar, ...], ...]
    funding_times: NDArray[np.int64]
    funding_rates: NDArray[np.float64]
    board: Callable[[int], Sequence[LeaderboardRow] | None]
    book: Callable[[int, int], Book | None]
    has_books: bool = True
    masters: frozenset[int] = frozenset()
    known_ms: NDArray[np.int64] | None = None
    answers: Callable[[int, int], TraderFacts | None] | None = None

    @property
    def index_of(self) -> dict[str, int]:
        """Position of each address."""
        return {address: i for i, address in enumerate(self.addresses)}

    def rows_until(self, time_ms: int) -> int:
        """How many fills are older than an instant."""
        return int(np.searchsorted(self.fills["t"], time_ms, side="left"))

    def funding_at(self, coin: int, time_ms: int) -> float | None:
        """The last hourly rate at or before an instant."""
        index = int(np.searchsorted(self.funding_times, time_ms, side="right")) - 1
        rate = float(self.funding_rates[index, coin]) if index >= 0 else np.nan
        return None if np.isnan(rate) else rate

    def day_volume_usd(self, coin: int, time_ms: int) -> float | None:
        """Value traded in the 24 h before an instant, at the closes of the minutes; None before the first minute."""
        stop = min(len(self.minutes.close), (time_ms - self.minutes.start_ms) // MINUTE_MS)
        if stop <= 0:
            return None
        rows = slice(max(0, stop - 24 * 60), stop)
        usd = self.minutes.volume[rows, coin] * self.minutes.close[rows, coin]
        return None if np.isnan(usd).all() else float(np.nansum(usd))

    def fill_of(self, row: Any) -> Fill:
        """One row as the value that the pipeline's steps take."""
        decimals = self.sz_decimals[row["coin"]]
        start = int(row["start"])
        return Fill(
            user=self.addresses[row["user"]],
            coin=self.coins[row["coin"]],
            is_buy=bool(row["lots"] > 0),
            px=ticks.px_decimal(int(row["px"]), decimals),
            sz=ticks.sz_decimal(abs(int(row["lots"])), decimals),
            time_ms=int(row["t"]),
            tid=int(row["tid"]),
            crossed=bool(row["crossed"]),
            oid=None if row["oid"] == NO_ORDER else int(row["oid"]),
            start_position=None if start == UNKNOWN_START else ticks.sz_decimal(start, decimals),
            is_liquidation=bool(row["is_liquidation"]),
        )

    def until(self, time_ms: int) -> VenueRecord:
        """The record as it stood at an instant: nothing at or after it is left.

        Errors: ValueError for an instant that is not a full hour inside the record.
        """
        if time_ms % HOUR_MS or not self.start_ms < time_ms <= self.end_ms:
            raise ValueError(f"time_ms is {time_ms}; allowed is a full hour in ({self.start_ms}, {self.end_ms}].")
        stop = (time_ms - self.minutes.start_ms) // MINUTE_MS
        cut = {name: getattr(self.minutes, name)[:stop] for name in ("open", "high", "low", "close", "volume")}
        hour = int(np.searchsorted(self.funding_times, time_ms, side="left"))
        return replace(
            self,
            end_ms=time_ms,
            fills=self.fills[: self.rows_until(time_ms)],
            known_ms=None if self.known_ms is None else self.known_ms[: self.rows_until(time_ms)],
            minutes=Minutes(self.minutes.start_ms, **cut),
            hours=tuple(tuple(bar for bar in bars if bar.close_ms <= time_ms) for bars in self.hours),
            funding_times=self.funding_times[:hour],
            funding_rates=self.funding_rates[:hour],
            board=lambda at_ms: self.board(at_ms) if at_ms < time_ms else None,
        )
