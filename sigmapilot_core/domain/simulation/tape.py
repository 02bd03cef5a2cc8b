"""Every trade of the world in order of execution, and which of them are whose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.events import Trade
from sigmapilot_core.domain.simulation import ticks
from sigmapilot_core.domain.simulation.columns import Column
from sigmapilot_core.domain.simulation.execution import TRADE
from sigmapilot_core.domain.simulation.keys import Keys, mix
from sigmapilot_core.domain.simulation.orders import Flag
from sigmapilot_core.domain.simulation.population import Population
from sigmapilot_core.domain.simulation.settings import WorldSettings

TID_MASK = np.uint64((1 << 50) - 1)
ZERO_HASH = "0x" + "0" * 64
REINDEX_AFTER = 100_000


def trade_ids(rows: NDArray[np.void]) -> NDArray[np.int64]:
    """50-bit hash of both order ids, as the venue makes them."""
    return (mix(rows["buyer_oid"], rows["seller_oid"]) & TID_MASK).astype(np.int64)


class Tape:
    """The trades so far."""

    def __init__(self, settings: WorldSettings, population: Population) -> None:
        self._rows = Column((), TRADE, capacity=1 << 14)
        self._addresses = population.addresses
        self._accounts = len(population)
        self.names = settings.coin_names
        self.sz_decimals = tuple(coin.sz_decimals for coin in settings.coins)
        self._indexed = 0
        self._order = np.zeros(0, dtype=np.int64)
        self._first = np.zeros(self._accounts + 1, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._rows)

    def append(self, rows: NDArray[np.void]) -> None:
        """Add trades, already in order of execution and not older than the last one."""
        self._rows.extend(rows)

    def rows(self, start: int = 0, stop: int | None = None) -> NDArray[np.void]:
        """Trades by position."""
        return self._rows.view()[start:stop]

    def between(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        """Positions [first, last) of the trades with start < time <= end."""
        first, last = np.searchsorted(self._rows.view()["t"], [start_ms, end_ms], side="right")
        return int(first), int(last)

    def positions_of(self, account: int, since: int = 0) -> NDArray[np.int64]:
        """Positions of an account's trades, ascending, from position `since` on."""
        if len(self) - self._indexed > REINDEX_AFTER:
            self._reindex()
        tail = self._rows.view()[self._indexed :]
        late = np.flatnonzero((tail["buyer"] == account) | (tail["seller"] == account)) + self._indexed
        early = self._order[self._first[account] : self._first[account + 1]]
        found = np.concatenate([early, late])
        return found[np.searchsorted(found, since) :]

    def recent(self, coin: int, limit: int) -> NDArray[np.int64]:
        """Positions of the newest trades of a coin, ascending."""
        found: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        stop, width = len(self), 4096
        while stop > 0 and found.size < limit:
            start = max(0, stop - width)
            here = np.flatnonzero(self._rows.view()["coin"][start:stop] == coin) + start
            found, stop, width = np.concatenate([here, found]), start, width * 4
        return found[-limit:] if limit > 0 else found[:0]

    def trades(self, positions: NDArray[np.int64]) -> list[Trade]:
        """Trades as values."""
        return list(TradeBatch(self, positions))

    def address(self, account: int) -> str:
        """Address of an account."""
        return self._addresses[account]

    def _reindex(self) -> None:
        rows = self._rows.view()
        users = np.empty(2 * len(rows), dtype=np.int64)
        users[0::2], users[1::2] = rows["buyer"], rows["seller"]
        order = np.argsort(users, kind="stable")
        self._first = np.searchsorted(users[order], np.arange(self._accounts + 1))
        self._order = order // 2
        self._indexed = len(rows)


class TradeBatch(Sequence[Trade]):
    """Trades made into values only when looked at."""

    def __init__(self, tape: Tape, positions: NDArray[np.int64]) -> None:
        self._tape = tape
        self._positions = positions

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, index: int) -> Trade: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Trade]: ...
    def __getitem__(self, index: int | slice) -> Trade | Sequence[Trade]:
        if isinstance(index, slice):
            return TradeBatch(self._tape, self._positions[index])
        row = self._tape.rows()[self._positions[index]]
        return _trade(self._tape, row, int(trade_ids(np.atleast_1d(row))[0]))


def _trade(tape: Tape, row: np.void, tid: int) -> Trade:
    decimals = tape.sz_decimals[row["coin"]]
    return Trade(
        coin=tape.names[row["coin"]],
        px=ticks.px_decimal(int(row["px"]), decimals),
        sz=ticks.sz_decimal(int(row["sz"]), decimals),
        time_ms=int(row["t"]),
        tid=tid,
        hash=transaction_hash(row),
        buyer=tape.address(row["buyer"]),
        seller=tape.address(row["seller"]),
        aggressor_is_buyer=bool(row["is_buyer_taker"]),
    )


def transaction_hash(row: np.void) -> str:
    """64 hex digits of the taking order and its instant; zeros for a slice of a time-weighted order."""
    if row["flags"] & Flag.TWAP:
        return ZERO_HASH
    taker = row["buyer_oid"] if row["is_buyer_taker"] else row["seller_oid"]
    words: Keys = mix(np.full(4, taker, dtype=np.int64), np.full(4, row["t"], dtype=np.int64), np.arange(4))
    return "0x" + "".join(f"{word:016x}" for word in words.tolist())
