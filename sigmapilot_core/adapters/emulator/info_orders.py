"""Answers about orders and rights of accounts of real orders (spec section 1.4)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sigmapilot_core.adapters.emulator import order_wire as wire
from sigmapilot_core.adapters.emulator.info import Body, Handler
from sigmapilot_core.adapters.emulator.info_market import coin_of, is_first_dex
from sigmapilot_core.adapters.emulator.limits import AddressLimiter
from sigmapilot_core.adapters.emulator.signers import AgentBook
from sigmapilot_core.adapters.emulator.venue import Venue
from sigmapilot_core.adapters.hyperliquid.encode_account import user_role
from sigmapilot_core.adapters.hyperliquid.fields import decimal_text
from sigmapilot_core.domain.execution.orders import Order
from sigmapilot_core.ports import Clock


def _live(venue: Venue, user: str) -> list[Order]:
    """Live orders of an account, newest first."""
    return venue.desk.engine.open_orders(user)[::-1] if venue.desk.knows(user) else []


def open_orders(venue: Venue, user: str) -> list[dict[str, Any]]:
    """Live orders of an account; triggers show no trigger data here."""
    return [wire.basic(order) for order in _live(venue, user)]


def _open(venue: Venue, body: Body) -> Any:
    return open_orders(venue, body.user()) if is_first_dex(body) else []


def _frontend(venue: Venue, body: Body) -> Any:
    """Children stand within their parent until it is filled."""
    user = body.user()
    if not is_first_dex(body):
        return []
    orders = _live(venue, user)
    waiting = {o.oid: o for o in orders if o.parent_oid is not None}
    children = {o.oid: [waiting[c] for c in o.children if c in waiting] for o in orders}
    return [wire.frontend(o, children[o.oid]) for o in orders if o.oid not in waiting]


def _status(venue: Venue, body: Body) -> Any:
    user, key = body.user(), wire.key_of(body.values.get("oid"))
    order = venue.desk.engine.order(user, key) if venue.desk.knows(user) else None
    return {"status": "unknownOid"} if order is None else {"status": "order", "order": wire.past(order)}


def _historical(venue: Venue, body: Body) -> Any:
    user = body.user()
    orders = venue.desk.engine.recent_orders(user) if venue.desk.knows(user) else []
    return [wire.past(order) for order in reversed(orders)]


def _asset_data(venue: Venue, body: Body) -> Any:
    user, coin = body.user(), coin_of(venue, body)
    return None if coin is None else venue.asset_data(user, coin)


ORDER_INFO: dict[str, Handler] = {
    "openOrders": _open,
    "frontendOpenOrders": _frontend,
    "orderStatus": _status,
    "historicalOrders": _historical,
    "activeAssetData": _asset_data,
}


def right_handlers(limiter: AddressLimiter, agents: AgentBook, clock: Clock) -> dict[str, Handler]:
    """Answers about request limits, agents and roles."""

    def rate_limit(venue: Venue, body: Body) -> Any:
        user = body.user()
        own = venue.desk.accounts.get(user)
        volume = own.volume_usd if own is not None else Decimal(0)
        used, cap = limiter.used(user), limiter.cap(volume)
        return {"cumVlm": decimal_text(volume), "nRequestsUsed": used, "nRequestsCap": cap, "nRequestsSurplus": 0}

    def extra_agents(venue: Venue, body: Body) -> Any:
        valid = agents.of(body.user(), clock.now_ms())
        return [{"name": a.name, "address": a.address, "validUntil": a.valid_until_ms} for a in valid if a.name]

    def role(venue: Venue, body: Body) -> Any:
        user = body.user()
        master = agents.master_of(user, clock.now_ms())
        return user_role(*(("agent", master) if master is not None else venue.role(user)))

    return {"userRateLimit": rate_limit, "extraAgents": extra_agents, "userRole": role}
