"""What can be subscribed to: fields, defaults of the normalised echo, and identity (spec section 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

from sigmapilot_core.adapters.emulator.connection import Key
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.fields import to_address
from sigmapilot_core.adapters.hyperliquid.intervals import INTERVAL_MS


class InvalidSubscription(ValueError):
    """A subscription the venue answers with `Invalid subscription {json}`."""


Check = Callable[[Any, Container[str]], Any]


def _coin(value: Any, coins: Container[str]) -> str:
    if not isinstance(value, str) or value not in coins:
        raise InvalidSubscription
    return value


def _user(value: Any, coins: Container[str]) -> str:
    try:
        return to_address(value, "user")
    except BadMessage as fault:
        raise InvalidSubscription from fault


def _interval(value: Any, coins: Container[str]) -> str:
    if not isinstance(value, str) or value not in INTERVAL_MS:
        raise InvalidSubscription
    return value


def _dex(value: Any, coins: Container[str]) -> str:
    if value not in ("", None):
        raise InvalidSubscription
    return ""


def _one_of(*allowed: Any) -> Check:
    def check(value: Any, coins: Container[str]) -> Any:
        if not any(value == a and type(value) is type(a) for a in allowed):
            raise InvalidSubscription
        return value

    return check


_DEX = (_dex, "")
_FLAG = _one_of(True, False)


@dataclass(frozen=True, slots=True)
class SubscriptionType:
    """Required fields, optional fields with their defaults, and which of the defaults the echo shows."""

    required: Mapping[str, Check]
    optional: Mapping[str, tuple[Check, Any]]
    shown: tuple[str, ...] = ()


def _of(required: Mapping[str, Check] | None = None, shown: tuple[str, ...] = (), **optional: Any) -> SubscriptionType:
    return SubscriptionType(required or {}, optional, shown)


_COIN: Mapping[str, Check] = {"coin": _coin}
_USER: Mapping[str, Check] = {"user": _user}
_SIG_FIGS = (_one_of(None, 2, 3, 4, 5), None)
_MANTISSA = (_one_of(None, 1, 2, 5), None)

TYPES: dict[str, SubscriptionType] = {
    "trades": _of(_COIN),
    "bbo": _of(_COIN),
    "l2Book": _of(_COIN, ("nSigFigs", "mantissa"), nSigFigs=_SIG_FIGS, mantissa=_MANTISSA, fast=(_FLAG, False)),
    "candle": _of({"coin": _coin, "interval": _interval}),
    "activeAssetCtx": _of(_COIN),
    "allMids": _of(dex=_DEX),
    "assetCtxs": _of(dex=_DEX),
    "userFills": _of(_USER, ("aggregateByTime",), aggregateByTime=(_FLAG, False)),
    "userEvents": _of(_USER),
    "orderUpdates": _of(_USER),
    "userFundings": _of(_USER),
    "userNonFundingLedgerUpdates": _of(_USER),
    "userTwapSliceFills": _of(_USER),
    "clearinghouseState": _of(_USER, ("dex",), dex=_DEX),
    "allDexsClearinghouseState": _of(_USER),
    "openOrders": _of(_USER, ("dex",), dex=_DEX),
    "webData3": _of(_USER),
    "activeAssetData": _of({"user": _user, "coin": _coin}),
    "notification": _of(_USER),
}


def normalise(
    subscription: object, coins: Container[str], other_coins: Container[str] = ()
) -> tuple[Key, dict[str, Any]]:
    """Identity and normalised form of a subscription; `InvalidSubscription` for anything the venue does not offer.

    Of `other_coins`, those of other markets, there are trades only.
    """
    name = subscription.get("type") if isinstance(subscription, dict) else None
    kind = TYPES.get(name) if isinstance(name, str) else None
    if kind is None or not isinstance(subscription, dict):
        raise InvalidSubscription
    coin = subscription.get("coin")
    if kind is TYPES["trades"] and isinstance(coin, str) and coin in other_coins:
        coins = other_coins
    values: dict[str, Any] = {}
    for name, check in kind.required.items():
        values[name] = check(subscription.get(name), coins)
    for name, (check, default) in kind.optional.items():
        values[name] = check(subscription.get(name, default), coins)
    if values.get("mantissa") is not None and values.get("nSigFigs") != 5:
        raise InvalidSubscription
    key = (subscription["type"], *values.values())
    echo = {
        name: value
        for name, value in values.items()
        if name in kind.required or name in kind.shown or value != kind.optional[name][1]
    }
    return key, {"type": subscription["type"], **echo}
