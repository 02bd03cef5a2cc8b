"""A round trip from decision to flat, against the engine (spec 6.1, 7)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from venue_builders import ASSETS, NOW, A, D, levels, venue

from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.codec import from_json
from sigmapilot_core.domain.events import Direction
from sigmapilot_core.domain.execution import paper
from sigmapilot_core.domain.execution.matching import MatchingEngine
from sigmapilot_core.domain.execution.orders import AnswerKind, Grouping, OrderStatus, Tif
from sigmapilot_core.domain.execution.paper import Leg, OrderBatch, RoundTrip, Stage, TripSignal
from sigmapilot_core.domain.execution.rounding import ZeroSizeError, is_legal_price, price_tick
from sigmapilot_core.domain.params import HOUR_MS

BTC = ASSETS[0]
SIGNAL = TripSignal("d-1", "BTC", Direction.LONG, D(100_000), D(2_000), 0.02, NOW)


def quoted(bid: str, ask: str, size: str = "10") -> MatchingEngine:
    return venue(bids=levels((bid, size)), asks=levels((ask, size)))


def send(engine: MatchingEngine, trip: RoundTrip, batch: OrderBatch) -> RoundTrip:
    """Place a batch and feed its fills back."""
    for fill in engine.place(A, batch.intents, NOW, batch.grouping).events.fills:
        trip = paper.on_fill(trip, fill)
    return trip


def entered(engine: MatchingEngine, signal: TripSignal = SIGNAL) -> RoundTrip:
    """A trip that has bought and is protected."""
    trip = send(engine, *paper.start(signal, BTC))
    trip, batch = paper.on_entry_done(trip, BTC)
    placed = engine.place(A, batch.intents, NOW, batch.grouping)
    assert [a.kind for a in placed.answers] == [AnswerKind.WAITING_FOR_TRIGGER] * 2
    return trip


def test_entry_is_an_ioc_within_the_slippage_cap_in_whole_lots() -> None:
    trip, batch = paper.start(SIGNAL, BTC)
    (order,) = batch.orders
    assert (order.leg, order.intent.tif, order.intent.is_buy) == (Leg.ENTRY, Tif.IOC, True)
    assert (order.intent.px, order.intent.sz) == (D(100_500), D("0.02"))
    assert trip.timeout_at_ms == NOW + 168 * HOUR_MS
    assert paper.start(SIGNAL, BTC) == (trip, batch)
    _, short = paper.start(replace(SIGNAL, direction=Direction.SHORT), BTC)
    assert (short.intents[0].px, short.intents[0].is_buy) == (D(99_500), False)


def test_protection_is_stop_and_twice_the_risk_from_the_average_entry() -> None:
    trip = send(quoted("99990", "100010"), *paper.start(SIGNAL, BTC))
    trip, batch = paper.on_entry_done(trip, BTC)
    assert (trip.stage, trip.entry_px, trip.size) == (Stage.OPEN, D(100_010), D("0.02"))
    stop, target = batch.orders
    assert batch.grouping is Grouping.POSITION_TPSL
    # 100 010 x .98 = 98 009.8 and x 1.04 = 104 010.4, at a tick of 1
    assert (stop.leg, stop.intent.trigger and stop.intent.trigger.px) == (Leg.STOP, D(98_010))
    assert (target.leg, target.intent.trigger and target.intent.trigger.px) == (Leg.TAKE_PROFIT, D(104_010))
    assert all(order.intent.reduce_only and not order.intent.is_buy for order in batch.orders)


@pytest.mark.parametrize(
    ("direction", "mark", "quote", "sign"),
    [
        (Direction.LONG, "98000", "98000", -1),
        (Direction.LONG, "104100", "104100", 1),
        (Direction.SHORT, "102100", "102100", -1),
        (Direction.SHORT, "95900", "95900", 1),
    ],
    ids=["long stopped", "long target", "short stopped", "short target"],
)
def test_a_trip_ends_at_its_stop_or_target(direction: Direction, mark: str, quote: str, sign: int) -> None:
    engine = quoted("99990", "100010")
    trip = entered(engine, replace(SIGNAL, direction=direction))
    bid, ask = D(quote) - 10, D(quote) + 10
    engine.set_external_book("BTC", levels((str(bid), "5")), levels((str(ask), "5")), NOW + 1)
    for fill in engine.set_mark("BTC", D(mark), NOW + 2).fills:
        trip = paper.on_fill(trip, fill)
    assert trip.stage is Stage.CLOSED
    assert engine.open_orders(A) == []
    assert trip.net_pnl_usd == engine.equity(A) - D(1_000_000)
    assert trip.result_r is not None
    assert trip.result_r * sign > 0
    assert abs(trip.result_r - (2 if sign > 0 else -1)) < 0.15  # costs and the distance to the quote


def test_after_168_hours_the_position_is_closed_and_the_stops_go_with_it() -> None:
    engine = quoted("99990", "100010")
    trip = entered(engine)
    assert paper.on_time(trip, trip.timeout_at_ms - 1, D(100_000), BTC) == (trip, paper.NOTHING)
    trip, batch = paper.on_time(trip, trip.timeout_at_ms, D(100_000), BTC)
    assert [order.leg for order in batch.orders] == [Leg.TIMEOUT]
    trip = send(engine, trip, batch)
    assert trip.stage is Stage.CLOSED
    assert {order.status for order in engine.recent_orders(A)[1:3]} == {OrderStatus.REDUCE_ONLY_CANCELED}


def test_a_forced_exit_is_repeated_under_new_client_ids_until_flat() -> None:
    engine = quoted("99990", "100010")
    trip, first = paper.on_opposite(entered(engine), D(100_000), BTC)
    engine.set_external_book("BTC", (), (), NOW)
    trip = send(engine, trip, first)
    assert trip.stage is Stage.LEAVING
    engine.set_external_book("BTC", levels(("99000", "0.015")), (), NOW)
    trip, second = paper.on_time(trip, NOW, D(99_000), BTC)
    trip = send(engine, trip, second)
    assert (trip.stage, trip.size) == (Stage.LEAVING, D("0.005"))
    engine.set_external_book("BTC", levels(("99000", "1")), (), NOW)
    trip, third = paper.on_time(trip, NOW, D(99_000), BTC)
    trip = send(engine, trip, third)
    assert trip.stage is Stage.CLOSED
    cloids = {batch.intents[0].cloid for batch in (first, second, third)}
    assert len(cloids) == 3
    assert {batch.orders[0].leg for batch in (first, second, third)} == {Leg.OPPOSITE}


def test_an_entry_that_bought_nothing_is_abandoned() -> None:
    trip = send(quoted("99990", "100600"), *paper.start(SIGNAL, BTC))
    trip, batch = paper.on_entry_done(trip, BTC)
    assert (trip.stage, batch) == (Stage.ABANDONED, paper.NOTHING)
    assert paper.on_time(trip, NOW + 10**12, D(1), BTC)[1] == paper.NOTHING
    assert paper.on_opposite(trip, D(1), BTC)[1] == paper.NOTHING


def test_a_partial_entry_is_protected_for_what_was_bought() -> None:
    engine = quoted("99990", "100010", "0.005")
    trip = entered(engine)
    assert trip.size == D("0.005")
    assert {order.sz for order in engine.open_orders(A)} == {D("0.005")}


def test_a_position_whose_stop_is_refused_is_left_at_once() -> None:
    engine = quoted("99990", "100010")
    trip = send(engine, *paper.start(SIGNAL, BTC))
    engine.set_mark("BTC", D(97_000), NOW)
    trip, batch = paper.on_entry_done(trip, BTC)
    answers = engine.place(A, batch.intents, NOW, batch.grouping).answers
    assert answers[0].error == "Invalid TP/SL price. asset=0"
    trip, leave = paper.on_protection_refused(trip, Leg.STOP, D(97_000), BTC)
    assert leave.intents[0].cloid != batch.intents[0].cloid
    assert send(engine, trip, leave).stage is Stage.CLOSED


def test_funding_counts_into_the_result_and_unknown_fees_make_it_unknown() -> None:
    trip = entered(quoted("99990", "100010"))
    paid = paper.on_funding(trip, D("-4"), 3_600_000)
    assert trip.result_r is not None
    assert paid.result_r == pytest.approx(trip.result_r - 4 / (0.02 * 100_010 * 0.02))
    engine = quoted("99990", "100010")
    other, batch = paper.start(SIGNAL, BTC)
    (fill,) = engine.place(A, batch.intents, NOW).events.fills
    assert paper.on_fill(other, replace(fill, fee=None)).result_r is None
    with pytest.raises(ValueError, match="DOGE"):
        paper.on_fill(other, replace(fill, coin="DOGE"))


def test_a_trip_survives_a_restart() -> None:
    trip = entered(quoted("99990", "100010"))
    restored = from_json(RoundTrip, canonical_json(trip))
    assert restored == trip
    assert paper.protection(restored, BTC) == paper.protection(trip, BTC)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"notional_usd": D("0.5")}, ZeroSizeError),
        ({"notional_usd": D("10.04"), "mid": D(9_999)}, ValueError),  # 0.001 lots, 9.95 USD at the worst price
        ({"direction": Direction.NONE}, ValueError),
        ({"stop_fraction": 0.0}, ValueError),
        ({"stop_fraction": float("nan")}, ValueError),
        ({"mid": D("NaN")}, ValueError),
    ],
)
def test_a_signal_that_cannot_be_traded_is_an_error(changes: dict[str, object], error: type[ValueError]) -> None:
    signal = replace(SIGNAL, **{"direction": Direction.SHORT} | changes)  # type: ignore[arg-type]
    with pytest.raises(error):
        paper.start(signal, BTC)


@given(
    mid=st.decimals("0.01", "200000", places=4),
    notional=st.decimals("11", "100000", places=2),
    stop=st.floats(0.001, 0.15),
    direction=st.sampled_from([Direction.LONG, Direction.SHORT]),
    sz_decimals=st.integers(0, 5),
)
def test_every_order_of_a_trip_is_legal(
    mid: D, notional: D, stop: float, direction: Direction, sz_decimals: int
) -> None:
    if price_tick(mid, sz_decimals) * 100 > mid:
        return  # too coarse a tick for a stop of a tenth of a percent to have a price at all
    asset = replace(BTC, sz_decimals=sz_decimals)
    signal = replace(SIGNAL, mid=mid, notional_usd=notional, stop_fraction=stop, direction=direction)
    try:
        trip, batch = paper.start(signal, asset)
    except ValueError:
        return
    (entry,) = batch.intents
    assert is_legal_price(entry.px, sz_decimals)
    assert entry.sz * mid <= notional
    trip = replace(trip, size=entry.sz * direction.sign, entry_sz=entry.sz, entry_notional=entry.sz * mid)
    for order in paper.protection(trip, asset).intents:
        assert order.trigger is not None
        assert is_legal_price(order.px, sz_decimals)
        assert is_legal_price(order.trigger.px, sz_decimals)
