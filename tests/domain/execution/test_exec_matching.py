"""Matching, cancelling and modifying (venue reference 5.1-5.4, 9.4)."""

from __future__ import annotations

import copy

import pytest
from venue_builders import ASSETS, NOW, A, B, C, D, answer, buy, hold, levels, liquid, place, sell, size_of, stop, venue

from sigmapilot_core.domain.events import Level
from sigmapilot_core.domain.execution.book import EXTERNAL_USER
from sigmapilot_core.domain.execution.matching import MatchingEngine
from sigmapilot_core.domain.execution.orders import AnswerKind, OrderStatus, Tif
from sigmapilot_core.domain.venue import AssetSpec


def test_the_better_price_trades_first_then_the_older_order() -> None:
    engine = venue()
    place(engine, A, sell("100010", "1"))
    place(engine, B, sell("100000", "1"))
    place(engine, C, sell("100010", "1"))
    taker = "0x" + "d" * 40
    engine.deposit(taker, D(1_000_000))
    trades = place(engine, taker, buy("100010", "2.5", Tif.IOC)).events.trades
    assert [(t.seller, t.px, t.sz) for t in trades] == [
        (B, D(100_000), D(1)),
        (A, D(100_010), D(1)),
        (C, D(100_010), D("0.5")),
    ]


def test_an_ioc_fills_through_levels_at_the_average_price() -> None:
    got = answer(liquid(), A, buy("100100", "15", Tif.IOC))
    assert (got.kind, got.total_sz) == (AnswerKind.FILLED, D(15))
    assert got.avg_px == (10 * D(100_010) + 5 * D(100_100)) / 15


def test_a_partial_ioc_answers_filled_and_the_rest_is_gone() -> None:
    engine = liquid()
    got = answer(engine, A, buy("100010", "12", Tif.IOC))
    assert (got.kind, got.total_sz) == (AnswerKind.FILLED, D(10))
    assert engine.open_orders(A) == []
    order = engine.order(A, got.oid or 0)
    assert order is not None
    assert (order.status, order.orig_sz, order.filled_sz) == (OrderStatus.CANCELED, D(12), D(10))


def test_an_ioc_without_a_match_is_refused_in_the_venues_words() -> None:
    got = answer(liquid(), A, buy("100009", "1", Tif.IOC))
    assert got.error == "Order could not immediately match against any resting orders. asset=0"
    market = answer(venue(), A, buy("100009", "1", Tif.FRONTEND_MARKET))
    assert market.error == "No liquidity available for market order. asset=0"


def test_a_gtc_order_rests_with_what_it_did_not_take() -> None:
    engine = liquid()
    got = answer(engine, A, buy("100010", "12"))
    assert got.kind is AnswerKind.RESTING
    (order,) = engine.open_orders(A)
    assert (order.sz, order.filled_sz, order.orig_sz) == (D(2), D(10), D(12))
    assert engine.book("BTC", NOW).bids[0] == Level(D(100_010), D(2))


def test_post_only_that_would_match_is_refused_with_the_bbo() -> None:
    engine = liquid()
    got = answer(engine, A, buy("100010", "1", Tif.ALO))
    assert got.error == "Post only order would have immediately matched, bbo was 99990@100010. asset=0"
    assert answer(engine, A, buy("100009", "1", Tif.ALO)).kind is AnswerKind.RESTING
    empty = answer(venue(asks=levels(("100010", "1"))), A, buy("100010", "1", Tif.ALO))
    assert empty.error == "Post only order would have immediately matched, bbo was None@100010. asset=0"


def test_an_account_never_trades_with_itself() -> None:
    engine = liquid()
    resting = answer(engine, A, sell("100000", "1"))
    placed = place(engine, A, buy("100010", "2", Tif.IOC))
    assert [(t.seller, t.sz) for t in placed.events.trades] == [(EXTERNAL_USER, D(2))]
    order = engine.order(A, resting.oid or 0)
    assert order is not None
    assert order.status is OrderStatus.SELF_TRADE_CANCELED


