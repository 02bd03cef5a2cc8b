"""Positions, cash and funding of all accounts, exact in lots and micro-USD, now and as of any past instant.

Cash is deposits - withdrawals - signed notional - fees + funding; equity is cash + sum(position x mark). There is no
other source of money, so equity minus net deposits is the PnL to the last micro-USD.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.params import HOUR_MS
from sigmapilot_core.domain.simulation import ticks
from sigmapilot_core.domain.simulation.columns import Column
from sigmapilot_core.domain.simulation.population import Population
from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.tape import Tape

Ints = NDArray[np.int64]

FLOW = np.dtype([("t", "i8"), ("user", "i4"), ("amount", "i8")])
"""A deposit (positive) or withdrawal, micro-USD."""


@dataclass(slots=True)
class Books:
    """State of all accounts at an instant: lots (accounts, coins), and micro-USD (accounts,)."""

    time_ms: int
    position: Ints
    cash: Ints
    volume: Ints
    net_flow: Ints

    def copy(self) -> Books:
        """An independent copy."""
        return Books(self.time_ms, self.position.copy(), self.cash.copy(), self.volume.copy(), self.net_flow.copy())

    def equity(self, marks: Ints) -> Ints:
        """cash + sum(position x mark)."""
        return self.cash + self.position @ marks


class Accounts:
    """Applies trades, funding and cash flows in order of time; keeps a copy of the books at every midnight."""

    def __init__(self, settings: WorldSettings, population: Population, tape: Tape) -> None:
        n, coins = len(population), len(settings.coins)
        self._tape = tape
        self._taker = np.rint(population.traits["taker_ppm"]).astype(np.int64)
        self._maker = np.rint(population.traits["maker_ppm"]).astype(np.int64)
        zeros = np.zeros(n, dtype=np.int64)
        self.now = Books(settings.start_ms, np.zeros((n, coins), np.int64), zeros.copy(), zeros.copy(), zeros.copy())
        self._flows = Column((), FLOW)
        opening = np.zeros(n, dtype=FLOW)
        opening["t"], opening["user"], opening["amount"] = settings.start_ms, np.arange(n), population.traits["equity0"]
        self.apply_flows(opening)
        self._midnights: list[Books] = [self.now.copy()]
        self.funding_times = Column((), np.int64)
        self.funding_rates = Column((coins,), np.float64)
        self.funding_prices = Column((coins,), np.int64)

    def apply_trades(self, rows: NDArray[np.void]) -> None:
        """Apply trades in order of execution, filling in the positions both parties had before."""
        if len(rows):
            starts = self._starts(rows)
            rows["buyer_start"], rows["seller_start"] = starts[: len(rows)], starts[len(rows) :]
            self._book_trades(self.now, rows)
        self.now.time_ms = max(self.now.time_ms, int(rows["t"][-1]) if len(rows) else 0)

    def apply_flows(self, flows: NDArray[np.void]) -> None:
        """Deposits and withdrawals, by time."""
        self._flows.extend(flows)
        _book_flows(self.now, flows)

    def apply_funding(self, time_ms: int, rates: NDArray[np.float64], oracle_px: Ints) -> None:
        """One hourly payment of every position: -position x oracle price x rate, rounded to a micro-USD."""
        self.funding_times.extend(np.array([time_ms]))
        self.funding_rates.extend(rates[None, :])
        self.funding_prices.extend(oracle_px[None, :])
        _book_funding(self.now, rates, oracle_px)

    def keep_midnight(self, time_ms: int) -> None:
        """Remember the books as of a midnight, after everything up to and including it."""
        self.now.time_ms = time_ms
        self._midnights.append(self.now.copy())

    def at(self, time_ms: int) -> Books:
        """The books as of an instant, inclusive; from the midnight before it, by the same steps as then."""
        index = bisect_right(self._midnights, time_ms, key=lambda kept: kept.time_ms) - 1
        books = self._midnights[max(index, 0)].copy()
        hours = self.funding_times.view()
        first, last = np.searchsorted(hours, [books.time_ms, time_ms], side="right")
        for hour in range(int(first), int(last)):
            self._replay(books, int(hours[hour]))
            _book_funding(books, self.funding_rates.view()[hour], self.funding_prices.view()[hour])
        self._replay(books, time_ms)
        return books

    def flows(self, start_ms: int, end_ms: int) -> NDArray[np.void]:
        """Cash flows with start < time <= end."""
        rows = self._flows.view()
        first, last = np.searchsorted(rows["t"], [start_ms, end_ms], side="right")
        return rows[first:last]

    def fee(self, account: NDArray[np.integer], is_taker: NDArray[np.bool_], notional: Ints) -> Ints:
        """Fee of fills, micro-USD."""
        return ticks.fee_micro(notional, np.where(is_taker, self._taker[account], self._maker[account]))

    def _replay(self, books: Books, to_ms: int) -> None:
        """Apply trades and flows of (books.time, to] to past books."""
        first, last = self._tape.between(books.time_ms, to_ms)
        if last > first:
            self._book_trades(books, self._tape.rows(first, last))
        _book_flows(books, self.flows(books.time_ms, to_ms))
        books.time_ms = max(books.time_ms, to_ms)

    def _starts(self, rows: NDArray[np.void]) -> Ints:
        """Position before each half: buyers' halves first, then sellers'."""
        coins = self.now.position.shape[1]
        key = np.concatenate([rows["buyer"], rows["seller"]]).astype(np.int64) * coins + np.tile(rows["coin"], 2)
        change = np.concatenate([rows["sz"], -rows["sz"]])
        order = np.lexsort((np.tile(np.arange(len(rows)), 2), key))
        sorted_key, sorted_change = key[order], change[order]
        summed = np.cumsum(sorted_change) - sorted_change
        first = np.r_[True, sorted_key[1:] != sorted_key[:-1]]
        group = np.cumsum(first) - 1
        starts = np.empty(len(key), dtype=np.int64)
        starts[order] = self.now.position.ravel()[sorted_key] + summed - summed[first][group]
        return starts

    def _book_trades(self, books: Books, rows: NDArray[np.void]) -> None:
        buyer, seller, coin = rows["buyer"], rows["seller"], rows["coin"]
        notional = rows["px"] * rows["sz"]
        np.add.at(books.position, (buyer, coin), rows["sz"])
        np.add.at(books.position, (seller, coin), -rows["sz"])
        np.add.at(books.cash, buyer, -notional - self.fee(buyer, rows["is_buyer_taker"], notional))
        np.add.at(books.cash, seller, notional - self.fee(seller, ~rows["is_buyer_taker"], notional))
        np.add.at(books.volume, buyer, notional)
        np.add.at(books.volume, seller, notional)


def funding_of(position: Ints, rates: NDArray[np.float64], oracle_px: Ints) -> Ints:
    """Payments in micro-USD, negative when paid: -position x price x rate, to the nearest integer."""
    return np.rint(-(position * oracle_px) * rates).astype(np.int64)


def hour_after(time_ms: int) -> int:
    """The first full hour after an instant."""
    return (time_ms // HOUR_MS + 1) * HOUR_MS


def _book_flows(books: Books, flows: NDArray[np.void]) -> None:
    np.add.at(books.cash, flows["user"], flows["amount"])
    np.add.at(books.net_flow, flows["user"], flows["amount"])


def _book_funding(books: Books, rates: NDArray[np.float64], oracle_px: Ints) -> None:
    books.cash += funding_of(books.position, rates, oracle_px).sum(axis=1)
