"""The VIP lane: fills of a few accounts from their own channel, held against what the public trades said of them.

Both lanes feed the same ledger, which applies each fill once, whichever lane brings it first. What only one of them
brought tells whether the public feed is complete. No I/O; instants are receive times.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from sigmapilot_core.adapters.hyperliquid.messages import TradesMessage, UserFillsMessage
from sigmapilot_core.adapters.hyperliquid.received import ReceivedFrame
from sigmapilot_core.domain.events import Fill, Trade
from sigmapilot_core.domain.snapshot import ModelSnapshot

MAX_VIPS = 10
"""Accounts of one address that may be subscribed to (spec section 4.1)."""

PATIENCE_MS = 10_000
"""How much later than the one the other lane may come."""

_KEPT_MS = 600_000

Key = tuple[str, str, int, int, bool]
"""User, coin, time, tid, is_buy."""


class Verdict(StrEnum):
    """What the two lanes said of one fill."""

    MATCHED = "matched"
    WRONG = "wrong"
    ONLY_FILLS = "only_fills"
    ONLY_TRADES = "only_trades"
    TWAP = "twap"


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict and the fill it is about."""

    verdict: Verdict
    user: str
    coin: str
    time_ms: int
    tid: int

    @property
    def is_missing(self) -> bool:
        """Whether the public trades of the coin cannot be trusted: they lack a fill, or tell another."""
        return self.verdict in (Verdict.ONLY_FILLS, Verdict.WRONG)


@dataclass(slots=True)
class _Said:
    """One fill as the first lane told it; `is_due` where the other lane must bring it too."""

    px: Decimal
    sz: Decimal
    at_ms: int
    from_trades: bool
    is_due: bool
    is_twap: bool
    is_settled: bool = False


def chosen(snapshot: ModelSnapshot, pinned: Collection[str] = ()) -> list[str]:
    """Who gets a lane: pinned accounts first, then the best of the pool, as many as the venue allows."""
    ranked = [member.address for member in sorted(snapshot.slow.pool, key=lambda member: member.rank)]
    return list(dict.fromkeys([*sorted(pinned), *ranked]))[:MAX_VIPS]


@dataclass(slots=True)
class Comparison:
    """Fills of the VIPs on both lanes. `users` may be replaced at any time."""

    users: frozenset[str] = frozenset()
    _said: dict[Key, _Said] = field(default_factory=dict)

    def see(self, frame: ReceivedFrame, coins: Collection[str], users: Collection[str]) -> list[Finding]:
        """Take one frame; `coins` and `users` are those heard now: of others the second lane owes nothing."""
        match frame.parsed:
            case TradesMessage(trades=trades):
                told = [(key, trade) for trade in trades for key in _halves(trade) if key[0] in self.users]
                rows = [(k, t.px, t.sz, not frame.is_history and k[0] in users, _is_twap(t.hash)) for k, t in told]
                return self._take(rows, frame.received_ms, from_trades=True)
            case UserFillsMessage(user=user, fills=fills) if user in self.users:
                rows = [(_key(f), f.px, f.sz, not frame.is_history and f.coin in coins, False) for f in fills]
                return self._take(rows, frame.received_ms, from_trades=False)
        return []

    def overdue(self, now_ms: int) -> list[Finding]:
        """What the other lane did not bring in time; each is told once."""
        found = []
        for key, said in list(self._said.items()):
            if now_ms - said.at_ms > _KEPT_MS:
                del self._said[key]
            elif not said.is_settled and now_ms - said.at_ms > PATIENCE_MS:
                said.is_settled = True
                if said.is_due:
                    found.append(_finding(_missing(said), key))
        return found

    def _take(
        self, rows: Iterable[tuple[Key, Decimal, Decimal, bool, bool]], at_ms: int, *, from_trades: bool
    ) -> list[Finding]:
        found = []
        for key, px, sz, is_due, is_twap in rows:
            before = self._said.get(key)
            if before is None:
                self._said[key] = _Said(px, sz, at_ms, from_trades, is_due, is_twap)
            elif before.from_trades is not from_trades and not before.is_settled:
                before.is_settled = True
                is_same = (before.px, before.sz) == (px, sz)
                found.append(_finding(Verdict.MATCHED if is_same else Verdict.WRONG, key))
        return found


def _missing(said: _Said) -> Verdict:
    if not said.from_trades:
        return Verdict.ONLY_FILLS
    # slices of time-weighted orders need not come on an account's own channel (spec section 1.3)
    return Verdict.TWAP if said.is_twap else Verdict.ONLY_TRADES


def _finding(verdict: Verdict, key: Key) -> Finding:
    user, coin, time_ms, tid, _ = key
    return Finding(verdict, user, coin, time_ms, tid)


def _halves(trade: Trade) -> tuple[Key, Key]:
    return (
        (trade.buyer, trade.coin, trade.time_ms, trade.tid, True),
        (trade.seller, trade.coin, trade.time_ms, trade.tid, False),
    )


def _key(fill: Fill) -> Key:
    return (fill.user, fill.coin, fill.time_ms, fill.tid, fill.is_buy)


def _is_twap(digest: str) -> bool:
    return not digest.removeprefix("0x").strip("0")
