"""Laws that hold for every sequence of actions: nothing appears or vanishes, priority, no crossed book, idempotence."""

from __future__ import annotations

import copy
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from venue_builders import NOW, A, B, C, D, levels, venue

from sigmapilot_core.domain.events import Level
from sigmapilot_core.domain.execution.matching import MatchingEngine
from sigmapilot_core.domain.execution.orders import Grouping, OrderIntent, Tif, TpSl, Trigger
from sigmapilot_core.domain.execution.venue_state import Events

USERS = (A, B, C)

ticks = st.integers(-60, 60).map(lambda k: D(100_000 + 10 * k))
lots = st.integers(1, 400).map(lambda k: D(k) / 100)
users = st.sampled_from(USERS)


@st.composite
def intents(draw: st.DrawFn) -> OrderIntent:
    is_buy, px, sz = draw(st.booleans()), draw(ticks), draw(lots)
    kind = draw(st.sampled_from(["limit", "limit", "limit", "reduce", "trigger"]))
    tif = draw(st.sampled_from([Tif.GTC, Tif.IOC, Tif.ALO]))
    if kind == "trigger":
        trigger = Trigger(px, draw(st.sampled_from(TpSl)), draw(st.booleans()))
        return OrderIntent("BTC", is_buy, px, sz, reduce_only=True, trigger=trigger)
    return OrderIntent("BTC", is_buy, px, sz, tif, reduce_only=kind == "reduce")


@st.composite
def books(draw: st.DrawFn) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    middle, depth = draw(ticks), draw(st.integers(0, 3))
    bids = tuple(Level(middle - 10 * (k + 1), draw(lots)) for k in range(depth))
    asks = tuple(Level(middle + 10 * (k + 1), draw(lots)) for k in range(depth))
    return bids, asks


actions = st.one_of(
    st.tuples(st.just("place"), users, intents()),
    st.tuples(st.just("place"), users, intents()),
    st.tuples(st.just("tpsl"), users, intents()),
    st.tuples(st.just("book"), books()),
    st.tuples(st.just("mark"), ticks),
    st.tuples(st.just("crash"), st.sampled_from([D(60_000), D(150_000)])),
    st.tuples(st.just("funding"), st.floats(-0.01, 0.01)),
    st.tuples(st.just("cancel"), users, st.integers(1, 60)),
    st.tuples(st.just("modify"), users, st.integers(1, 60), intents()),
)


def act(engine: MatchingEngine, action: tuple[Any, ...], now_ms: int) -> Events:
    """Carry out one action of the strategy."""
    kind, *rest = action
    if kind == "place":
        return engine.place(rest[0], [rest[1]], now_ms).events
    if kind == "tpsl":
        child = OrderIntent("BTC", not rest[1].is_buy, rest[1].px, rest[1].sz, reduce_only=True)
        child = replace(child, trigger=Trigger(rest[1].px - (500 if rest[1].is_buy else -500), TpSl.SL))
        return engine.place(rest[0], [rest[1], child], now_ms, Grouping.NORMAL_TPSL).events
    if kind == "book":
        bids, asks = rest[0]
        return engine.set_external_book("BTC", bids, asks, now_ms)
    if kind in ("mark", "crash"):
        return engine.set_mark("BTC", rest[0], now_ms)
    if kind == "funding":
        return engine.apply_funding("BTC", rest[0], now_ms)
    if kind == "cancel":
        return engine.cancel(rest[0], "BTC", rest[1], now_ms).events
    return engine.modify(rest[0], rest[1], rest[2], now_ms, always_place=True).events


def position(engine: MatchingEngine, user: str) -> Decimal:
    held = engine.position(user, "BTC")
    return held.size if held else D(0)


def check_books(engine: MatchingEngine) -> None:
    """The book is not crossed and every live order is sound."""
    book = engine.book("BTC", NOW, depth=1000)
    assert not book.bids or not book.asks or book.bids[0].px < book.asks[0].px
    for user in USERS:
        held = position(engine, user)
        for order in engine.open_orders(user):
            assert order.sz > 0
            assert order.is_whole or order.filled_sz + order.sz <= order.orig_sz
            if order.intent.reduce_only and order.parent_oid is None:
                assert held * (1 if order.is_buy else -1) < 0
                assert order.sz <= abs(held)


