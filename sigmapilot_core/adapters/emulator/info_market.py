"""Answers about the market: universe, prices, books, candles, funding (spec section 1.1, 1.2)."""

from __future__ import annotations

from typing import Any

from sigmapilot_core.adapters.emulator.channels import l2_book
from sigmapilot_core.adapters.emulator.info import Body, Handler, Unprocessable
from sigmapilot_core.adapters.emulator.venue import Venue
from sigmapilot_core.adapters.hyperliquid import encode
from sigmapilot_core.adapters.hyperliquid.intervals import INTERVAL_MS
from sigmapilot_core.domain.params import HOUR_MS

CANDLE_LIMIT = 5_000
PAGE_LIMIT = 500
TRADE_LIMIT = 10
USDC = {
    "name": "USDC",
    "szDecimals": 8,
    "weiDecimals": 8,
    "index": 0,
    "tokenId": "0x6d1e7cde53ba9467b783cb7c530ce054",
    "isCanonical": True,
    "evmContract": None,
    "fullName": None,
    "deployerTradingFeeShare": "0.0",
}
DANGLING_TOKEN = 479


def coin_of(venue: Venue, body: Body) -> str | None:
    """The coin asked for; None when the venue does not list it."""
    coin = body.text("coin")
    return coin if coin in venue.asset_ids else None


def is_first_dex(body: Body) -> bool:
    """True for the only dex there is; the answer for any other is that of an unknown one."""
    return body.optional_text("dex") == ""


def _meta(venue: Venue, body: Body) -> Any:
    return encode.meta(venue.assets()) if is_first_dex(body) else None


def _meta_and_contexts(venue: Venue, body: Body) -> Any:
    if not is_first_dex(body):
        return None
    assets = venue.assets()
    return encode.meta_and_contexts(assets, [venue.source.context(a.coin) for a in assets])


def spot_meta(venue: Venue) -> dict[str, Any]:
    """The spot universe is empty; the fault `dangling_spot_token` adds a pair whose token is absent."""
    pairs = []
    if venue.faults.find("dangling_spot_token"):
        name = f"@{DANGLING_TOKEN}"
        pairs = [{"name": name, "tokens": [DANGLING_TOKEN, 0], "index": DANGLING_TOKEN, "isCanonical": False}]
    return {"universe": pairs, "tokens": [USDC]}


def _mids(venue: Venue, body: Body) -> Any:
    return encode.mids(venue.mids()) if is_first_dex(body) else {}


def _book(venue: Venue, body: Body) -> Any:
    figures, mantissa = body.optional_integer("nSigFigs"), body.optional_integer("mantissa")
    if figures not in (None, 2, 3, 4, 5) or mantissa not in (None, 1, 2, 5) or (mantissa and figures != 5):
        raise Unprocessable
    coin = coin_of(venue, body)
    return None if coin is None else l2_book(venue, coin, figures, mantissa)


def _candles(venue: Venue, body: Body) -> Any:
    request = body.inner("req")
    length = INTERVAL_MS.get(request.text("interval"))
    if length is None:
        raise Unprocessable
    start, end, coin = request.integer("startTime"), request.optional_integer("endTime"), coin_of(venue, request)
    if coin is None:
        return []
    last = venue.now_ms if end is None else min(end, venue.now_ms)
    first = max(start // length * length, last // length * length - (CANDLE_LIMIT - 1) * length)
    return [encode.candle(bar) for bar in venue.source.candles(coin, length, first, last)][-CANDLE_LIMIT:]


def _recent_trades(venue: Venue, body: Body) -> Any:
    coin = coin_of(venue, body)
    if coin is None:
        return []
    return [encode.trade(t) for t in reversed(venue.recent_trades(coin, TRADE_LIMIT))]


def time_range(venue: Venue, body: Body) -> tuple[int, int]:
    """startTime and endTime, both inclusive; the end is now when absent, and never beyond now."""
    end = body.optional_integer("endTime")
    return body.integer("startTime"), venue.now_ms if end is None else min(end, venue.now_ms)


def _funding_history(venue: Venue, body: Body) -> Any:
    start, end = time_range(venue, body)
    coin = coin_of(venue, body)
    if coin is None:
        return []
    return [encode.funding_rate(r) for r in venue.source.funding_history(coin, start, end)][:PAGE_LIMIT]


def _predicted_fundings(venue: Venue, body: Body) -> Any:
    next_hour = (venue.now_ms // HOUR_MS + 1) * HOUR_MS
    rates = ((a.coin, encode.context(venue.source.context(a.coin))["funding"]) for a in venue.assets())
    times = {"nextFundingTime": next_hour, "fundingIntervalHours": 1}
    return [[coin, [["HlPerp", {"fundingRate": rate} | times]]] for coin, rate in rates]


def _margin_table(venue: Venue, body: Body) -> Any:
    leverage = body.integer("id")
    return {"description": "", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": leverage}]}


def _exchange_status(venue: Venue, body: Body) -> Any:
    return encode.exchange_status(venue.now_ms)


MARKET_INFO: dict[str, Handler] = {
    "meta": _meta,
    "allPerpMetas": lambda venue, body: [encode.meta(venue.assets())],
    "metaAndAssetCtxs": _meta_and_contexts,
    "perpDexs": lambda venue, body: [None],
    "spotMeta": lambda venue, body: spot_meta(venue),
    "spotMetaAndAssetCtxs": lambda venue, body: [spot_meta(venue), []],
    "outcomeMeta": lambda venue, body: {"outcomes": [], "questions": []},
    "allMids": _mids,
    "l2Book": _book,
    "candleSnapshot": _candles,
    "recentTrades": _recent_trades,
    "fundingHistory": _funding_history,
    "predictedFundings": _predicted_fundings,
    "perpsAtOpenInterestCap": lambda venue, body: [],
    "maxMarketOrderNtls": lambda venue, body: [],
    "marginTable": _margin_table,
    "exchangeStatus": _exchange_status,
}
