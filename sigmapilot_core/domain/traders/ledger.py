"""The position of one trader in one coin, as a step over fills (spec 1.3).

Position and cost are exact: a partial reduction removes a share of the cost rounded once to `COST_QUANTUM` and leaves
the exact remainder, so that the realised PnL of a position that returns to flat is its cash difference to the last
digit, whatever happened in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter

from sigmapilot_core.domain.events import ZERO, Fill
from sigmapilot_core.domain.frozen import quick

COST_QUANTUM = Decimal("1e-12")
_TIME = attrgetter("time_ms")


class Action(StrEnum):
    """What a fill did to the position."""

    OPEN = "open"
    INCREASE = "increase"
    REDUCE = "reduce"
    CLOSE = "close"
    FLIP = "flip"


@quick
@dataclass(frozen=True, slots=True)
class LedgerState:
    """Signed position of (user, coin) and what it cost.

    `cost` is the signed value paid for the position (position x average entry) and None when the position was met
    without its entry price. `is_anchored` is False until the position was confirmed by a snapshot or a start
    position: fills alone cannot tell a trader who was flat from one first seen in the middle of a position.
    `realised` sums the known realised PnL, gross of fees; `gap_count` counts re-basings.
    """

    user: str
    coin: str
    position: Decimal = ZERO
    cost: Decimal | None = ZERO
    realised: Decimal = ZERO
    time_ms: int = 0
    is_anchored: bool = True
    gap_count: int = 0
    fill_count: int = 0

    @property
    def avg_entry(self) -> Decimal | None:
        """Average entry price; None when flat or when the cost is unknown."""
        if self.cost is None or not self.position:
            return None
        return self.cost / self.position


@quick
@dataclass(frozen=True, slots=True)
class LedgerChange:
    """What one fill did. Sizes are unsigned; positions are signed.

    `before` is the position the fill met, after any correction by its start position; `ledger_before` is what the
    ledger held. `realised` is gross of fees, 0 for a pure increase, None when the entry price of what was closed is
    unknown. `is_gap` marks a re-basing: fills between `ledger_before` and `before` were missed. `is_late` marks a
    fill older than the one before it: the average entry may be wrong from here on.
    """

    action: Action
    ledger_before: Decimal
    before: Decimal
    after: Decimal
    opened: Decimal
    closed: Decimal
    realised: Decimal | None
    is_gap: bool
    is_late: bool


def step(state: LedgerState | None, fill: Fill, sz_decimals: int) -> tuple[LedgerState, LedgerChange]:
    """Apply one fill, in order of exchange time and, within a millisecond, of arrival.

    A start position that differs from the ledger by more than one lot (10^-sz_decimals) re-bases the ledger: cost
    unknown, gap counted. A difference of up to one lot is adopted silently while a position is open. The first fill
    of an unknown account takes its start position as given; without one, flat is assumed and not anchored.
    Errors: ValueError for a price or size that is not finite and positive, or for a fill of another account or coin.
    """
    px, sz = fill.px, fill.sz
    if not (sz.is_finite() and px.is_finite() and sz > 0 and px > 0):
        raise ValueError(f"px and sz of fill {fill.id} must be finite and positive, got px={px} sz={sz}")
    if state is not None and (state.user != fill.user or state.coin != fill.coin):
        raise ValueError(f"fill {fill.id} does not belong to the ledger of {state.user} in {state.coin}")
    ledger_before = state.position if state is not None else ZERO
    base, is_gap = _base(state, fill, sz_decimals)
    position, signed = base.position, fill.signed_size
    is_reducing = bool(position) and (position > 0) != (signed > 0)
    closed = min(abs(position), fill.sz) if is_reducing else ZERO
    opened = fill.sz - closed
    after = position + signed
    cost, realised = _settle(base, fill, closed, opened, after)
    is_late = state is not None and fill.time_ms < state.time_ms
    total = base.realised if realised is None else base.realised + realised
    change = LedgerChange(
        _action(position, after, closed), ledger_before, position, after, opened, closed, realised, is_gap, is_late
    )
    time_ms = fill.time_ms if fill.time_ms > base.time_ms else base.time_ms
    new = LedgerState(
        fill.user, fill.coin, after, cost, total, time_ms, base.is_anchored, base.gap_count, base.fill_count + 1
    )
    return new, change


def flat(user: str, coin: str, time_ms: int = 0) -> LedgerState:
    """State of an account known to hold no position in the coin."""
    return LedgerState(user=user, coin=coin, time_ms=time_ms)


def prime(user: str, coin: str, position: Decimal, entry_px: Decimal | None, time_ms: int) -> LedgerState:
    """State from a snapshot of the account; the cost is unknown where the snapshot has no entry price.

    Errors: ValueError for a position or entry price that is not finite.
    """
    if not position.is_finite() or (entry_px is not None and not entry_px.is_finite()):
        raise ValueError(f"position and entry_px of {user} {coin} must be finite, got {position} and {entry_px}")
    cost = ZERO if not position else (None if entry_px is None else position * entry_px)
    return LedgerState(user=user, coin=coin, position=position, cost=cost, time_ms=time_ms)


def rebase(state: LedgerState, position: Decimal, entry_px: Decimal | None, time_ms: int) -> LedgerState:
    """The ledger set to another truth: anchored, its history of realised PnL and counts kept, one gap counted."""
    primed = prime(state.user, state.coin, position, entry_px, max(state.time_ms, time_ms))
    return replace(primed, realised=state.realised, gap_count=state.gap_count + 1, fill_count=state.fill_count)


def is_same_position(a: Decimal, b: Decimal, sz_decimals: int) -> bool:
    """Whether two positions differ by at most one lot, 10^-sz_decimals (spec 1.3)."""
    return abs(a - b) <= Decimal(1).scaleb(-sz_decimals)


def ordered_fills(fills: Iterable[Fill]) -> list[Fill]:
    """Fills by exchange time, ties in the order given, each (user, time, coin, tid) once: the order `step` expects."""
    seen: set[tuple[str, int, str, int]] = set()
    unique = []
    for fill in fills:
        key = (fill.user, fill.time_ms, fill.coin, fill.tid)
        if key not in seen:
            seen.add(key)
            unique.append(fill)
    unique.sort(key=_TIME)
    return unique


def _base(state: LedgerState | None, fill: Fill, sz_decimals: int) -> tuple[LedgerState, bool]:
    """The state the fill meets, corrected by its start position, and whether that was a gap."""
    start = fill.start_position
    if state is None:
        if start is None:
            return LedgerState(user=fill.user, coin=fill.coin, time_ms=fill.time_ms, is_anchored=False), False
        return prime(fill.user, fill.coin, start, None, fill.time_ms), False
    if start is None or (start == state.position and state.is_anchored):
        return state, False
    if not is_same_position(start, state.position, sz_decimals):
        return rebase(state, start, None, fill.time_ms), True
    return _adopt(state, start), False


def _adopt(state: LedgerState, start: Decimal) -> LedgerState:
    """The position moved by at most a lot at its own average entry; dust on a flat ledger is ignored."""
    position, cost = state.position, state.cost
    if position and start * position >= 0:
        if cost is not None:
            cost = cost if start == position else (cost * start / position).quantize(COST_QUANTUM)
        position = start
        cost = cost if position else ZERO
    return replace(state, position=position, cost=cost, is_anchored=True)


def _settle(
    base: LedgerState, fill: Fill, closed: Decimal, opened: Decimal, after: Decimal
) -> tuple[Decimal | None, Decimal | None]:
    """(cost of the position after the fill, realised PnL of the part it closed)."""
    cost = base.cost
    realised: Decimal | None = ZERO
    side = 1 if fill.is_buy else -1
    is_all = closed == abs(base.position)
    if closed and cost is None:
        realised, cost = None, ZERO if is_all else None
    elif closed and cost is not None:
        removed = cost if is_all else (cost * closed / abs(base.position)).quantize(COST_QUANTUM)
        realised = -side * closed * fill.px - removed
        cost = cost - removed
    if opened and cost is not None:
        cost = cost + side * opened * fill.px
    return (cost if after else ZERO), realised


def _action(before: Decimal, after: Decimal, closed: Decimal) -> Action:
    if not before:
        return Action.OPEN
    if not closed:
        return Action.INCREASE
    if not after:
        return Action.CLOSE
    return Action.REDUCE if (after > 0) == (before > 0) else Action.FLIP
