"""Channels of market data: what a subscriber receives at once and what each block brings (spec section 3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from sigmapilot_core.adapters.emulator.config import StreamConfig
from sigmapilot_core.adapters.emulator.connection import Key
from sigmapilot_core.adapters.emulator.hub import Hub
from sigmapilot_core.adapters.emulator.venue import Block, Venue
from sigmapilot_core.adapters.hyperliquid import encode
from sigmapilot_core.adapters.hyperliquid.intervals import INTERVAL_MS
from sigmapilot_core.domain.events import Bar, Book, Level

Wire = dict[str, Any]
FAST_DEPTH = 5
DEPTH = 20


class FeedChannel:
    """One type of subscription."""

    def __init__(self, venue: Venue, hub: Hub, config: StreamConfig) -> None:
        self.venue, self.hub, self.config = venue, hub, config

    def opening(self, key: Key) -> list[Wire]:
        """Frames a new subscriber receives behind the acknowledgement."""
        return []

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        """Frames a block brings to those who are subscribed."""
        return iter(())


class Trades(FeedChannel):
    """`trades`: one frame for each coin and block; a replay of the last trades for a new subscriber."""

    def opening(self, key: Key) -> list[Wire]:
        recent = self.venue.recent_trades(key[1], self.config.trade_replay)
        return [encode.trades_frame(recent)] if recent else []

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        for coin in block.by_coin:
            key = ("trades", coin)
            if self.hub.holds(key):
                for trades in block.frames(coin):
                    yield key, encode.trades_frame(trades)


class Bbo(FeedChannel):
    """`bbo`: best bid and ask whenever a block has changed them."""

    def __init__(self, venue: Venue, hub: Hub, config: StreamConfig) -> None:
        super().__init__(venue, hub, config)
        self._last: dict[str, tuple[Any, ...]] = {}

    def opening(self, key: Key) -> list[Wire]:
        book = self.venue.book(key[1], 1)
        return [] if book is None else [encode.bbo_frame(book)]

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        for key in self.hub.keys("bbo"):
            book = self.venue.book(key[1], 1)
            if book is not None and self._last.get(key[1]) != (book.bids, book.asks):
                self._last[key[1]] = (book.bids, book.asks)
                yield key, encode.bbo_frame(book)


class Books(FeedChannel):
    """`l2Book`: the default every 5 s with 20 levels a side, `fast` every 0.5 s with 5."""

    def opening(self, key: Key) -> list[Wire]:
        frame = self._frame(key)
        return [] if frame is None else [frame]

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        slow, fast = block.crosses(self.config.slow_book_ms), block.crosses(self.config.fast_book_ms)
        if not slow and not fast:
            return
        for key in self.hub.keys("l2Book"):
            frame = self._frame(key) if (fast if key[4] else slow) else None
            if frame is not None:
                yield key, frame

    def _frame(self, key: Key) -> Wire | None:
        _, coin, figures, mantissa, fast = key
        frame = l2_book(self.venue, coin, figures, mantissa, FAST_DEPTH if fast else DEPTH)
        return None if frame is None else encode.frame("l2Book", frame | {"fast": True} if fast else frame)


def l2_book(venue: Venue, coin: str, figures: int | None, mantissa: int | None, depth: int = DEPTH) -> Wire | None:
    """An `l2Book` object, levels merged to `figures` significant figures if asked for."""
    book = venue.book(coin, DEPTH)
    if book is None:
        return None
    if figures is not None:
        step = Decimal(mantissa or 1)
        merged = (_merge(book.bids, figures, step, ROUND_FLOOR), _merge(book.asks, figures, step, ROUND_CEILING))
        book = Book(book.coin, book.time_ms, book.received_ms, *merged)
    return encode.book(book, depth)


def _merge(levels: tuple[Level, ...], figures: int, mantissa: Decimal, rounding: str) -> tuple[Level, ...]:
    """Levels rounded away from the touch: bids down, asks up, sizes and order counts added."""
    merged: dict[Decimal, Level] = {}
    for level in levels:
        unit = mantissa * Decimal(1).scaleb(level.px.adjusted() - figures + 1)
        px = (level.px / unit).to_integral_value(rounding) * unit
        held = merged.get(px, Level(px, Decimal(0), 0))
        merged[px] = Level(px, held.sz + level.sz, held.n + level.n)
    return tuple(merged.values())


class Candles(FeedChannel):
    """`candle`: the bar of the moment when it has changed, at most once a second."""

    def __init__(self, venue: Venue, hub: Hub, config: StreamConfig) -> None:
        super().__init__(venue, hub, config)
        self._last: dict[Key, Bar] = {}

    def opening(self, key: Key) -> list[Wire]:
        bar = self._current(key)
        return [] if bar is None else [encode.candle_frame(bar)]

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        if not block.crosses(self.config.candle_ms):
            return
        for key in self.hub.keys("candle"):
            bar = self._current(key)
            if bar is not None and self._last.get(key) != bar:
                self._last[key] = bar
                yield key, encode.candle_frame(bar)

    def _current(self, key: Key) -> Bar | None:
        length, now = INTERVAL_MS[key[2]], self.venue.now_ms
        bars = self.venue.source.candles(key[1], length, now // length * length, now)
        return bars[-1] if bars else None


class Mids(FeedChannel):
    """`allMids`, once a second."""

    def opening(self, key: Key) -> list[Wire]:
        return [encode.mids_frame(self.venue.mids())]

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        if block.crosses(self.config.mids_ms):
            for key in self.hub.keys("allMids"):
                yield key, encode.mids_frame(self.venue.mids())


class Contexts(FeedChannel):
    """`activeAssetCtx`, once a second."""

    def opening(self, key: Key) -> list[Wire]:
        return [encode.context_frame(self.venue.source.context(key[1]))]

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        if block.crosses(self.config.context_ms):
            for key in self.hub.keys("activeAssetCtx"):
                yield key, encode.context_frame(self.venue.source.context(key[1]))


class AllContexts(FeedChannel):
    """`assetCtxs`: the contexts of all assets in order of asset ids, once a second."""

    def opening(self, key: Key) -> list[Wire]:
        contexts = [encode.context(self.venue.source.context(a.coin)) for a in self.venue.source.assets]
        return [encode.frame("assetCtxs", {"dex": "", "ctxs": contexts})]

    def frames(self, block: Block) -> Iterator[tuple[Key, Wire]]:
        if block.crosses(self.config.context_ms):
            for key in self.hub.keys("assetCtxs"):
                for frame in self.opening(key):
                    yield key, frame


MARKET_CHANNELS: dict[str, type[FeedChannel]] = {
    "trades": Trades,
    "bbo": Bbo,
    "l2Book": Books,
    "candle": Candles,
    "allMids": Mids,
    "activeAssetCtx": Contexts,
    "assetCtxs": AllContexts,
}
