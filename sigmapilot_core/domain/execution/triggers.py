"""Take-profits and stop-losses when the mark moves (venue reference 5.3)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from sigmapilot_core.domain.execution.crossing import follow_position
from sigmapilot_core.domain.execution.orders import Order, OrderStatus
from sigmapilot_core.domain.execution.placing import match_immediately, rest, settle_taken
from sigmapilot_core.domain.execution.rounding import worst_price
from sigmapilot_core.domain.execution.venue_state import VenueState


def fire_triggers(state: VenueState, coin: str) -> None:
    """Fire every armed trigger of the coin that its mark has reached, oldest first."""
    mark = state.mark(coin)
    for waiting in state.orders.armed(coin):
        order = state.orders.get(waiting.oid)
        trigger = order.intent.trigger
        if trigger is not None and order.is_armed and trigger.is_met(order.is_buy, mark):
            _fire(state, order, mark)


def _fire(state: VenueState, order: Order, mark: Decimal) -> None:
    """The trigger becomes an order for what the position still needs: all of it if it stands for the whole."""
    position = state.account(order.user).position(order.coin)
    if order.intent.reduce_only and (position == 0 or (position > 0) == order.is_buy):
        state.finish(order, OrderStatus.REDUCE_ONLY_CANCELED)
        return
    sz = abs(position) if order.is_whole else order.sz
    if order.intent.reduce_only:
        sz = min(sz, abs(position))
    order = replace(order, sz=sz, is_triggered=True, status=OrderStatus.TRIGGERED, status_ms=state.now_ms)
    state.store(order)
    assert order.intent.trigger is not None
    is_market = order.intent.trigger.is_market
    limit = order.px
    if is_market:
        limit = worst_price(mark, order.is_buy, state.config.market_slippage, state.spec(order.coin).sz_decimals)
    taken = match_immediately(state, order, limit)
    order = settle_taken(state, order, taken)
    if order.status is OrderStatus.FILLED:
        return
    if is_market:
        status = OrderStatus.CANCELED if taken.sz else OrderStatus.MARKET_ORDER_NO_LIQUIDITY_REJECTED
        state.finish(order, status)
        return
    rest(state, replace(order, status=OrderStatus.OPEN))
    follow_position(state, order.user, order.coin, order.oco)
