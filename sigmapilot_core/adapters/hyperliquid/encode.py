"""From domain values to the venue's wire format: market data and frames. The inverse of `wire.py`.

Used by the emulator and by the round-trip tests. Functions named `*_frame` give a whole WebSocket message, the others
the object as it stands inside a frame or a REST reply. Accounts are in `encode_account.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sigmapilot_core.adapters.hyperliquid.encode_account import fill
from sigmapilot_core.adapters.hyperliquid.fields import decimal_text, optional_text, real_text
from sigmapilot_core.adapters.hyperliquid.intervals import interval_name
from sigmapilot_core.domain.events import Bar, Book, Fill, Level, Trade
from sigmapilot_core.domain.venue import AssetContext, AssetSpec, FundingRate

HELLO = "Websocket connection established."
"""First text of every connection; not JSON (spec section 3.1)."""

Wire = dict[str, Any]


def frame(channel: str, data: object) -> Wire:
    """The envelope of every message the venue sends."""
    return {"channel": channel, "data": data}


def trade(value: Trade) -> Wire:
    """WsTrade: `side` is the aggressor's, `users` is [buyer, seller] (spec section 3.4)."""
    return {
        "coin": value.coin,
        "side": "B" if value.aggressor_is_buyer else "A",
        "px": decimal_text(value.px),
        "sz": decimal_text(value.sz),
        "time": value.time_ms,
        "hash": value.hash,
        "tid": value.tid,
        "users": [value.buyer, value.seller],
    }


def trades_frame(trades: Iterable[Trade]) -> Wire:
    """One `trades` message: the trades of one coin and one block."""
    return frame("trades", [trade(t) for t in trades])


def level(value: Level) -> Wire:
    """One price level."""
    return {"px": decimal_text(value.px), "sz": decimal_text(value.sz), "n": value.n}


def book(value: Book, depth: int = 20) -> Wire:
    """An `l2Book` object: bids then asks, at most `depth` levels a side."""
    sides = (value.bids, value.asks)
    return {"coin": value.coin, "time": value.time_ms, "levels": [[level(x) for x in side[:depth]] for side in sides]}


def book_frame(value: Book, depth: int = 20) -> Wire:
    """One `l2Book` message."""
    return frame("l2Book", book(value, depth))


def bbo_frame(value: Book) -> Wire:
    """One `bbo` message; an empty side is null."""
    best = [level(side[0]) if side else None for side in (value.bids, value.asks)]
    return frame("bbo", {"coin": value.coin, "time": value.time_ms, "bbo": best})


def candle(value: Bar, trades: int = 0) -> Wire:
    """A candle; the wire's `T` is the last millisecond inside it."""
    return {
        "t": value.open_ms,
        "T": value.close_ms - 1,
        "s": value.coin,
        "i": interval_name(value.close_ms - value.open_ms),
        "o": real_text(value.open),
        "c": real_text(value.close),
        "h": real_text(value.high),
        "l": real_text(value.low),
        "v": real_text(value.volume),
        "n": trades,
    }


def candle_frame(value: Bar, trades: int = 0) -> Wire:
    """One `candle` message; its data is a single object."""
    return frame("candle", candle(value, trades))


def context(value: AssetContext) -> Wire:
    """PerpCtx, without the coin (it is aligned with the universe by index)."""
    return {
        "funding": real_text(value.funding_rate),
        "openInterest": real_text(value.open_interest),
        "prevDayPx": decimal_text(value.prev_day_px),
        "dayNtlVlm": real_text(value.day_notional_volume),
        "dayBaseVlm": real_text(value.day_notional_volume / float(value.mark_px) if value.mark_px else 0.0),
        "premium": optional_text(value.premium),
        "oraclePx": decimal_text(value.oracle_px),
        "markPx": decimal_text(value.mark_px),
        "midPx": optional_text(value.mid_px),
        "impactPxs": None if value.mid_px is None else [decimal_text(value.mid_px)] * 2,
    }


def context_frame(value: AssetContext) -> Wire:
    """One `activeAssetCtx` message. The wire carries no time: the reader stamps its receive time."""
    return frame("activeAssetCtx", {"coin": value.coin, "ctx": context(value)})


def asset(value: AssetSpec) -> Wire:
    """One element of the universe."""
    spec: Wire = {
        "szDecimals": value.sz_decimals,
        "name": value.coin,
        "maxLeverage": value.max_leverage,
        "marginTableId": value.max_leverage,
    }
    return spec | {"isDelisted": True} if value.is_delisted else spec


def meta(assets: Iterable[AssetSpec]) -> Wire:
    """`meta`: the universe in order of asset ids, delisted ones included; single-tier margin tables."""
    universe = [asset(a) for a in assets]
    tables = sorted({a["maxLeverage"] for a in universe})
    tiers = [[n, {"description": "", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": n}]}] for n in tables]
    return {"universe": universe, "marginTables": tiers, "collateralToken": 0}


def meta_and_contexts(assets: Sequence[AssetSpec], contexts: Sequence[AssetContext]) -> list[Any]:
    """`metaAndAssetCtxs`: both lists aligned by index; ValueError if they are not."""
    if [a.coin for a in assets] != [c.coin for c in contexts]:
        raise ValueError("contexts are not in the order of assets; allowed is one context for each asset, by index.")
    return [meta(assets), [context(c) for c in contexts]]


def mids(values: Mapping[str, Decimal]) -> Wire:
    """`allMids`: coin to price."""
    return {coin: decimal_text(px) for coin, px in values.items()}


def mids_frame(values: Mapping[str, Decimal]) -> Wire:
    """One `allMids` message."""
    return frame("allMids", {"mids": mids(values)})


def funding_rate(value: FundingRate) -> Wire:
    """One element of `fundingHistory`."""
    return {
        "coin": value.coin,
        "fundingRate": real_text(value.rate),
        "premium": real_text(value.premium),
        "time": value.time_ms,
    }


def user_fills_frame(user: str, fills: Iterable[Fill], is_snapshot: bool = False) -> Wire:
    """One `userFills` message; later messages leave `isSnapshot` out."""
    data: Wire = {"user": user, "fills": [fill(f) for f in fills]}
    return frame("userFills", {"isSnapshot": True} | data if is_snapshot else data)


def exchange_status(time_ms: int, special_statuses: Sequence[str] | None = None) -> Wire:
    """`exchangeStatus`: the venue's time, null where nothing special is on."""
    return {"time": time_ms, "specialStatuses": None if special_statuses is None else list(special_statuses)}


def ack_frame(method: str, subscription: Mapping[str, Any]) -> Wire:
    """`subscriptionResponse` with the echo normalised as the venue does (spec section 3.1)."""
    defaults: dict[str, Wire] = {
        "l2Book": {"nSigFigs": None, "mantissa": None},
        "userFills": {"aggregateByTime": False},
    }
    echo = dict(subscription) | {
        key: value for key, value in defaults.get(str(subscription.get("type")), {}).items() if key not in subscription
    }
    return frame("subscriptionResponse", {"method": method, "subscription": echo})


def error_frame(text: str) -> Wire:
    """One `error` message."""
    return frame("error", text)


def pong_frame() -> Wire:
    """The answer to a ping."""
    return {"channel": "pong"}