@given(st.lists(actions, min_size=12, max_size=40), st.sampled_from(["1000000", "20000"]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_money_and_positions_are_conserved_and_the_book_stays_sound(run: list[tuple[Any, ...]], money: str) -> None:
    engine = venue(money=money)
    total = len(USERS) * D(money)
    for step, action in enumerate(run):
        events = act(engine, action, NOW + step)
        assert sum(position(engine, user) for user in engine.users()) == 0
        worth = sum(engine.equity(user) for user in engine.users()) + engine.fees_collected
        assert abs(worth - total) < D("1e-12")  # a funding rate of 17 digits exceeds the 28 of a product
        assert all(trade.buyer != trade.seller for trade in events.trades)
        check_books(engine)


@given(st.lists(actions, min_size=1, max_size=25))
@settings(max_examples=40, deadline=None)
def test_the_same_actions_give_the_same_events(run: list[tuple[Any, ...]]) -> None:
    one, other = venue(), venue()
    for step, action in enumerate(run):
        assert act(one, action, NOW + step) == act(other, action, NOW + step)


@given(st.lists(actions, min_size=8, max_size=25))
@settings(max_examples=60, deadline=None)
def test_fills_add_up_to_the_position_and_chain_by_their_start(run: list[tuple[Any, ...]]) -> None:
    engine = venue()
    held = dict.fromkeys(USERS, D(0))
    for step, action in enumerate(run):
        events = act(engine, action, NOW + step)
        for fill in events.fills:
            assert fill.start_position == held[fill.user]
            held[fill.user] += fill.signed_size
        if any(event.method == "backstop" for event in events.liquidations):
            held = {user: position(engine, user) for user in USERS}
        assert held == {user: position(engine, user) for user in USERS}


@given(st.lists(st.tuples(users, st.integers(0, 5), lots), min_size=2, max_size=12), st.integers(0, 5), lots)
@settings(max_examples=80, deadline=None)
def test_makers_trade_by_price_then_by_time(resting: list[tuple[str, int, Decimal]], reach: int, sz: Decimal) -> None:
    engine = venue()
    queue = []
    for order, (user, step, size) in enumerate(resting):
        px = D(100_000 + 10 * step)
        engine.place(user, [OrderIntent("BTC", False, px, size)], NOW)
        queue.append((px, order, user, size))
    taker = "0x" + "d" * 40
    engine.deposit(taker, D(10_000_000))
    limit = D(100_000 + 10 * reach)
    trades = engine.place(taker, [OrderIntent("BTC", True, limit, sz, Tif.IOC)], NOW).events.trades
    expected, left = [], sz
    for px, _, user, size in sorted(queue):
        if px <= limit and left > 0:
            expected.append((user, px, min(size, left)))
            left -= min(size, left)
    assert [(t.seller, t.px, t.sz) for t in trades] == expected


@given(st.lists(actions, max_size=12), users, intents())
@settings(max_examples=60, deadline=None)
def test_a_repeated_client_id_changes_nothing(run: list[tuple[Any, ...]], user: str, intent: OrderIntent) -> None:
    engine = venue()
    for step, action in enumerate(run):
        act(engine, action, NOW + step)
    intent = replace(intent, cloid="0x" + "9" * 32)
    first = engine.place(user, [intent], NOW)
    if first.answers[0].error is not None:
        return
    before = (copy.deepcopy(engine.open_orders(user)), engine.equity(user), engine.book("BTC", NOW))
    again = engine.place(user, [intent], NOW)
    assert again.answers[0].error is not None
    assert (again.events.trades, again.events.fills) == ((), ())
    assert (engine.open_orders(user), engine.equity(user), engine.book("BTC", NOW)) == before


@given(st.lists(actions, max_size=15), users)
@settings(max_examples=60, deadline=None)
def test_a_position_can_always_be_closed_against_enough_liquidity(run: list[tuple[Any, ...]], user: str) -> None:
    engine = venue(money="20000")
    for step, action in enumerate(run):
        act(engine, action, NOW + step)
    engine.set_external_book("BTC", (), (), NOW)
    held = position(engine, user)
    if not held:
        return
    mark = engine.mark("BTC")
    is_buy = held < 0
    px = (mark * D("1.1") if is_buy else mark * D("0.9")).quantize(D(1))
    wall = levels((str(px), "100000"))
    engine.set_external_book("BTC", () if is_buy else wall, wall if is_buy else (), NOW)
    held = position(engine, user)
    if held:
        intent = OrderIntent("BTC", is_buy, px, abs(held), Tif.IOC, reduce_only=True)
        engine.place(user, [intent], NOW)
    assert position(engine, user) == 0
