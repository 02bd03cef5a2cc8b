"""A small venue for the execution tests: BTC at 100 000 (tick 1), DOGE at 0.5 (tick 0.00001)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sigmapilot_core.domain.events import Level
from sigmapilot_core.domain.execution.matching import MatchingEngine, Placed
from sigmapilot_core.domain.execution.orders import Grouping, OrderAnswer, OrderIntent, Tif, TpSl, Trigger
from sigmapilot_core.domain.execution.venue_state import EngineConfig
from sigmapilot_core.domain.venue import AssetSpec

D = Decimal
ASSETS = (AssetSpec("BTC", 5, 40), AssetSpec("DOGE", 0, 10))
A, B, C = ("0x" + letter * 40 for letter in "abc")
NOW = 1_700_000_000_000


def levels(*pairs: tuple[str, str]) -> tuple[Level, ...]:
    return tuple(Level(D(px), D(sz)) for px, sz in pairs)


def venue(
    *, bids: Sequence[Level] = (), asks: Sequence[Level] = (), money: str = "1000000", **config: Any
) -> MatchingEngine:
    """BTC marked at 100 000 with the given external book; three funded accounts."""
    engine = MatchingEngine(ASSETS, EngineConfig(**config))
    engine.set_mark("BTC", D(100_000), NOW)
    engine.set_mark("DOGE", D("0.5"), NOW)
    engine.set_external_book("BTC", bids, asks, NOW)
    for user in (A, B, C):
        engine.deposit(user, D(money))
    return engine


def liquid(**config: Any) -> MatchingEngine:
    """A venue with 10 BTC a side at 99 990 / 100 010 and more behind."""
    return venue(
        bids=levels(("99990", "10"), ("99900", "50")), asks=levels(("100010", "10"), ("100100", "50")), **config
    )


def buy(px: str, sz: str, tif: Tif = Tif.GTC, **changes: Any) -> OrderIntent:
    return replace(OrderIntent("BTC", True, D(px), D(sz), tif), **changes)


def sell(px: str, sz: str, tif: Tif = Tif.GTC, **changes: Any) -> OrderIntent:
    return replace(OrderIntent("BTC", False, D(px), D(sz), tif), **changes)


def stop(is_buy: bool, px: str, sz: str, tpsl: TpSl = TpSl.SL, limit: str | None = None, **changes: Any) -> OrderIntent:
    """A reduce-only TP/SL; a market trigger unless a limit is given."""
    trigger = Trigger(D(px), tpsl, is_market=limit is None)
    intent = OrderIntent("BTC", is_buy, D(limit or px), D(sz), reduce_only=True, trigger=trigger)
    return replace(intent, **changes)


def place(engine: MatchingEngine, user: str, *intents: OrderIntent, grouping: Grouping = Grouping.NA) -> Placed:
    return engine.place(user, intents, NOW, grouping)


def answer(engine: MatchingEngine, user: str, intent: OrderIntent) -> OrderAnswer:
    (only,) = place(engine, user, intent).answers
    return only


def size_of(engine: MatchingEngine, user: str, coin: str = "BTC") -> Decimal:
    position = engine.position(user, coin)
    return position.size if position else D(0)


def hold(engine: MatchingEngine, user: str, size: str, entry: str = "100000") -> None:
    """Give the account a position."""
    engine.restore_position(user, "BTC", D(size), D(entry), NOW)