def test_a_new_external_book_replaces_the_old_one_and_fills_orders_it_reaches() -> None:
    engine = liquid()
    answer(engine, A, buy("99995", "2"))
    answer(engine, B, buy("99995", "2"))
    events = engine.set_external_book("BTC", levels(("99980", "1")), levels(("99985", "3"), ("99990", "4")), NOW + 1)
    assert [(t.buyer, t.px, t.sz, t.aggressor_is_buyer) for t in events.trades] == [
        (A, D(99_995), D(2), False),  # at the resting price
        (B, D(99_995), D(1), False),
        (B, D(99_995), D(1), False),
    ]
    assert {(f.user, f.crossed) for f in events.fills} == {(A, False), (B, False)}
    book = engine.book("BTC", NOW)
    assert book.asks == (Level(D(99_990), D(3)),)
    assert book.bids == (Level(D(99_980), D(1)),)


def test_external_liquidity_that_stays_keeps_its_place_in_the_queue() -> None:
    engine = venue(bids=levels(("99990", "5")))
    answer(engine, A, buy("99990", "1"))
    answer(engine, A, buy("99980", "1"))
    engine.set_external_book("BTC", levels(("99990", "3"), ("99980", "7")), (), NOW + 1)
    trades = place(engine, B, sell("99980", "12", Tif.IOC)).events.trades
    assert [(t.buyer, t.sz) for t in trades] == [
        (EXTERNAL_USER, D(3)),  # was there first
        (A, D(1)),
        (A, D(1)),  # at 99 980 the account was first
        (EXTERNAL_USER, D(7)),
    ]


