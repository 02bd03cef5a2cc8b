"""Orders on the wire: reading what is sent, writing what became of it (spec section 1.4, 5.1, 5.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sigmapilot_core.adapters.emulator.info import Unprocessable
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.fields import decimal_text, to_decimal
from sigmapilot_core.domain.execution.orders import AnswerKind, Order, OrderAnswer, OrderIntent, Tif, TpSl, Trigger
from sigmapilot_core.domain.execution.rounding import wire_text

_CLOID = re.compile(r"0x[0-9a-fA-F]{32}", re.ASCII)
_SENDABLE = {t.value: t for t in (Tif.GTC, Tif.IOC, Tif.ALO, Tif.FRONTEND_MARKET)}
_PRICE_PLACES = 8
_UNNAMED_TEXT = "N/A"


class UnknownAsset(Exception):
    """An asset id the venue does not list; the message is the venue's refusal."""


def coin_of(asset: Any, coins: Sequence[str]) -> str:
    """The coin of an asset id. `Unprocessable` for no number, `UnknownAsset` for one that is not listed."""
    if type(asset) is not int:
        raise Unprocessable
    if not 0 <= asset < len(coins):
        raise UnknownAsset(f"Unknown asset: {asset}")
    return coins[asset]


def cloid_of(value: Any) -> str | None:
    """A client order id: 0x and 32 hexadecimal digits, in lower case; None when absent."""
    if value is None:
        return None
    if not isinstance(value, str) or not _CLOID.fullmatch(value):
        raise Unprocessable
    return value.lower()


def key_of(value: Any) -> int | str:
    """An order id or a client order id."""
    if type(value) is int:
        return value
    cloid = cloid_of(value)
    if cloid is None:
        raise Unprocessable
    return cloid


def intent_of(raw: Any, coins: Sequence[str]) -> OrderIntent:
    """One order as sent. `Unprocessable` for anything that cannot be read as one."""
    if not isinstance(raw, dict) or type(raw.get("b")) is not bool or type(raw.get("r")) is not bool:
        raise Unprocessable
    tif, trigger = _kind(raw.get("t"))
    return OrderIntent(
        coin=coin_of(raw.get("a"), coins),
        is_buy=raw["b"],
        px=_decimal(raw.get("p")),
        sz=_decimal(raw.get("s")),
        tif=tif,
        reduce_only=raw["r"],
        trigger=trigger,
        cloid=cloid_of(raw.get("c")),
    )


def _kind(raw: Any) -> tuple[Tif, Trigger | None]:
    if isinstance(raw, dict) and isinstance(raw.get("limit"), dict) and raw["limit"].get("tif") in _SENDABLE:
        return _SENDABLE[raw["limit"]["tif"]], None
    wanted = raw.get("trigger") if isinstance(raw, dict) else None
    if (
        not isinstance(wanted, dict)
        or wanted.get("tpsl") not in ("tp", "sl")
        or type(wanted.get("isMarket")) is not bool
    ):
        raise Unprocessable
    return Tif.GTC, Trigger(_decimal(wanted.get("triggerPx")), TpSl(wanted["tpsl"]), wanted["isMarket"])


def _decimal(value: Any) -> Decimal:
    """Prices and sizes are text on this route."""
    if not isinstance(value, str):
        raise Unprocessable
    try:
        return to_decimal(value, "px")
    except BadMessage as fault:
        raise Unprocessable from fault


def answer(given: OrderAnswer) -> Any:
    """One status of an order action's answer."""
    cloid = {} if given.cloid is None else {"cloid": given.cloid}
    if given.kind is AnswerKind.ERROR:
        return {"error": given.error}
    if given.kind is AnswerKind.RESTING:
        return {"resting": {"oid": given.oid} | cloid}
    if given.kind is AnswerKind.FILLED:
        total, average = given.total_sz or Decimal(0), round(given.avg_px or Decimal(0), _PRICE_PLACES)
        return {"filled": {"totalSz": wire_text(total), "avgPx": wire_text(average), "oid": given.oid} | cloid}
    return given.kind.value


def basic(order: Order) -> dict[str, Any]:
    """An order as `openOrders` and `orderUpdates` show it."""
    optional: dict[str, Any] = {}
    if order.intent.cloid is not None:
        optional["cloid"] = order.intent.cloid
    if order.intent.reduce_only:
        optional["reduceOnly"] = True
    return {
        "coin": order.coin,
        "side": "B" if order.is_buy else "A",
        "limitPx": decimal_text(order.px),
        "sz": decimal_text(order.sz),
        "oid": order.oid,
        "timestamp": order.time_ms,
        "origSz": decimal_text(order.orig_sz),
    } | optional


def frontend(order: Order, children: Sequence[Order] = ()) -> dict[str, Any]:
    """An order as `frontendOpenOrders`, `orderStatus` and `historicalOrders` show it."""
    trigger = order.intent.trigger
    return basic(order) | {
        "children": [frontend(child) for child in children],
        "isPositionTpsl": order.is_position_tpsl,
        "isTrigger": trigger is not None,
        "orderType": order.order_type,
        "reduceOnly": order.intent.reduce_only,
        "tif": None if trigger is not None else order.intent.tif.value,
        "triggerCondition": _UNNAMED_TEXT if trigger is None else _condition(order, trigger),
        "triggerPx": "0.0" if trigger is None else decimal_text(trigger.px),
        "cloid": order.intent.cloid,
    }


def _condition(order: Order, trigger: Trigger) -> str:
    fires_below = order.is_buy == (trigger.tpsl is TpSl.TP)
    return f"Price {'below' if fires_below else 'above'} {wire_text(trigger.px)}"


def update(order: Order) -> dict[str, Any]:
    """One element of `orderUpdates`."""
    return {"order": basic(order), "status": order.status.value, "statusTimestamp": order.status_ms}


def past(order: Order) -> dict[str, Any]:
    """One element of `historicalOrders`, and the answer of `orderStatus`."""
    return {"order": frontend(order), "status": order.status.value, "statusTimestamp": order.status_ms}


def batch(raw: Mapping[str, Any], name: str) -> list[Any]:
    """A list of an action. `Unprocessable` if it is none."""
    values = raw.get(name)
    if not isinstance(values, list):
        raise Unprocessable
    return values
