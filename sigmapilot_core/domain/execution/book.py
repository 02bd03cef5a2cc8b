"""The order book of one coin: resting orders of accounts and synthetic levels, in price-time priority."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sigmapilot_core.domain.events import ZERO, Level

EXTERNAL_USER = "0x" + "0" * 36 + "e47e"
"""Counterparty behind all external liquidity."""


@dataclass(slots=True)
class Resting:
    """One entry of the book; `seq` orders entries of one price. External levels have no order id (0)."""

    oid: int
    user: str
    is_buy: bool
    px: Decimal
    sz: Decimal
    seq: int

    @property
    def is_external(self) -> bool:
        """True for a synthetic level."""
        return self.oid == 0

    def crosses(self, limit_px: Decimal) -> bool:
        """Whether an order of the other side with this limit would trade with it."""
        return self.px >= limit_px if self.is_buy else self.px <= limit_px


def _priority(entry: Resting) -> tuple[Decimal, int]:
    return (-entry.px if entry.is_buy else entry.px, entry.seq)


class OrderBook:
    """Both sides, best entry first. It never crosses itself: whoever inserts has matched before."""

    def __init__(self) -> None:
        self._sides: dict[bool, list[Resting]] = {True: [], False: []}
        self._by_oid: dict[int, Resting] = {}
        self._external_seq: dict[tuple[bool, Decimal], int] = {}
        self._next_seq = 1

    def best(self, is_buy: bool) -> Resting | None:
        """Highest bid or lowest ask, the oldest of equals; None when the side is empty."""
        side = self._sides[is_buy]
        return side[0] if side else None

    def best_px(self, is_buy: bool) -> Decimal | None:
        """Price of the best entry."""
        best = self.best(is_buy)
        return best.px if best else None

    def entries(self, is_buy: bool) -> Iterator[Resting]:
        """Entries of one side, best first."""
        return iter(self._sides[is_buy])

    def insert(self, oid: int, user: str, is_buy: bool, px: Decimal, sz: Decimal) -> None:
        """Rest an order behind all others of its price."""
        self._insert(Resting(oid, user, is_buy, px, sz, self._take_seq()))

    def take(self, entry: Resting, sz: Decimal) -> None:
        """Remove `sz` from an entry; an empty one leaves the book."""
        entry.sz -= sz
        if entry.sz <= 0:
            self._drop(entry)

    def resize(self, oid: int, sz: Decimal) -> None:
        """Shrink a resting order; its place in the queue stays."""
        self._by_oid[oid].sz = sz

    def remove(self, oid: int) -> None:
        """Take an order out of the book; unknown ids are ignored."""
        entry = self._by_oid.get(oid)
        if entry is not None:
            self._drop(entry)

    def clear_external(self) -> None:
        """Take all external levels out; their places in the queue are remembered until `add_external`."""
        for is_buy, side in self._sides.items():
            self._sides[is_buy] = [entry for entry in side if not entry.is_external]

    def add_external(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Rest external levels. A price that was there before keeps its place, a new one queues behind all."""
        old, self._external_seq = self._external_seq, {}
        for is_buy, levels in ((True, bids), (False, asks)):
            for level in levels:
                key = (is_buy, level.px)
                seq = old[key] if key in old else self._take_seq()
                self._external_seq[key] = seq
                if level.sz > 0:
                    self._insert(Resting(0, EXTERNAL_USER, is_buy, level.px, level.sz, seq))

    def levels(self, is_buy: bool, depth: int) -> tuple[Level, ...]:
        """Best `depth` price levels, sizes summed."""
        out: list[Level] = []
        for entry in self._sides[is_buy]:
            if out and out[-1].px == entry.px:
                out[-1] = Level(entry.px, out[-1].sz + entry.sz, out[-1].n + 1)
            elif len(out) == depth:
                break
            else:
                out.append(Level(entry.px, entry.sz, 1))
        return tuple(out)

    def available(self, is_buy: bool, limit_px: Decimal) -> Decimal:
        """Size on one side that an order of the other side with this limit could take."""
        return sum((entry.sz for entry in self._sides[is_buy] if entry.crosses(limit_px)), ZERO)

    def _insert(self, entry: Resting) -> None:
        insort(self._sides[entry.is_buy], entry, key=_priority)
        if not entry.is_external:
            self._by_oid[entry.oid] = entry

    def _drop(self, entry: Resting) -> None:
        side = self._sides[entry.is_buy]
        for index, candidate in enumerate(side):
            if candidate is entry:
                del side[index]
                break
        self._by_oid.pop(entry.oid, None)

    def _take_seq(self) -> int:
        self._next_seq += 1
        return self._next_seq - 1