@pytest.mark.parametrize(
    ("bids", "asks", "word"),
    [
        (levels(("100", "1")), levels(("100", "1")), "crossed"),
        (levels(("100", "0")), (), "above zero"),
        (levels(("NaN", "1")), (), "above zero"),
        (levels(("100", "1"), ("100.0", "1")), (), "twice"),
    ],
)
def test_a_bad_external_book_is_an_error(bids: tuple[Level, ...], asks: tuple[Level, ...], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        venue(bids=bids, asks=asks)


def test_cancelling_twice_answers_like_the_venue() -> None:
    engine = liquid()
    got = answer(engine, A, buy("99000", "1", cloid="0x" + "1" * 32))
    assert engine.cancel(B, "BTC", got.oid or 0, NOW).error is not None
    assert engine.cancel(A, "BTC", "0x" + "1" * 32, NOW).error is None
    assert (
        engine.cancel(A, "BTC", got.oid or 0, NOW).error
        == "Order was never placed, already canceled, or filled. asset=0"
    )
    assert engine.book("BTC", NOW).bids[0].px == D(99_990)


def test_the_same_client_id_acts_once() -> None:
    engine = liquid()
    intent = buy("100010", "1", Tif.IOC, cloid="0x" + "2" * 32)
    first, second = answer(engine, A, intent), answer(engine, A, intent)
    assert first.kind is AnswerKind.FILLED
    assert second.kind is AnswerKind.ERROR
    assert size_of(engine, A) == 1
    assert answer(engine, B, intent).kind is AnswerKind.FILLED  # ids are per account


def test_a_client_id_of_a_refused_order_may_be_sent_again() -> None:
    engine = liquid()
    cloid = "0x" + "3" * 32
    assert answer(engine, A, buy("99000", "1", Tif.IOC, cloid=cloid)).error is not None
    assert answer(engine, A, buy("100010", "1", Tif.IOC, cloid=cloid)).kind is AnswerKind.FILLED


def test_modify_gives_a_new_id_keeps_the_client_id_and_is_post_only() -> None:
    engine = liquid()
    cloid = "0x" + "4" * 32
    old = answer(engine, A, buy("99000", "1", cloid=cloid))
    placed = engine.modify(A, old.oid or 0, buy("99100", "2"), NOW)
    (new,) = placed.answers
    assert new.kind is AnswerKind.RESTING
    assert new.oid != old.oid
    order = engine.order(A, cloid)
    assert order is not None
    assert (order.oid, order.intent.tif, order.sz) == (new.oid, Tif.ALO, D(2))
    assert [update.status for update in placed.events.updates] == [OrderStatus.CANCELED, OrderStatus.OPEN]


def test_a_refused_modification_leaves_the_old_order() -> None:
    engine = liquid()
    old = answer(engine, A, buy("99000", "1"))
    for intent in (buy("100010", "1"), buy("99000", "1", Tif.IOC), stop(False, "99000", "1"), buy("99000", "100000")):
        (refused,) = engine.modify(A, old.oid or 0, intent, NOW).answers
        assert refused.kind is AnswerKind.ERROR
    assert [order.oid for order in engine.open_orders(A)] == [old.oid]
    (taken,) = engine.modify(A, old.oid or 0, buy("100010", "1", Tif.IOC), NOW, always_place=True).answers
    assert taken.kind is AnswerKind.FILLED
    (gone,) = engine.modify(A, old.oid or 0, buy("99000", "1"), NOW).answers
    assert gone.error == "Cannot modify canceled or filled order asset=0"


def test_a_modified_stop_stays_a_stop_when_always_placed() -> None:
    engine = liquid()
    hold(engine, A, "1")
    old = answer(engine, A, stop(False, "95000", "1"))
    (new,) = engine.modify(A, old.oid or 0, stop(False, "96000", "1"), NOW, always_place=True).answers
    (order,) = engine.open_orders(A)
    assert order.oid == new.oid
    assert order.is_armed


def test_a_scheduled_cancel_takes_every_order_stops_included() -> None:
    engine = liquid()
    hold(engine, A, "1")
    answer(engine, A, buy("99000", "1"))
    answer(engine, A, stop(False, "95000", "1"))
    with pytest.raises(ValueError, match="5000 ms"):
        engine.schedule_cancel(A, NOW + 4_999, NOW)
    engine.schedule_cancel(A, NOW + 5_000, NOW)
    assert engine.advance(NOW + 4_999).updates == ()
    updates = engine.advance(NOW + 5_000).updates
    assert [order.status for order in updates] == [OrderStatus.SCHEDULED_CANCEL] * 2
    engine.schedule_cancel(A, NOW + 9_000, NOW)
    engine.schedule_cancel(A, None, NOW)
    assert engine.advance(NOW + 10_000).updates == ()


def test_both_parties_of_a_trade_share_id_time_and_hash() -> None:
    engine = venue()
    answer(engine, A, sell("100000", "1"))
    events = place(engine, B, buy("100000", "1", Tif.IOC)).events
    (trade,) = events.trades
    taker, maker = events.fills
    assert (taker.user, taker.crossed, maker.user, maker.crossed) == (B, True, A, False)
    assert {(f.tid, f.hash, f.time_ms) for f in events.fills} == {(trade.tid, trade.hash, NOW)}
    assert (trade.buyer, trade.seller, trade.aggressor_is_buyer) == (B, A, True)
    assert 0 < trade.tid < 2**50
    assert len(trade.hash) == 66


def test_the_same_calls_give_the_same_events() -> None:
    engine = liquid()
    answer(engine, A, sell("100005", "1"))
    twin = copy.deepcopy(engine)
    assert place(engine, B, buy("100010", "3", Tif.IOC)) == place(twin, B, buy("100010", "3", Tif.IOC))


def test_orders_that_are_over_are_kept_up_to_the_limit() -> None:
    engine = liquid(retention=3)
    live = answer(engine, A, buy("98000", "1"))
    gone = [answer(engine, A, buy("99000", "1", cloid=f"0x{i:032x}")).oid for i in range(5)]
    for oid in gone:
        engine.cancel(A, "BTC", oid or 0, NOW)
    assert [order.oid for order in engine.recent_orders(A)] == [live.oid, *gone[-3:]]
    assert engine.order(A, gone[0] or 0) is None
    assert engine.order(A, f"0x{0:032x}") is None


def test_an_unlisted_coin_is_an_error() -> None:
    engine = MatchingEngine((AssetSpec("ETH", 4, 25),))
    with pytest.raises(ValueError, match="BTC"):
        place(engine, A, buy("1", "1"))
    assert len(ASSETS) == 2
