"""Take-profits, stops and groups (venue reference 5.3)."""

from __future__ import annotations

from venue_builders import NOW, A, B, D, answer, buy, hold, levels, liquid, place, sell, size_of, stop, venue

from sigmapilot_core.domain.execution.matching import MatchingEngine
from sigmapilot_core.domain.execution.orders import AnswerKind, Grouping, OrderStatus, Tif, TpSl


def status_of(engine: MatchingEngine, oid: int | None) -> OrderStatus:
    order = engine.order(A, oid or 0)
    assert order is not None
    return order.status


def test_a_stop_waits_for_the_mark_and_then_sells_at_market() -> None:
    engine = liquid()
    hold(engine, A, "1")
    got = answer(engine, A, stop(False, "95000", "1"))
    assert got.kind is AnswerKind.RESTING
    assert engine.set_mark("BTC", D(95_001), NOW + 1).fills == ()
    events = engine.set_mark("BTC", D(95_000), NOW + 2)
    (fill,) = events.fills
    assert (fill.user, fill.px, fill.sz, fill.crossed, fill.dir) == (A, D(99_990), D(1), True, "Close Long")
    assert [order.status for order in events.updates] == [OrderStatus.TRIGGERED, OrderStatus.FILLED]


def test_a_short_is_stopped_when_the_mark_rises() -> None:
    engine = liquid()
    hold(engine, A, "-1")
    answer(engine, A, stop(True, "105000", "1"))
    assert len(engine.set_mark("BTC", D(105_000), NOW).fills) == 1
    assert size_of(engine, A) == 0


def test_a_market_trigger_sells_at_most_ten_percent_below_the_mark() -> None:
    engine = venue(bids=levels(("85499", "5"), ("85500", "0.4")))
    hold(engine, A, "1")
    got = answer(engine, A, stop(False, "95000", "1"))
    events = engine.set_mark("BTC", D(95_000), NOW)  # limit 85 500
    assert [fill.sz for fill in events.fills] == [D("0.4")]
    assert status_of(engine, got.oid) is OrderStatus.CANCELED
    assert size_of(engine, A) == D("0.6")


def test_a_market_trigger_without_liquidity_is_rejected() -> None:
    engine = venue()
    hold(engine, A, "1")
    got = answer(engine, A, stop(False, "95000", "1"))
    engine.set_mark("BTC", D(94_000), NOW)
    assert status_of(engine, got.oid) is OrderStatus.MARKET_ORDER_NO_LIQUIDITY_REJECTED


def test_a_limit_trigger_rests_at_its_limit() -> None:
    engine = venue(bids=levels(("94000", "5")))
    hold(engine, A, "1")
    answer(engine, A, stop(False, "95000", "1", limit="94500"))
    engine.set_mark("BTC", D(95_000), NOW)
    (order,) = engine.open_orders(A)
    assert order.is_resting
    assert engine.book("BTC", NOW).asks[0].px == D(94_500)
    engine.set_external_book("BTC", levels(("94600", "1")), (), NOW)
    assert size_of(engine, A) == 0


def test_position_stops_stand_for_whatever_the_position_is() -> None:
    engine = liquid()
    hold(engine, A, "1")
    answers = place(
        engine, A, stop(False, "95000", "0"), stop(False, "110000", "1", TpSl.TP), grouping=Grouping.POSITION_TPSL
    ).answers
    assert [a.kind for a in answers] == [AnswerKind.WAITING_FOR_TRIGGER] * 2
    answer(engine, A, buy("100010", "2", Tif.IOC))
    engine.set_mark("BTC", D(95_000), NOW)
    assert size_of(engine, A) == 0
    assert status_of(engine, answers[1].oid) is OrderStatus.SIBLING_FILLED_CANCELED


def test_a_position_stop_with_a_size_of_its_own_stays_at_it() -> None:
    engine = liquid()
    hold(engine, A, "3")
    place(engine, A, stop(False, "95000", "1"), grouping=Grouping.POSITION_TPSL)
    engine.set_mark("BTC", D(95_000), NOW)
    assert size_of(engine, A) == 2


def test_stops_end_when_the_position_is_closed_otherwise() -> None:
    engine = liquid()
    hold(engine, A, "1")
    answers = place(
        engine, A, stop(False, "95000", "0"), stop(False, "110000", "0", TpSl.TP), grouping=Grouping.POSITION_TPSL
    ).answers
    answer(engine, A, sell("99990", "1", Tif.IOC, reduce_only=True))
    assert {status_of(engine, a.oid) for a in answers} == {OrderStatus.REDUCE_ONLY_CANCELED}
    assert engine.set_mark("BTC", D(90_000), NOW).updates == ()


