"""Placing, cancelling and modifying orders (venue reference 5.1-5.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from sigmapilot_core.domain.execution.crossing import (
    Taken,
    after_filled,
    arm_children,
    cancel,
    cancel_children,
    take,
    with_fill,
)
from sigmapilot_core.domain.execution.orders import (
    AnswerKind,
    Grouping,
    Order,
    OrderAnswer,
    OrderIntent,
    OrderStatus,
    Tif,
)
from sigmapilot_core.domain.execution.settlement import Party
from sigmapilot_core.domain.execution.texts import Refusal, bbo_text
from sigmapilot_core.domain.execution.validation import (
    Sizing,
    effective_size,
    refuse_batch,
    refuse_margin,
    refuse_order,
    refuse_trigger_px,
)
from sigmapilot_core.domain.execution.venue_state import VenueState


@dataclass(frozen=True, slots=True)
class Role:
    """What an order is within its batch."""

    is_position_tpsl: bool = False
    parent: Order | None = None
    oco: int | None = None


def place_batch(
    state: VenueState, user: str, intents: Sequence[OrderIntent], grouping: Grouping
) -> tuple[OrderAnswer, ...]:
    """One answer per order, or a single error for the whole batch (venue reference 5.1)."""
    for intent in intents:
        state.spec(intent.coin)
    refusal = refuse_batch(state, intents, grouping)
    if refusal is not None:
        return (OrderAnswer(AnswerKind.ERROR, error=refusal.text),)
    if grouping is Grouping.NORMAL_TPSL:
        return _place_with_children(state, user, intents)
    oco = state.orders.next_oid() if grouping is Grouping.POSITION_TPSL and len(intents) > 1 else None
    role = Role(is_position_tpsl=grouping is Grouping.POSITION_TPSL, oco=oco)
    return tuple(place_one(state, user, intent, role) for intent in intents)


def place_one(state: VenueState, user: str, intent: OrderIntent, role: Role | None = None) -> OrderAnswer:
    """Validate one order, then arm it or match it."""
    role = role or Role()
    size = effective_size(state, user, intent, is_position_tpsl=role.is_position_tpsl)
    refusal = (
        refuse_order(state, user, intent, size, is_child=role.parent is not None)
        or refuse_trigger_px(state, intent, role.parent)
        or refuse_margin(state, user, intent, size.sz)
        or _refuse_alo(state, intent)
    )
    order = _new_order(state, user, intent, size, role)
    if refusal is not None:
        return _refused(state, order, refusal)
    if intent.trigger is not None:
        return _arm(state, order, role)
    return _match(state, order)


def match_immediately(state: VenueState, order: Order, limit_px: Decimal, *, is_liquidated: bool = False) -> Taken:
    """What an order that is not in the book takes from it at `limit_px` or better."""
    party = Party(order.user, order.oid, is_liquidated)
    return take(state, party, order.coin, order.is_buy, limit_px, order.sz, order.oco)


def settle_taken(state: VenueState, order: Order, taken: Taken) -> Order:
    """The order after it took from the book; complete ones are finished."""
    order = with_fill(order, taken.sz, taken.notional, state.now_ms)
    if order.sz == 0:
        order = state.store(replace(order, status=OrderStatus.FILLED))
        after_filled(state, order)
    return order


def rest(state: VenueState, order: Order) -> Order:
    """Put what is left of an order into the book."""
    state.books[order.coin].insert(order.oid, order.user, order.is_buy, order.px, order.sz)
    return state.store(order)


def cancel_order(state: VenueState, user: str, coin: str, key: int | str) -> str | None:
    """Cancel by order id or client id; None on success, else the venue's text."""
    state.spec(coin)
    order = state.orders.find(user, key)
    if order is None or not order.is_live or order.coin != coin:
        return Refusal.CANCEL.for_asset(state.asset_index[coin])
    cancel(state, order)
    return None


def modify_order(
    state: VenueState, user: str, key: int | str, intent: OrderIntent, *, always_place: bool
) -> OrderAnswer:
    """Cancel and replace with a new order id (venue reference 5.4); a refused replacement leaves the old order.

    Without `always_place` the replacement must be post-only: ALO, or GTC, which becomes ALO; no triggers.
    """
    state.spec(intent.coin)
    index = state.asset_index[intent.coin]
    old = state.orders.find(user, key)
    if old is None or not old.is_live or old.coin != intent.coin:
        return OrderAnswer(AnswerKind.ERROR, error=Refusal.MODIFY.for_asset(index))
    if state.config.modify_needs_always_place and not always_place:
        if intent.trigger is not None or intent.tif not in (Tif.GTC, Tif.ALO):
            return OrderAnswer(AnswerKind.ERROR, error=Refusal.MODIFY_TYPE.for_asset(index))
        intent = replace(intent, tif=Tif.ALO)
    if intent.cloid is None:
        intent = replace(intent, cloid=old.intent.cloid)
    refusal = _refuse_replacement(state, user, old, intent)
    if refusal is not None:
        return OrderAnswer(AnswerKind.ERROR, error=_text(state, intent, refusal))
    cancel(state, old)
    if intent.cloid is not None and intent.cloid == old.intent.cloid:
        state.orders.release_cloid(user, intent.cloid)
    parent = state.orders.find(user, old.parent_oid) if old.parent_oid is not None else None
    answer = place_one(state, user, intent, Role(old.is_position_tpsl, parent, old.oco))
    if parent is not None and answer.oid is not None:
        state.orders.put(replace(parent, children=(*parent.children, answer.oid)))
    return answer


