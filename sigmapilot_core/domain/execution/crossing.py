"""Matching an incoming order against the book, and what each trade does to the orders of both parties.

Price first, then time. An account never trades with itself: its resting order is cancelled and the incoming one goes
on. Reduce-only orders follow the position down and end with it (venue reference 5.2, 5.3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from sigmapilot_core.domain.events import ZERO
from sigmapilot_core.domain.execution.accounts import has_margin_for
from sigmapilot_core.domain.execution.book import Resting
from sigmapilot_core.domain.execution.orders import Order, OrderStatus
from sigmapilot_core.domain.execution.settlement import Party, book_trade
from sigmapilot_core.domain.execution.venue_state import VenueState


@dataclass(frozen=True, slots=True)
class Taken:
    """What an incoming order got at once."""

    sz: Decimal = ZERO
    notional: Decimal = ZERO


def take(
    state: VenueState,
    taker: Party,
    coin: str,
    is_buy: bool,
    limit_px: Decimal,
    sz: Decimal,
    oco: int | None = None,
    *,
    only_accounts: bool = False,
) -> Taken:
    """Trade up to `sz` at `limit_px` or better. `oco` is the group of the incoming order.

    `only_accounts` leaves external levels alone (they do not trade with one another).
    """
    book = state.books[coin]
    filled, value = ZERO, ZERO
    while filled < sz:
        best = book.best(not is_buy)
        if best is None or not best.crosses(limit_px) or (only_accounts and best.is_external):
            break
        if not _may_trade(state, best, taker.user, coin, min(best.sz, sz - filled)):
            continue
        px, quantity = best.px, min(best.sz, sz - filled)
        filled, value = filled + quantity, value + quantity * px
        book.take(best, quantity)
        book_trade(state, coin, taker, Party(best.user, best.oid), is_buy, px, quantity)
        maker = None if best.is_external else _fill_resting(state, best.oid, quantity, px)
        for user, group in ((best.user, maker.oco if maker else None), (taker.user, oco)):
            follow_position(state, user, coin, group)
        if maker is not None and maker.status is OrderStatus.FILLED:
            after_filled(state, maker)
    return Taken(filled, value)


def follow_position(state: VenueState, user: str, coin: str, oco: int | None = None) -> None:
    """Shrink the account's reduce-only orders to its position, cancel those that would enlarge it.

    A sibling of the order that closed the position (same `oco`) ends as `siblingFilledCanceled`.
    """
    position = state.account(user).position(coin)
    for order in state.orders.live(user, coin):
        if not order.intent.reduce_only or order.parent_oid is not None:
            continue
        if position == 0 or (position > 0) == order.is_buy:
            is_sibling = oco is not None and order.oco == oco
            status = OrderStatus.SIBLING_FILLED_CANCELED if is_sibling else OrderStatus.REDUCE_ONLY_CANCELED
            state.finish(order, status)
        elif order.sz > abs(position):
            if order.is_resting:
                state.books[coin].resize(order.oid, abs(position))
            state.store(replace(order, sz=abs(position)))


def after_filled(state: VenueState, order: Order) -> None:
    """An order filled completely: its children start to watch the mark, its siblings are cancelled."""
    arm_children(state, order)
    if order.oco is None:
        return
    for other in state.orders.live(order.user, order.coin):
        if other.oco == order.oco and other.oid != order.oid:
            state.finish(other, OrderStatus.SIBLING_FILLED_CANCELED)


def arm_children(state: VenueState, order: Order) -> None:
    """The children of an order become live triggers, limited to the position."""
    for oid in order.children:
        child = state.orders.find(order.user, oid)
        if child is not None and child.is_live:
            state.store(replace(child, parent_oid=None, status_ms=state.now_ms))
    if order.children:
        follow_position(state, order.user, order.coin)


def cancel(state: VenueState, order: Order, status: OrderStatus = OrderStatus.CANCELED) -> Order:
    """Cancel a live order. Its waiting children go with it, unless margin ran out after a partial fill."""
    cancelled = state.finish(order, status)
    if status is OrderStatus.MARGIN_CANCELED and order.filled_sz:
        arm_children(state, cancelled)
    else:
        cancel_children(state, cancelled)
    return cancelled


def cancel_children(state: VenueState, order: Order) -> None:
    """Cancel the children that still wait for the order."""
    for oid in order.children:
        child = state.orders.find(order.user, oid)
        if child is not None and child.is_live and child.parent_oid == order.oid:
            state.finish(child, OrderStatus.CANCELED)


def _may_trade(state: VenueState, best: Resting, taker: str, coin: str, sz: Decimal) -> bool:
    """False if the resting order had to be cancelled instead: own order, or no margin left for it."""
    if best.is_external:
        return True
    order = state.orders.get(best.oid)
    if best.user == taker:
        cancel(state, order, OrderStatus.SELF_TRADE_CANCELED)
        return False
    account, spec = state.account(best.user), state.spec(coin)
    signed = sz if best.is_buy else -sz
    if has_margin_for(account, spec, signed, best.px, state.marks, state.specs, ZERO):
        return True
    cancel(state, order, OrderStatus.MARGIN_CANCELED)
    return False


def _fill_resting(state: VenueState, oid: int, sz: Decimal, px: Decimal) -> Order:
    """The resting order after a trade, reported as open with what is left, or as filled."""
    order = with_fill(state.orders.get(oid), sz, px * sz, state.now_ms)
    return state.store(order if order.sz else replace(order, status=OrderStatus.FILLED))


def with_fill(order: Order, sz: Decimal, notional: Decimal, now_ms: int) -> Order:
    """The order with `sz` more filled."""
    return replace(
        order,
        sz=order.sz - sz,
        filled_sz=order.filled_sz + sz,
        filled_notional=order.filled_notional + notional,
        status_ms=now_ms,
    )