def test_stops_of_the_old_side_end_when_the_position_turns() -> None:
    engine = liquid()
    hold(engine, A, "1")
    got = answer(engine, A, stop(False, "95000", "1"))
    answer(engine, A, sell("99990", "3", Tif.IOC))
    assert size_of(engine, A) == -2
    assert status_of(engine, got.oid) is OrderStatus.REDUCE_ONLY_CANCELED


def test_children_wait_for_the_parents_complete_fill() -> None:
    engine = venue()
    answers = place(
        engine, A, buy("99000", "2"), stop(False, "95000", "2"), stop(False, "110000", "2", TpSl.TP),
        grouping=Grouping.NORMAL_TPSL,
    ).answers  # fmt: skip
    assert [a.kind for a in answers] == [
        AnswerKind.RESTING,
        AnswerKind.WAITING_FOR_FILL,
        AnswerKind.WAITING_FOR_FILL,
    ]
    place(engine, B, sell("99000", "1", Tif.IOC))
    engine.set_mark("BTC", D(94_000), NOW)
    assert size_of(engine, A) == 1  # half filled: the stop does not watch yet
    engine.set_mark("BTC", D(99_000), NOW)
    place(engine, B, sell("99000", "1", Tif.IOC))
    assert [order.is_armed for order in engine.open_orders(A)] == [True, True]
    engine.set_external_book("BTC", levels(("94000", "9")), (), NOW)
    engine.set_mark("BTC", D(95_000), NOW)
    assert size_of(engine, A) == 0
    assert status_of(engine, answers[2].oid) is OrderStatus.SIBLING_FILLED_CANCELED


def test_children_of_a_parent_that_filled_at_once_wait_for_the_mark() -> None:
    engine = liquid()
    answers = place(
        engine, A, buy("100010", "2", Tif.IOC), stop(False, "95000", "2"), grouping=Grouping.NORMAL_TPSL
    ).answers
    assert [a.kind for a in answers] == [AnswerKind.FILLED, AnswerKind.WAITING_FOR_TRIGGER]


def test_children_are_held_against_the_limit_of_a_resting_parent() -> None:
    engine = venue()
    answers = place(
        engine, A, buy("90000", "1"), stop(False, "95000", "1", TpSl.TP), stop(False, "91000", "1"),
        grouping=Grouping.NORMAL_TPSL,
    ).answers  # fmt: skip
    assert answers[1].kind is AnswerKind.WAITING_FOR_FILL  # above 90 000 though below the mark
    assert answers[2].error == "Invalid TP/SL price. asset=0"


def test_cancelling_a_partly_filled_parent_cancels_the_children() -> None:
    engine = venue()
    parent, child = place(
        engine, A, buy("99000", "2"), stop(False, "95000", "2"), grouping=Grouping.NORMAL_TPSL
    ).answers
    place(engine, B, sell("99000", "1", Tif.IOC))
    engine.cancel(A, "BTC", parent.oid or 0, NOW)
    assert status_of(engine, child.oid) is OrderStatus.CANCELED


def test_a_parent_cancelled_for_margin_after_a_partial_fill_arms_the_children() -> None:
    engine = venue(money="11000")
    parent, child = place(
        engine, A, buy("99000", "2"), stop(False, "95000", "2"), grouping=Grouping.NORMAL_TPSL
    ).answers
    place(engine, B, sell("99000", "1", Tif.IOC))
    engine.deposit(A, D(-5000))
    place(engine, B, sell("99000", "0.5", Tif.IOC))
    assert status_of(engine, parent.oid) is OrderStatus.MARGIN_CANCELED
    order = engine.order(A, child.oid or 0)
    assert order is not None
    assert (order.is_armed, order.sz) == (True, D(1))  # for what was bought


def test_children_of_a_refused_parent_are_never_placed() -> None:
    engine = liquid()
    answers = place(
        engine, A, buy("99000", "1", Tif.IOC), stop(False, "95000", "1"), grouping=Grouping.NORMAL_TPSL
    ).answers
    assert [a.kind for a in answers] == [AnswerKind.ERROR] * 2
    assert engine.open_orders(A) == []


def test_a_partly_filled_immediate_parent_has_no_children() -> None:
    engine = liquid()
    answers = place(
        engine, A, buy("100010", "12", Tif.IOC), stop(False, "95000", "12"), grouping=Grouping.NORMAL_TPSL
    ).answers
    assert answers[0].kind is AnswerKind.FILLED
    assert engine.open_orders(A) == []


def test_of_two_triggers_the_older_fires_first() -> None:
    engine = venue(bids=levels(("94900", "1"), ("94800", "1")))
    hold(engine, A, "1")
    hold(engine, B, "1")
    place(engine, B, stop(False, "95000", "1"))
    place(engine, A, stop(False, "95000", "1"))
    fills = engine.set_mark("BTC", D(95_000), NOW).fills
    assert [(fill.user, fill.px) for fill in fills] == [(B, D(94_900)), (A, D(94_800))]
