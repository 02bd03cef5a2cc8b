"""Reading market data from the wire, for frames and replies alike (spec sections 1.1, 1.2, 3.3, 3.4).

Every function raises `BadMessage` for what it cannot trust and nothing else; unknown keys are ignored.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sigmapilot_core.adapters.hyperliquid.coins import is_followed, is_market
from sigmapilot_core.adapters.hyperliquid.errors import BadMessage
from sigmapilot_core.adapters.hyperliquid.fields import (
    boolean,
    decimal,
    instant,
    integer,
    is_buy,
    mapping,
    not_negative,
    optional_decimal,
    optional_real,
    pair,
    positive,
    real,
    real_not_negative,
    sequence,
    text,
    to_address,
    to_decimal,
    traded,
)
from sigmapilot_core.adapters.hyperliquid.messages import MarketSnapshot
from sigmapilot_core.domain.events import Bar, Book, Level, Trade
from sigmapilot_core.domain.venue import AssetContext, AssetSpec, FundingRate

MAX_SZ_DECIMALS = 8


def parse_trade(row: Mapping[str, Any], received_ms: int | None = None) -> Trade:
    """One public trade; `users` is [buyer, seller], `side` the aggressor's. Not from beyond its receipt."""
    buyer, seller = pair(row.get("users"), "users")
    return Trade(
        coin=text(row, "coin"),
        px=traded(row, "px"),
        sz=traded(row, "sz"),
        time_ms=instant(row, "time", received_ms),
        tid=integer(row, "tid"),
        hash=text(row, "hash"),
        buyer=to_address(buyer, "users"),
        seller=to_address(seller, "users"),
        aggressor_is_buyer=is_buy(row),
    )


def parse_trades(raw: object, received_ms: int | None = None) -> tuple[tuple[Trade, ...], int]:
    """Trades of every market in the order sent, and how many were ignored because their coin has no known name."""
    rows = sequence(raw, "trades")
    trades = [parse_trade(row, received_ms) for row in rows if is_market(mapping(row, "trade").get("coin"))]
    return tuple(trades), len(rows) - len(trades)


def parse_level(raw: object) -> Level:
    """One price level."""
    row = mapping(raw, "level")
    return Level(px=positive(row, "px"), sz=positive(row, "sz"), n=integer(row, "n"))


def parse_book(raw: object, received_ms: int) -> Book | None:
    """An `l2Book`; None for the null that answers an unknown coin and for coins that are not followed."""
    if raw is None:
        return None
    row = mapping(raw, "book")
    if not is_followed(row.get("coin")):
        return None
    bids, asks = pair(row.get("levels"), "levels")
    return Book(
        coin=text(row, "coin"),
        time_ms=integer(row, "time"),
        received_ms=received_ms,
        bids=parse_side(bids, falls=True),
        asks=parse_side(asks, falls=False),
    )


def parse_side(raw: object, *, falls: bool) -> tuple[Level, ...]:
    """One side of a book, best price first: bids fall, asks rise, no price twice."""
    levels = tuple(parse_level(x) for x in sequence(raw, "levels"))
    for better, worse in itertools.pairwise(levels):
        if worse.px == better.px or (worse.px < better.px) != falls:
            raise BadMessage("levels", f"{better.px}, then {worse.px}", "best price first, each price once")
    return levels


def parse_bbo(raw: object, received_ms: int) -> Book | None:
    """A `bbo` as a book of one level; a null side is an empty side."""
    row = mapping(raw, "bbo")
    if not is_followed(row.get("coin")):
        return None
    bid, ask = pair(row.get("bbo"), "bbo")
    return Book(
        coin=text(row, "coin"),
        time_ms=integer(row, "time"),
        received_ms=received_ms,
        bids=() if bid is None else (parse_level(bid),),
        asks=() if ask is None else (parse_level(ask),),
    )


def parse_candle(raw: object, received_ms: int | None = None) -> Bar:
    """A candle; the wire's `T` is the last millisecond inside it. Raises for prices outside [low, high]."""
    row = mapping(raw, "candle")
    opened, last = instant(row, "t", received_ms), integer(row, "T")
    low, high = float(positive(row, "l")), float(positive(row, "h"))
    first, close = float(positive(row, "o")), float(positive(row, "c"))
    if last <= opened:
        raise BadMessage("T", last, f"an instant after t = {opened}")
    if not low <= min(first, close) <= max(first, close) <= high:
        raise BadMessage("candle", (first, high, low, close), "open and close within [low, high]")
    return Bar(
        coin=text(row, "s"),
        open_ms=opened,
        close_ms=last + 1,
        open=first,
        high=high,
        low=low,
        close=close,
        volume=real_not_negative(row, "v"),
    )


