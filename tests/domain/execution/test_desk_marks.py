"""Which price fires a paper stop: the venue's mark, and the mid only until there is one."""

from __future__ import annotations

from decimal import Decimal

from sigmapilot_core.domain.events import Book, Direction, Level
from sigmapilot_core.domain.execution.desk import DeskState, OrderReport, PaperDesk
from sigmapilot_core.domain.execution.paper import Leg, TripSignal
from sigmapilot_core.domain.venue import AssetSpec

SIGNAL = TripSignal("d1", "BTC", Direction.LONG, Decimal(100), Decimal(1000), 0.01, 1_000)


def book(mid: str, at_ms: int) -> Book:
    """One deep level a side, 0.1 away from the mid."""
    px = Decimal(mid)
    return Book(
        "BTC", at_ms, at_ms, (Level(px - Decimal("0.1"), Decimal(1000)),), (Level(px + Decimal("0.1"), Decimal(1000)),)
    )


def entered() -> PaperDesk:
    """A long of 1000 USD at 100.1 with its stop 1 % below: 99.1 after rounding to the tick."""
    desk = PaperDesk({"BTC": AssetSpec("BTC", 2, 40)}, 4.5, DeskState(Decimal(100_000)))
    desk.on_signal(SIGNAL, book("100", 1_000), 1_000)
    assert desk.trips[0].size > 0
    return desk


def legs(outputs: list[object]) -> list[Leg]:
    return [output.leg for output in outputs if isinstance(output, OrderReport)]


def test_a_spike_of_the_book_alone_fires_no_stop_once_the_venue_has_marked() -> None:
    desk = entered()
    assert legs(desk.on_mark("BTC", Decimal(100), 2_000)) == []
    assert legs(desk.on_book(book("98", 3_000), 3_000)) == []
    assert desk.trips


def test_the_venues_mark_fires_the_stop_over_the_book_of_that_moment() -> None:
    desk = entered()
    desk.on_mark("BTC", Decimal(100), 2_000)
    desk.on_book(book("98", 3_000), 3_000)
    assert Leg.STOP in legs(desk.on_mark("BTC", Decimal(98), 3_000))
    assert desk.trips == ()


def test_without_a_mark_of_the_venue_the_mid_stands_in() -> None:
    desk = entered()
    assert Leg.STOP in legs(desk.on_book(book("98", 3_000), 3_000))
