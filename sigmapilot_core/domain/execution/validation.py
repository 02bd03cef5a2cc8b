"""What the venue refuses before an order reaches the book (venue reference 5.1-5.3, 5.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sigmapilot_core.domain.events import ZERO
from sigmapilot_core.domain.execution.accounts import has_margin_for, increase_of
from sigmapilot_core.domain.execution.orders import Grouping, Order, OrderIntent
from sigmapilot_core.domain.execution.rounding import is_legal_price, is_legal_size
from sigmapilot_core.domain.execution.texts import Refusal
from sigmapilot_core.domain.execution.venue_state import VenueState


def refuse_batch(state: VenueState, intents: Sequence[OrderIntent], grouping: Grouping) -> Refusal | None:
    """Deterministic faults that refuse a whole batch: empty, TP/SL that could open a position, price off the band."""
    if not intents:
        return Refusal.EMPTY
    children = intents[1:] if grouping is Grouping.NORMAL_TPSL else intents
    if grouping is not Grouping.NA and any(intent.trigger is None for intent in children):
        return Refusal.TRIGGER
    if not state.config.prevalidates:
        return None
    for intent in intents:
        refusal = refuse_entry_trigger(state, intent) or refuse_band(state, intent)
        if refusal is not None:
            return refusal
    return None


def refuse_entry_trigger(state: VenueState, intent: OrderIntent) -> Refusal | None:
    """TP/SL must be reduce-only unless the engine allows otherwise."""
    is_entry = intent.trigger is not None and not intent.reduce_only
    return Refusal.ENTRY_TRIGGER if is_entry and not state.config.allows_entry_triggers else None


def refuse_band(state: VenueState, intent: OrderIntent) -> Refusal | None:
    """More than 80 % away from the mark; without a mark the distance is not known and nothing is accepted."""
    mark = state.marks.get(intent.coin)
    if mark is None:
        return Refusal.BAND
    prices = (intent.px,) if intent.trigger is None else (intent.px, intent.trigger.px)
    sane = [px for px in prices if px.is_finite() and px > 0]
    return Refusal.BAND if any(abs(px - mark) > state.config.band * mark for px in sane) else None


@dataclass(frozen=True, slots=True)
class Sizing:
    """Size an order works with; `is_whole` stands for the whole position, whatever it is when the order acts."""

    sz: Decimal
    is_whole: bool


def refuse_order(state: VenueState, user: str, intent: OrderIntent, size: Sizing, *, is_child: bool) -> Refusal | None:
    """Faults of one order: client id, TP/SL, price, size, band, reduce-only, least value, in this order.

    `is_child` waits for its parent and is not held against the position yet.
    """
    refusal = (
        _refuse_cloid(state, user, intent)
        or refuse_entry_trigger(state, intent)
        or _refuse_price(state, intent)
        or _refuse_size(state, intent, size)
        or refuse_band(state, intent)
    )
    if refusal is not None:
        return refusal
    position = state.account(user).position(intent.coin)
    if intent.reduce_only and not is_child and increase_of(position, signed(intent, size.sz)) > 0:
        return Refusal.REDUCE_ONLY
    is_whole_close = intent.reduce_only and not is_child and size.sz >= abs(position)
    if not is_whole_close and size.sz * intent.px < state.config.min_notional_usd:
        return Refusal.MIN_NOTIONAL
    return None


def effective_size(state: VenueState, user: str, intent: OrderIntent, *, is_position_tpsl: bool) -> Sizing:
    """Size 0 with reduce-only closes the position if the order cannot rest or is a position TP/SL; a reduce-only
    order larger than the position is shrunk to it; a position TP/SL of the position's size stays whole.
    """
    position = abs(state.account(user).position(intent.coin))
    may_close_all = is_position_tpsl or (intent.trigger is None and intent.tif.is_immediate)
    if intent.sz == 0 and intent.reduce_only and state.config.zero_size_closes and may_close_all:
        return Sizing(position, is_whole=True)
    if intent.reduce_only and position and intent.sz.is_finite() and intent.sz >= position:
        return Sizing(position, is_whole=is_position_tpsl)
    return Sizing(intent.sz, is_whole=False)


def refuse_trigger_px(state: VenueState, intent: OrderIntent, parent: Order | None) -> Refusal | None:
    """A trigger that would fire at once, by the mark; for the child of a resting parent by the parent's limit."""
    if intent.trigger is None:
        return None
    reference = parent.px if parent is not None and parent.is_resting else state.mark(intent.coin)
    return Refusal.TRIGGER if intent.trigger.is_met(intent.is_buy, reference) else None


def refuse_margin(
    state: VenueState, user: str, intent: OrderIntent, sz: Decimal, replaces: int | None = None
) -> Refusal | None:
    """Initial margin beside what resting orders hold back; reduce-only orders and reductions are never refused.

    `replaces` is the id of an order that leaves in the same action.
    """
    if intent.reduce_only or intent.trigger is not None:
        return None
    account, spec = state.account(user), state.spec(intent.coin)
    reserved = held_back(state, user, replaces)
    has_margin = has_margin_for(account, spec, signed(intent, sz), intent.px, state.marks, state.specs, reserved)
    return None if has_margin else Refusal.MARGIN


def held_back(state: VenueState, user: str, without: int | None = None) -> Decimal:
    """Initial margin of the increasing part of all resting orders but one."""
    account = state.account(user)
    total = ZERO
    for order in state.orders.live(user):
        if order.is_resting and not order.intent.reduce_only and order.oid != without:
            increase = increase_of(account.position(order.coin), order.sz if order.is_buy else -order.sz)
            total += increase * order.px / account.leverage(state.spec(order.coin))
    return total


def signed(intent: OrderIntent, sz: Decimal) -> Decimal:
    """+sz for a buy, -sz for a sell."""
    return sz if intent.is_buy else -sz


def _refuse_cloid(state: VenueState, user: str, intent: OrderIntent) -> Refusal | None:
    """The same client id acts once: a repeated intent changes nothing."""
    if intent.cloid is not None and state.orders.find(user, intent.cloid) is not None:
        return Refusal.DUPLICATE_CLOID
    return None


def _refuse_price(state: VenueState, intent: OrderIntent) -> Refusal | None:
    decimals = state.spec(intent.coin).sz_decimals
    for px in (intent.px,) if intent.trigger is None else (intent.px, intent.trigger.px):
        if not px.is_finite() or px <= 0:
            return Refusal.PRICE
        if not is_legal_price(px, decimals):
            return Refusal.TICK
    return None


def _refuse_size(state: VenueState, intent: OrderIntent, size: Sizing) -> Refusal | None:
    if not size.sz.is_finite() or size.sz < 0:
        return Refusal.SIZE
    if size.sz == 0:
        return Refusal.REDUCE_ONLY if size.is_whole else Refusal.ZERO_SIZE
    return None if is_legal_size(size.sz, state.spec(intent.coin).sz_decimals) else Refusal.SIZE