def _refuse_replacement(state: VenueState, user: str, old: Order, intent: OrderIntent) -> Refusal | None:
    """What would refuse the new order once the old one is gone; its own client id and margin are no obstacle."""
    if intent.cloid == old.intent.cloid:
        intent = replace(intent, cloid=None)
    size = effective_size(state, user, intent, is_position_tpsl=old.is_position_tpsl)
    parent = state.orders.find(user, old.parent_oid) if old.parent_oid is not None else None
    return (
        refuse_order(state, user, intent, size, is_child=parent is not None)
        or refuse_trigger_px(state, intent, parent)
        or refuse_margin(state, user, intent, size.sz, replaces=old.oid)
        or _refuse_alo(state, intent)
    )


def _place_with_children(state: VenueState, user: str, intents: Sequence[OrderIntent]) -> tuple[OrderAnswer, ...]:
    """Parent first; the children wait until it is filled completely and cancel one another."""
    parent_answer = place_one(state, user, intents[0])
    parent = state.orders.find(user, parent_answer.oid) if parent_answer.oid is not None else None
    if parent is None or parent_answer.kind is AnswerKind.ERROR:
        return tuple(replace(parent_answer, oid=None, cloid=intent.cloid) for intent in intents)
    answers = [parent_answer]
    role = Role(parent=parent, oco=parent.oid)
    answers.extend(place_one(state, user, intent, role) for intent in intents[1:])
    children = tuple(a.oid for a in answers[1:] if a.oid is not None and a.kind is AnswerKind.WAITING_FOR_FILL)
    parent = replace(state.orders.get(parent.oid), children=children)
    state.orders.put(parent)
    if parent.status is OrderStatus.FILLED:
        arm_children(state, parent)
        answers = [_armed(answer) for answer in answers]
    elif not parent.is_live:
        cancel_children(state, parent)
    return tuple(answers)


def _armed(answer: OrderAnswer) -> OrderAnswer:
    is_waiting = answer.kind is AnswerKind.WAITING_FOR_FILL
    return replace(answer, kind=AnswerKind.WAITING_FOR_TRIGGER) if is_waiting else answer


def _new_order(state: VenueState, user: str, intent: OrderIntent, size: Sizing, role: Role) -> Order:
    return Order(
        oid=state.orders.next_oid(), user=user, intent=intent, orig_sz=intent.sz or size.sz, sz=size.sz,
        time_ms=state.now_ms, status=OrderStatus.OPEN, status_ms=state.now_ms,
        is_position_tpsl=role.is_position_tpsl, is_whole=size.is_whole,
        parent_oid=role.parent.oid if role.parent else None, oco=role.oco,
    )  # fmt: skip


def _refused(state: VenueState, order: Order, refusal: Refusal) -> OrderAnswer:
    state.store(replace(order, status=refusal.status))
    error = _text(state, order.intent, refusal)
    return OrderAnswer(AnswerKind.ERROR, order.oid, order.intent.cloid, error=error)


def _text(state: VenueState, intent: OrderIntent, refusal: Refusal) -> str:
    book = state.books[intent.coin]
    bbo = bbo_text(book.best_px(True), book.best_px(False))
    return refusal.for_asset(state.asset_index[intent.coin], bbo)


def _refuse_alo(state: VenueState, intent: OrderIntent) -> Refusal | None:
    if intent.trigger is not None or intent.tif is not Tif.ALO:
        return None
    best = state.books[intent.coin].best(not intent.is_buy)
    return Refusal.ALO if best is not None and best.crosses(intent.px) else None


def _arm(state: VenueState, order: Order, role: Role) -> OrderAnswer:
    state.store(order)
    kind = AnswerKind.RESTING
    if role.parent is not None:
        kind = AnswerKind.WAITING_FOR_FILL
    elif role.is_position_tpsl:
        kind = AnswerKind.WAITING_FOR_TRIGGER
    return OrderAnswer(kind, order.oid, order.intent.cloid)


def _match(state: VenueState, order: Order) -> OrderAnswer:
    taken = match_immediately(state, order, order.px)
    order = settle_taken(state, order, taken)
    cloid = order.intent.cloid
    if order.status is OrderStatus.FILLED:
        return OrderAnswer(AnswerKind.FILLED, order.oid, cloid, total_sz=taken.sz, avg_px=order.avg_px)
    if not order.intent.tif.is_immediate:
        rest(state, order)
        return OrderAnswer(AnswerKind.RESTING, order.oid, cloid)
    if taken.sz:
        state.store(replace(order, status=OrderStatus.CANCELED))
        return OrderAnswer(AnswerKind.FILLED, order.oid, cloid, total_sz=taken.sz, avg_px=order.avg_px)
    is_market = order.intent.tif is not Tif.IOC
    return _refused(state, order, Refusal.NO_LIQUIDITY if is_market else Refusal.IOC)
