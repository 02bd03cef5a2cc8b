"""Every trade of the world in order of execution, and which of them are whose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.events import Trade
from sigmapilot_core.domain.simulation import ticks
from sigmapilot_core.domain.simulation.columns import Column
from sigmapilot_core.domain.simulation.execution import TRADE
from sigmapilot_core.domain.simulation.keys import mix
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
        rows = self._rows.view()[positions]
        names, decimals, addresses = self.names, self.sz_decimals, self._addresses
        columns = (rows[name].tolist() for name in ("coin", "px", "sz", "t", "buyer", "seller", "is_buyer_taker"))
        return [
            Trade(
                coin=names[coin],
                px=ticks.px_decimal(px, decimals[coin]),
                sz=ticks.sz_decimal(sz, decimals[coin]),
                time_ms=t,
                tid=tid,
                hash=text,
                buyer=addresses[buyer],
                seller=addresses[seller],
                aggressor_is_buyer=is_buyer_taker,
            )
            for coin, px, sz, t, buyer, seller, is_buyer_taker, tid, text in zip(
                *columns, trade_ids(rows).tolist(), transaction_hashes(rows), strict=True
            )
        ]

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
        self._values: list[Trade] | None = None

    def __len__(self) -> int:
        return len(self._positions)

    def __iter__(self) -> Iterator[Trade]:
        if self._values is None:
            self._values = self._tape.trades(self._positions)
        return iter(self._values)

    @overload
    def __getitem__(self, index: int) -> Trade: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Trade]: ...
    def __getitem__(self, index: int | slice) -> Trade | Sequence[Trade]:
        if isinstance(index, slice):
            return TradeBatch(self._tape, self._positions[index])
        return self._tape.trades(np.array([self._positions[index]]))[0]


def transaction_hashes(rows: NDArray[np.void]) -> list[str]:
    """64 hex digits of the taking order and its instant; zeros for a slice of a time-weighted order."""
    taker = np.where(rows["is_buyer_taker"], rows["buyer_oid"], rows["seller_oid"])
    words = [mix(taker, rows["t"], word).tolist() for word in range(4)]
    is_slice = ((rows["flags"] & Flag.TWAP) > 0).tolist()
    return [
        ZERO_HASH if zero else f"0x{a:016x}{b:016x}{c:016x}{d:016x}"
        for zero, a, b, c, d in zip(is_slice, *words, strict=True)
    ]
