"""The paper desk: from a signal to a closed round trip, through restarts, without losing a cent (spec 6, 7)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmapilot_core.domain.events import Book, Direction, Level
from sigmapilot_core.domain.execution.desk import DeskOutput, DeskState, OrderReport, PaperDesk, TripMoved
from sigmapilot_core.domain.execution.paper import Leg, Stage, TripSignal
from sigmapilot_core.domain.params import HOUR_MS
from sigmapilot_core.domain.venue import AssetSpec

NOW = 1_700_000_000_000
CASH = Decimal(100_000)
BTC = AssetSpec("BTC", 5, 40)
ETH = AssetSpec("ETH", 4, 25)
SIGNAL = TripSignal("d-1", "BTC", Direction.LONG, Decimal(100_000), Decimal(2_000), 0.02, NOW)
FEE_BPS = 4.5


def book(mid: int, depth: str = "10", spread: int = 20, coin: str = "BTC") -> Book:
    """One level a side, half the spread away from the mid."""
    half = Decimal(spread) / 2
    return Book(coin, NOW, NOW, (Level(mid - half, Decimal(depth)),), (Level(mid + half, Decimal(depth)),))


def fresh(state: DeskState | None = None) -> PaperDesk:
    return PaperDesk({"BTC": BTC, "ETH": ETH}, FEE_BPS, state or DeskState(CASH))


def entered(signal: TripSignal = SIGNAL) -> PaperDesk:
    """A desk that has just entered 0.02 BTC over a book of 99 990 / 100 010."""
    desk = fresh()
    found = reports(desk.on_signal(signal, book(100_000), NOW))
    assert [(r.leg, r.status) for r in found] == [(Leg.ENTRY, "filled")]
    return desk


def reports(found: Iterable[DeskOutput]) -> list[OrderReport]:
    return [output for output in found if isinstance(output, OrderReport)]


def moved(found: Iterable[DeskOutput]) -> list[TripMoved]:
    return [output for output in found if isinstance(output, TripMoved)]


def moves_to(desk: PaperDesk, mid: int) -> list[DeskOutput]:
    """Book and mark go to a price."""
    return [*desk.on_book(book(mid), NOW + 1), *desk.on_mark("BTC", Decimal(mid), NOW + 1)]


def test_an_entry_is_filled_over_the_book_of_its_decision_and_protected() -> None:
    desk = entered()
    (trip,) = desk.trips
    assert (trip.stage, trip.size, trip.entry_px) == (Stage.OPEN, Decimal("0.02"), Decimal(100_010))
    legs = {order.intent.cloid: order.intent.trigger for order in desk._engine.open_orders("0x" + "5" * 40)}
    # 100 010 x .98 = 98 009.8 and x 1.04 = 104 010.4 at a tick of 1
    assert sorted(trigger.px for trigger in legs.values() if trigger) == [Decimal(98_010), Decimal(104_010)]


@pytest.mark.parametrize(
    ("direction", "mid", "leg", "wins"),
    [
        (Direction.LONG, 98_000, Leg.STOP, False),
        (Direction.LONG, 104_100, Leg.TAKE_PROFIT, True),
        (Direction.SHORT, 102_100, Leg.STOP, False),
        (Direction.SHORT, 95_900, Leg.TAKE_PROFIT, True),
    ],
)
def test_stop_and_take_profit_end_the_trip_and_take_each_other_along(
    direction: Direction, mid: int, leg: Leg, wins: bool
) -> None:
    desk = entered(replace(SIGNAL, direction=direction))
    found = moves_to(desk, mid)
    assert {r.leg: r.status for r in reports(found)}[leg] == "filled"
    (last,) = [out.trip for out in moved(found) if out.is_over]
    assert last.result_r is not None
    assert (last.result_r > 0) is wins
    assert desk.trips == ()
    assert desk._engine.open_orders("0x" + "5" * 40) == []


def test_money_is_conserved_over_a_round_trip() -> None:
    desk = entered()
    found = moves_to(desk, 98_000)
    (trip,) = [out.trip for out in moved(found) if out.is_over]
    # bought at 100 010, sold at 97 990, 0.02 each: -40.40; fees 4.5 bps of 2 000.20 and 1 959.80: 0.90009 + 0.88191
    assert trip.net_pnl_usd == Decimal("-42.182")
    assert desk.snapshot() == DeskState(CASH + trip.net_pnl_usd)
    assert desk.account(NOW).equity_usd == pytest.approx(99_957.818)
    assert sum(r.fee_usd for r in reports(found)) == Decimal("0.88191")


def test_open_profit_is_equity_and_not_cash() -> None:
    desk = entered()
    moves_to(desk, 101_000)
    fee = Decimal("0.02") * 100_010 * Decimal("0.00045")
    assert desk.snapshot().cash_usd == CASH - fee
    # marked at 101 000: (101 000 - 100 010) x .02 = 19.80
    assert desk.account(NOW).equity_usd == pytest.approx(float(CASH - fee) + 19.80)


@pytest.mark.parametrize(
    ("signal", "with_book", "words"),
    [
        (SIGNAL, None, "no book"),
        (SIGNAL, replace(book(100_000), asks=()), "no book"),
        (SIGNAL, replace(book(100_000), bids=book(200_000).bids), "no book"),  # crossed
        (replace(SIGNAL, notional_usd=Decimal(5)), book(100_000), "at least 10"),
        (replace(SIGNAL, notional_usd=Decimal("0.5")), book(100_000), "at least one lot"),
        (replace(SIGNAL, direction=Direction.NONE), book(100_000), "direction is none"),
    ],
    ids=["no book", "one-sided", "crossed", "below the minimum", "below a lot", "no direction"],
)
def test_an_entry_that_cannot_be_made_is_refused_with_a_reason(
    signal: TripSignal, with_book: Book | None, words: str
) -> None:
    desk = fresh()
    (report,) = reports(desk.on_signal(signal, with_book, NOW))
    assert (report.status, report.filled_size, report.leg) == ("rejected", 0, Leg.ENTRY)
    assert words in (report.error or "")
    assert desk.trips == ()
    assert desk.snapshot() == DeskState(CASH)


def test_a_coin_that_is_held_refuses_a_second_entry() -> None:
    desk = entered()
    (report,) = reports(desk.on_signal(replace(SIGNAL, decision_id="d-2"), book(100_000), NOW))
    assert report.error == "a position in the coin is open"
    assert len(desk.trips) == 1


def test_an_entry_that_finds_nothing_within_the_cap_is_abandoned() -> None:
    desk = fresh()
    found = desk.on_signal(replace(SIGNAL, mid=Decimal(99_000)), book(100_000), NOW)  # cap 99 495, ask 100 010
    assert [out.trip.stage for out in moved(found)] == [Stage.ABANDONED]
    assert [(r.status == "filled", r.filled_size) for r in reports(found)] == [(False, 0)]
    assert (desk.trips, desk.snapshot()) == ((), DeskState(CASH))


def test_a_partial_fill_is_protected_for_what_was_bought() -> None:
    desk = fresh()
    desk.on_signal(SIGNAL, book(100_000, depth="0.005"), NOW)
    (trip,) = desk.trips
    assert trip.size == Decimal("0.005")
    found = moves_to(desk, 98_000)
    assert [(r.leg, r.filled_size) for r in reports(found) if r.status == "filled"] == [(Leg.STOP, Decimal("0.005"))]


def test_after_168_hours_the_position_is_left() -> None:
    desk = entered()
    assert desk.on_time(NOW + 168 * HOUR_MS - 1) == []
    found = desk.on_time(NOW + 168 * HOUR_MS)
    assert (Leg.TIMEOUT, "filled") in [(r.leg, r.status) for r in reports(found)]
    assert desk.trips == ()


def test_an_opposite_consensus_leaves_at_once() -> None:
    desk = entered()
    found = desk.on_opposite("BTC", Decimal(100_000), NOW + 1)
    assert (Leg.OPPOSITE, "filled") in [(r.leg, r.status) for r in reports(found)]
    assert desk.trips == ()
    assert desk.on_opposite("BTC", Decimal(100_000), NOW + 1) == []


def test_an_exit_is_repeated_under_new_ids_until_nothing_is_left() -> None:
    desk = entered()
    desk.on_book(book(100_000, depth="0.015"), NOW + 1)
    first = reports(desk.on_opposite("BTC", Decimal(100_000), NOW + 1))
    assert [r.filled_size for r in first if r.leg is Leg.OPPOSITE] == [Decimal("0.015")]
    assert desk.trips[0].size == Decimal("0.005")
    desk.on_book(book(100_000), NOW + 2)
    second = reports(desk.on_time(NOW + 2))
    assert [r.filled_size for r in second if r.leg is Leg.OPPOSITE] == [Decimal("0.005")]
    assert desk.trips == ()
    ids = [r.client_order_id for r in (*first, *second) if r.leg is Leg.OPPOSITE]
    assert len(set(ids)) == 2


def test_without_a_book_an_exit_waits_and_then_happens() -> None:
    desk = entered()
    desk._engine.set_external_book("BTC", (), (), NOW)
    assert desk.on_time(NOW + 169 * HOUR_MS) == []
    desk.on_book(book(100_000), NOW + 169 * HOUR_MS)
    assert desk.on_time(NOW + 169 * HOUR_MS)
    assert desk.trips == ()


def test_a_restart_restores_position_money_and_protection() -> None:
    before = entered()
    moves_to(before, 101_000)
    stored = before.snapshot()
    after = fresh(stored)
    assert after.trips == before.trips
    assert after.account(NOW).equity_usd is None  # not known before the first mark
    assert after.snapshot() == stored
    moves_to(after, 101_000)
    assert after.account(NOW) == before.account(NOW)
    assert after.snapshot() == stored
    ended, alike = moves_to(after, 98_000), moves_to(before, 98_000)
    assert [(r.leg, r.average_px, r.fee_usd) for r in reports(ended)] == [
        (r.leg, r.average_px, r.fee_usd) for r in reports(alike)
    ]
    assert after.snapshot() == before.snapshot()


def test_a_restart_below_the_stop_leaves_at_the_first_mark() -> None:
    after = fresh(entered().snapshot())
    found = moves_to(after, 97_000)
    assert after.trips == ()
    assert any(out.is_over for out in moved(found))


def test_an_opposite_consensus_during_a_restart_is_not_forgotten() -> None:
    after = fresh(entered().snapshot())
    (noted,) = moved(after.on_opposite("BTC", Decimal(100_000), NOW))
    assert (noted.trip.stage, noted.trip.leaving) == (Stage.LEAVING, Leg.OPPOSITE)
    again = fresh(after.snapshot())  # and it outlives the next restart
    moves_to(again, 100_000)
    found = again.on_time(NOW + 1_000)
    assert (Leg.OPPOSITE, "filled") in [(r.leg, r.status) for r in reports(found)]
    assert again.trips == ()


def test_two_positions_come_back_one_after_the_other() -> None:
    desk = entered()
    desk.on_signal(
        replace(SIGNAL, decision_id="d-2", coin="ETH", mid=Decimal(4_000)), book(4_000, spread=2, coin="ETH"), NOW
    )
    stored = desk.snapshot()
    after = fresh(stored)
    moves_to(after, 100_000)
    assert after.account(NOW).equity_usd is None  # one of the two has no mark yet
    assert after.snapshot() == stored
    after.on_book(book(4_000, spread=2, coin="ETH"), NOW)
    assert len(after.account(NOW).positions) == 2
    assert after.snapshot() == stored


def test_books_of_coins_that_are_not_listed_change_nothing() -> None:
    desk = entered()
    before = desk.snapshot()
    assert desk.on_book(book(5, coin="DOGE", spread=2), NOW) == []
    assert desk.snapshot() == before


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(90_000, 112_000), st.booleans(), st.booleans()), max_size=12))
def test_equity_is_what_was_paid_in_plus_the_results_of_all_trips(path: list[tuple[int, bool, bool]]) -> None:
    desk, results = fresh(), Decimal(0)
    for step, (mid, enters, is_long) in enumerate(path):
        found = moves_to(desk, mid)
        if enters:
            side = Direction.LONG if is_long else Direction.SHORT
            signal = replace(SIGNAL, decision_id=f"d-{step}", direction=side, mid=Decimal(mid))
            found += desk.on_signal(signal, book(mid), NOW + step)
        results += result_of(found)
    if desk.trips:
        results += result_of(desk.on_opposite("BTC", Decimal(path[-1][0]), NOW + 99))
    assert desk.trips == ()
    assert desk.snapshot().cash_usd == CASH + results


def result_of(found: Iterable[DeskOutput]) -> Decimal:
    """Net PnL of the trips that closed."""
    closed = [out.trip.net_pnl_usd for out in moved(found) if out.trip.stage is Stage.CLOSED]
    assert None not in closed
    return sum((pnl for pnl in closed if pnl is not None), Decimal(0))
