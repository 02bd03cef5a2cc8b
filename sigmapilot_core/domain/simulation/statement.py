"""One account's fills, open positions and funding as a venue tells them, in exact integers.

The cost of a position is kept in micro-USD; a partial reduction takes a share rounded once, and the position that
returns to flat has realised its cash difference exactly. The rule is that of `traders.ledger`, held to it by a test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.simulation import ticks
from sigmapilot_core.domain.simulation.accounts import Accounts
from sigmapilot_core.domain.simulation.orders import Flag
from sigmapilot_core.domain.simulation.tape import Tape, trade_ids, transaction_hashes


@dataclass(slots=True)
class Holding:
    """An open position: signed lots, unsigned cost in micro-USD, and when it was opened."""

    lots: int = 0
    cost: int = 0
    opened_ms: int = 0

    def apply(self, change: int, px: int, time_ms: int) -> int:
        """Trade signed lots at a price; returns the realised PnL in micro-USD, gross of fees."""
        before, size = self.lots, abs(self.lots)
        closed = min(size, abs(change)) if before * change < 0 else 0
        removed = self.cost if closed == size else (2 * self.cost * closed + size) // (2 * size)
        realised = (closed * px - removed) * (1 if before > 0 else -1) if closed else 0
        opened = abs(change) - closed
        self.cost += opened * px - (removed if closed else 0)
        self.lots += change
        if opened and (not before or closed):
            self.opened_ms = time_ms
        return realised


class Statement:
    """Follows one account along the tape."""

    def __init__(self, account: int, tape: Tape, accounts: Accounts) -> None:
        self._account = account
        self._tape = tape
        self._accounts = accounts
        self._cursor = 0
        self._positions: list[NDArray[np.int64]] = []
        self._realised: list[int] = []
        self.holdings: dict[int, Holding] = {}

    def update(self) -> None:
        """Follow the tape to its end."""
        if self._cursor == len(self._tape):
            return
        positions = self._tape.positions_of(self._account, self._cursor)
        self._cursor = len(self._tape)
        if not positions.size:
            return
        rows = self._tape.rows()[positions]
        change = np.where(rows["buyer"] == self._account, rows["sz"], -rows["sz"])
        for coin, delta, px, t in zip(
            *(c.tolist() for c in (rows["coin"], change, rows["px"], rows["t"])), strict=True
        ):
            self._realised.append(self.holdings.setdefault(coin, Holding()).apply(delta, px, t))
        self._positions.append(positions)

    def fills(self, start_ms: int, end_ms: int, twap: bool) -> list[tuple[int, Fill]]:
        """(time-weighted order or 0, fill) with start <= time <= end, in order of execution; slices of time-weighted
        orders, or all others."""
        self.update()
        if not self._positions:
            return []
        if len(self._positions) > 1:
            self._positions = [np.concatenate(self._positions)]
        positions = self._positions[0]
        times = self._tape.rows()["t"][positions]
        first, last = int(np.searchsorted(times, start_ms, "left")), int(np.searchsorted(times, end_ms, "right"))
        rows = self._tape.rows()[positions[first:last]]
        is_buyer = rows["buyer"] == self._account
        is_slice = ((rows["flags"] & Flag.TWAP) > 0) & (rows["is_buyer_owner"] == is_buyer)
        wanted = np.flatnonzero(is_slice == twap)
        rows, is_buyer = rows[wanted], is_buyer[wanted]
        taker = rows["is_buyer_taker"] == is_buyer
        realised = [self._realised[first + k] for k in wanted.tolist()]
        fills = self._values(rows, is_buyer, taker, realised)
        return list(zip(rows["twap_id"].tolist() if twap else [0] * len(fills), fills, strict=True))

    def _values(
        self, rows: NDArray[np.void], is_buyer: NDArray[np.bool_], taker: NDArray[np.bool_], realised: list[int]
    ) -> list[Fill]:
        user, names, decimals = self._tape.address(self._account), self._tape.names, self._tape.sz_decimals
        fees = self._accounts.fee(np.full(len(rows), self._account), taker, rows["px"] * rows["sz"])
        is_owner = rows["is_buyer_owner"] == is_buyer
        liquidated = is_owner & ((rows["flags"] & Flag.LIQUIDATION) > 0)
        columns = (
            rows["coin"], rows["px"], rows["sz"], rows["t"], is_buyer, taker, fees, trade_ids(rows), liquidated,
            np.where(is_buyer, rows["buyer_start"], rows["seller_start"]),
            np.where(is_buyer, rows["buyer_oid"], rows["seller_oid"]),
            np.where(is_owner, rows["twap_id"], 0),
        )  # fmt: skip
        return [
            Fill(
                user=user,
                coin=names[coin],
                is_buy=is_buy,
                px=ticks.px_decimal(px, decimals[coin]),
                sz=ticks.sz_decimal(sz, decimals[coin]),
                time_ms=t,
                tid=tid,
                crossed=crossed,
                hash=text,
                oid=oid,
                start_position=ticks.sz_decimal(start, decimals[coin]),
                fee=ticks.usd_decimal(fee),
                closed_pnl=ticks.usd_decimal(pnl),
                dir=direction_text(start, sz if is_buy else -sz, is_liquidation),
                twap_id=twap_id or None,
                is_liquidation=is_liquidation,
            )
            for coin, px, sz, t, is_buy, crossed, fee, tid, is_liquidation, start, oid, twap_id, text, pnl in zip(
                *(column.tolist() for column in columns), transaction_hashes(rows), realised, strict=True
            )
        ]


def direction_text(start: int, change: int, is_liquidation: bool) -> str:
    """The venue's words for what a fill did to a position."""
    after = start + change
    side = "Long" if start > 0 else "Short"
    if is_liquidation:
        return f"Liquidated Cross {side}"
    if start * change >= 0:
        return "Open Long" if change > 0 else "Open Short"
    if start * after < 0:
        return f"{side} > {'Short' if start > 0 else 'Long'}"
    return f"Close {side}"