def parse_candles(raw: object, received_ms: int | None = None) -> tuple[Bar, ...]:
    """`candleSnapshot`, or the data of a `candle` frame, which is one object; ignored coins give no bar."""
    rows = raw if isinstance(raw, list) else [raw]
    return tuple(parse_candle(row, received_ms) for row in rows if is_followed(mapping(row, "candle").get("s")))


def closed_bars(bars: tuple[Bar, ...], now_ms: int) -> tuple[Bar, ...]:
    """Without the candle that is still open at `now_ms`."""
    return tuple(bar for bar in bars if bar.close_ms <= now_ms)


def parse_context(coin: str, raw: object, received_ms: int) -> AssetContext:
    """PerpCtx; the wire carries no time, so our receive time stands for it. `premium` and `midPx` may be null."""
    row = mapping(raw, "ctx")
    mid = optional_decimal(row, "midPx")
    if mid is not None and mid <= 0:
        raise BadMessage("midPx", mid, "a number above zero or null")
    return AssetContext(
        coin=coin,
        time_ms=received_ms,
        mark_px=positive(row, "markPx"),
        oracle_px=positive(row, "oraclePx"),
        mid_px=mid,
        prev_day_px=not_negative(row, "prevDayPx"),
        day_notional_volume=real_not_negative(row, "dayNtlVlm"),
        open_interest=real_not_negative(row, "openInterest"),
        funding_rate=real(row, "funding"),
        premium=optional_real(row, "premium"),
    )


def parse_asset(raw: object) -> AssetSpec:
    """One element of the universe."""
    row = mapping(raw, "asset")
    decimals = integer(row, "szDecimals")
    if decimals > MAX_SZ_DECIMALS:
        raise BadMessage("szDecimals", decimals, f"0 to {MAX_SZ_DECIMALS}")
    return AssetSpec(
        coin=text(row, "name"),
        sz_decimals=decimals,
        max_leverage=integer(row, "maxLeverage", low=1),
        is_delisted=boolean(row, "isDelisted") if row.get("isDelisted") is not None else False,
    )


def parse_meta(raw: object) -> tuple[AssetSpec, ...]:
    """`meta`: the universe in order, delisted assets included, because the index is the asset id."""
    return tuple(parse_asset(x) for x in sequence(mapping(raw, "meta").get("universe"), "universe"))


def parse_market(raw: object, received_ms: int) -> MarketSnapshot:
    """`metaAndAssetCtxs`; one asset with bad figures is rejected by itself, it does not blind us to the others."""
    meta, contexts = pair(raw, "metaAndAssetCtxs")
    assets = parse_meta(meta)
    rows = sequence(contexts, "contexts")
    if len(rows) != len(assets):
        raise BadMessage("contexts", len(rows), f"one for each of the {len(assets)} assets")
    good: list[AssetContext] = []
    rejected: list[tuple[str, str]] = []
    for spec, row in zip(assets, rows, strict=True):
        try:
            good.append(parse_context(spec.coin, row, received_ms))
        except BadMessage as fault:
            rejected.append((spec.coin, str(fault)))
    return MarketSnapshot(assets, tuple(good), tuple(rejected))


def parse_mids(raw: object) -> tuple[dict[str, Decimal], int]:
    """`allMids`: price by followed coin, and how many others were ignored."""
    rows = mapping(raw, "mids")
    mids = {coin: to_decimal(px, coin) for coin, px in rows.items() if coin and is_followed(coin)}
    for coin, px in mids.items():
        if px <= 0:
            raise BadMessage(coin, px, "a number above zero")
    return mids, len(rows) - len(mids)


def parse_funding_history(raw: object) -> tuple[FundingRate, ...]:
    """`fundingHistory`: hourly rates, ascending."""
    rows = [mapping(x, "funding") for x in sequence(raw, "fundingHistory")]
    return tuple(
        FundingRate(text(r, "coin"), integer(r, "time"), float(decimal(r, "fundingRate")), real(r, "premium"))
        for r in rows
    )
