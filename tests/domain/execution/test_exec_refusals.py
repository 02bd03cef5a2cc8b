"""Everything the venue refuses, word for word (venue reference 5.2, 5.5)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from venue_builders import NOW, A, B, D, answer, buy, hold, levels, liquid, place, sell, size_of, stop, venue

from sigmapilot_core.domain.execution.matching import MatchingEngine
from sigmapilot_core.domain.execution.orders import AnswerKind, Grouping, OrderIntent, OrderStatus, Tif, TpSl
from sigmapilot_core.domain.venue import AssetSpec


@pytest.mark.parametrize(
    ("intent", "text", "status"),
    [
        (buy("99000.5", "1"), "Price must be divisible by tick size. asset=0", OrderStatus.TICK_REJECTED),
        (buy("NaN", "1"), "Order has invalid price. asset=0", OrderStatus.REJECTED),
        (buy("-5", "1"), "Order has invalid price. asset=0", OrderStatus.REJECTED),
        (buy("99000", "0.000001"), "Order has invalid size. asset=0", OrderStatus.REJECTED),
        (buy("99000", "NaN"), "Order has invalid size. asset=0", OrderStatus.REJECTED),
        (buy("99000", "-1"), "Order has invalid size. asset=0", OrderStatus.REJECTED),
        (buy("99000", "0"), "Order has zero size. asset=0", OrderStatus.REJECTED),
        (buy("99000", "0.0001"), "Order must have minimum value of $10. asset=0", OrderStatus.MIN_TRADE_NTL_REJECTED),
        (buy("99000", "10000"), "Insufficient margin to place order. asset=0", OrderStatus.PERP_MARGIN_REJECTED),
        (
            buy("99000", "1", reduce_only=True),
            "Reduce only order would increase position. asset=0",
            OrderStatus.REDUCE_ONLY_REJECTED,
        ),
        (
            buy("99000", "0", Tif.IOC, reduce_only=True),
            "Reduce only order would increase position. asset=0",
            OrderStatus.REDUCE_ONLY_REJECTED,
        ),
    ],
)
def test_one_order_is_refused_in_the_venues_words(intent: OrderIntent, text: str, status: OrderStatus) -> None:
    engine = liquid()
    got = answer(engine, A, intent)
    assert (got.kind, got.error) == (AnswerKind.ERROR, text)
    order = engine.order(A, got.oid or 0)
    assert order is not None
    assert order.status is status
    assert engine.open_orders(A) == []


def test_exactly_ten_dollars_pass() -> None:
    assert answer(liquid(), A, buy("80000", "0.00013")).kind is AnswerKind.RESTING  # 10.40
    assert answer(liquid(), A, replace(buy("0.5", "20"), coin="DOGE")).kind is AnswerKind.RESTING  # 10.00


def test_one_bad_order_does_not_harm_the_others() -> None:
    kinds = [a.kind for a in place(liquid(), A, buy("99000", "0"), buy("99000", "1")).answers]
    assert kinds == [AnswerKind.ERROR, AnswerKind.RESTING]


@pytest.mark.parametrize(
    ("intents", "text"),
    [
        ((), "Empty order batch."),
        (
            (buy("99000", "1"), buy("19999", "1")),
            "Order price cannot be more than 80% away from the reference price",
        ),
        (
            (buy("99000", "1"), sell("180001", "1")),
            "Order price cannot be more than 80% away from the reference price",
        ),
        ((buy("99000", "1"), stop(False, "95000", "1", reduce_only=False)), "TP/SL orders must be reduce only."),
    ],
)
def test_a_deterministic_fault_refuses_the_whole_batch_with_one_error(
    intents: tuple[OrderIntent, ...], text: str
) -> None:
    engine = liquid()
    (only,) = place(engine, A, *intents).answers
    assert only.error == text
    assert engine.open_orders(A) == []


def test_without_prevalidation_each_order_gets_its_own_answer() -> None:
    engine = liquid(prevalidates=False)
    answers = place(engine, A, buy("99000", "1"), buy("19999", "1")).answers
    assert [a.kind for a in answers] == [AnswerKind.RESTING, AnswerKind.ERROR]
    assert answers[1].error == "Order price cannot be more than 80% away from the reference price asset=0"


def test_without_a_mark_nothing_is_accepted() -> None:
    engine = MatchingEngine((AssetSpec("BTC", 5, 40),))
    engine.deposit(A, D(1000))
    assert answer(engine, A, buy("99000", "0.01")).error is not None


@pytest.mark.parametrize(
    ("is_buy", "px", "tpsl"),
    [(False, "100001", TpSl.SL), (False, "99999", TpSl.TP), (True, "99999", TpSl.SL), (True, "100001", TpSl.TP)],
)
def test_a_trigger_on_the_wrong_side_is_invalid(is_buy: bool, px: str, tpsl: TpSl) -> None:
    engine = liquid()
    hold(engine, A, "-1" if is_buy else "1")
    assert answer(engine, A, stop(is_buy, px, "1", tpsl)).error == "Invalid TP/SL price. asset=0"


def test_entry_triggers_can_be_allowed() -> None:
    engine = liquid(allows_entry_triggers=True)
    assert answer(engine, A, stop(True, "101000", "1", reduce_only=False)).kind is AnswerKind.RESTING
    engine.set_mark("BTC", D(101_000), NOW)
    assert size_of(engine, A) == 1


def test_a_reduce_only_order_is_shrunk_and_keeps_its_original_size() -> None:
    engine = liquid()
    hold(engine, A, "1")
    got = answer(engine, A, sell("100500", "3", reduce_only=True))
    (order,) = engine.open_orders(A)
    assert (order.oid, order.sz, order.orig_sz) == (got.oid, D(1), D(3))


def test_a_resting_reduce_only_order_follows_the_position_down_and_ends_with_it() -> None:
    engine = liquid()
    hold(engine, A, "1")
    got = answer(engine, A, sell("100500", "1", reduce_only=True))
    answer(engine, A, sell("99990", "0.4", Tif.IOC))
    (order,) = engine.open_orders(A)
    assert order.sz == D("0.6")
    assert engine.book("BTC", NOW).asks[-1].sz == D("0.6")
    answer(engine, A, sell("99990", "0.6", Tif.IOC))
    over = engine.order(A, got.oid or 0)
    assert over is not None
    assert over.status is OrderStatus.REDUCE_ONLY_CANCELED
    assert engine.book("BTC", NOW).asks[-1].px == D(100_100)


def test_several_reduce_only_orders_never_turn_the_position() -> None:
    engine = liquid()
    hold(engine, A, "1")
    for _ in range(3):
        answer(engine, A, sell("100500", "1", reduce_only=True))
    engine.set_external_book("BTC", levels(("100600", "10")), (), NOW)
    assert size_of(engine, A) == 0
    assert engine.open_orders(A) == []


def test_closing_the_whole_position_is_exempt_from_the_minimum() -> None:
    engine = liquid()
    hold(engine, A, "0.00005")  # 5 USD
    part = answer(engine, A, sell("99990", "0.00002", Tif.IOC, reduce_only=True))
    assert part.error == "Order must have minimum value of $10. asset=0"
    assert answer(engine, A, sell("99990", "0.00005", Tif.IOC, reduce_only=True)).kind is AnswerKind.FILLED


def test_size_zero_reduce_only_closes_the_whole_position_when_switched_on() -> None:
    engine = liquid()
    hold(engine, A, "2.5")
    got = answer(engine, A, sell("99990", "0", Tif.IOC, reduce_only=True))
    assert got.total_sz == D("2.5")
    off = liquid(zero_size_closes=False)
    hold(off, A, "2.5")
    assert answer(off, A, sell("99990", "0", Tif.IOC, reduce_only=True)).error == "Order has zero size. asset=0"
    assert answer(engine, A, sell("99990", "0", reduce_only=True)).error == "Order has zero size. asset=0"


def test_a_reduction_needs_no_margin() -> None:
    engine = venue(money="5000")
    hold(engine, A, "1")
    engine.set_external_book("BTC", levels(("99990", "5")), (), NOW)
    assert answer(engine, A, buy("99000", "1")).error == "Insufficient margin to place order. asset=0"
    assert answer(engine, A, sell("99990", "1", Tif.IOC)).kind is AnswerKind.FILLED


def test_resting_orders_hold_margin_back() -> None:
    engine = venue(money="6000")
    # 20x on 100 000: 4 950 for the first bid leaves too little for a second one
    assert answer(engine, A, buy("99000", "1")).kind is AnswerKind.RESTING
    assert answer(engine, A, buy("99000", "1")).error == "Insufficient margin to place order. asset=0"


def test_a_resting_order_without_margin_is_cancelled_when_it_would_trade() -> None:
    engine = liquid(money="6000")
    got = answer(engine, A, buy("99000", "1"))
    engine.deposit(A, D(-3000))
    place(engine, B, sell("99990", "0.01", Tif.IOC))
    engine.set_external_book("BTC", (), levels(("98900", "1")), NOW)
    order = engine.order(A, got.oid or 0)
    assert order is not None
    assert order.status is OrderStatus.MARGIN_CANCELED
    assert size_of(engine, A) == 0


def test_grouped_orders_must_be_triggers() -> None:
    engine = liquid()
    hold(engine, A, "1")
    (only,) = place(engine, A, sell("101000", "1"), grouping=Grouping.POSITION_TPSL).answers
    assert only.error == "Invalid TP/SL price."
