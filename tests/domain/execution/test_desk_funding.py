"""Funding of paper positions: every full hour once, at the venue's rate, with its sign, through restarts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from test_desk import CASH, NOW, SIGNAL, book, entered, fresh, moves_to

from sigmapilot_core.domain.events import Direction
from sigmapilot_core.domain.execution.desk import FundingPaid, PaperDesk
from sigmapilot_core.domain.params import HOUR_MS

HOUR = NOW // HOUR_MS * HOUR_MS + HOUR_MS
RATE = 0.0001


def held(direction: Direction = Direction.LONG) -> PaperDesk:
    """0.02 BTC held, the oracle at 100 000."""
    desk = entered(replace(SIGNAL, direction=direction))
    desk.on_mark("BTC", Decimal(100_000), NOW + 1, Decimal(100_000))
    return desk


def paid(desk: PaperDesk, rate: float, at_ms: int) -> list[FundingPaid]:
    return [output for output in desk.on_funding_rate("BTC", rate, at_ms) if isinstance(output, FundingPaid)]


@pytest.mark.parametrize(
    ("direction", "rate", "usd"),
    [
        (Direction.LONG, RATE, "-0.2"),  # a long pays a positive rate: 0.02 x 100 000 x 0.0001
        (Direction.SHORT, RATE, "0.2"),
        (Direction.LONG, -RATE, "0.2"),
        (Direction.SHORT, -RATE, "-0.2"),
    ],
)
def test_one_hour_has_the_venues_sign_and_moves_cash_and_result(direction: Direction, rate: float, usd: str) -> None:
    desk = held(direction)
    cash, (trip,) = desk.snapshot().cash_usd, desk.trips
    assert paid(desk, rate, HOUR - 1) == []
    (one,) = paid(desk, rate, HOUR)
    assert (one.usd, one.hour_ms, one.is_estimated) == (Decimal(usd), HOUR, False)
    assert desk.snapshot().cash_usd - cash == Decimal(usd)
    (after,) = desk.trips
    assert after.funding_usd == Decimal(usd)
    assert (after.net_pnl_usd or 0) - (trip.net_pnl_usd or 0) == Decimal(usd)
    assert after.result_r is not None
    assert trip.result_r is not None
    # risk: 0.02 x the entry x 2 %
    assert after.result_r - trip.result_r == pytest.approx(float(usd) / (float(trip.entry_notional) * 0.02))


def test_an_hour_is_settled_once_also_after_a_restart() -> None:
    desk = held()
    assert len(paid(desk, RATE, HOUR)) == 1
    assert paid(desk, RATE, HOUR + 1) == []
    again = fresh(desk.snapshot())
    assert paid(again, RATE, HOUR + 2) == [], "the position is not restored before its first mark"
    moves_to(again, 100_000)
    assert paid(again, RATE, HOUR + 3) == []
    assert [one.hour_ms for one in paid(again, RATE, HOUR + HOUR_MS)] == [HOUR + HOUR_MS]


def test_the_rate_of_an_hour_is_the_one_heard_before_its_end() -> None:
    desk = held()
    paid(desk, RATE, HOUR - 500)
    (one,) = paid(desk, 9 * RATE, HOUR + 400)
    assert one.rate_hourly == RATE


def test_hours_that_were_missed_are_settled_and_marked() -> None:
    desk = held()
    paid(desk, RATE, NOW + 5)
    found = paid(desk, 2 * RATE, HOUR + 2 * HOUR_MS + 60_000)
    assert [one.hour_ms for one in found] == [HOUR, HOUR + HOUR_MS, HOUR + 2 * HOUR_MS]
    assert [one.is_estimated for one in found] == [True, True, False]
    assert {one.rate_hourly for one in found} == {2 * RATE}


def test_who_left_before_the_hour_pays_nothing_and_no_cent_is_lost() -> None:
    desk = held()
    paid(desk, RATE, HOUR)
    (trip,) = desk.trips
    closed = [output.trip for output in desk.on_mark("BTC", Decimal(98_000), HOUR + 1) if hasattr(output, "trip")]
    closed += [output.trip for output in desk.on_book(book(98_000), HOUR + 2) if hasattr(output, "trip")]
    assert desk.trips == ()
    assert paid(desk, RATE, HOUR + HOUR_MS) == []
    assert closed[-1].funding_usd == trip.funding_usd == Decimal("-0.2")
    assert desk.snapshot().cash_usd == CASH + (closed[-1].net_pnl_usd or 0)


def test_a_trip_of_a_version_that_settled_nothing_begins_with_the_next_hour() -> None:
    desk = held()
    state = desk.snapshot()
    again = fresh(replace(state, trips=tuple(replace(trip, funded_until_ms=None) for trip in state.trips)))
    moves_to(again, 100_000)
    assert paid(again, RATE, HOUR + 5) == []
    assert len(paid(again, RATE, HOUR + HOUR_MS)) == 1
