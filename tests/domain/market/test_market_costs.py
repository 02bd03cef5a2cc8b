"""Costs of a round trip (spec 3)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.domain.events import Book, Direction, Level
from sigmapilot_core.domain.market.costs import (
    CostBreakdown,
    MarketQuote,
    SlippageSource,
    expected_hold_hours,
    round_trip_cost,
    walk_slippage_bps,
)
from sigmapilot_core.domain.params import CostParams

PARAMS = CostParams()
NOW = 1_700_000_000_000


def levels(*pairs: tuple[str, str]) -> tuple[Level, ...]:
    return tuple(Level(Decimal(px), Decimal(sz)) for px, sz in pairs)


BOOK = Book("BTC", NOW, NOW, levels(("99.9", "10"), ("99.8", "100")), levels(("100.1", "10"), ("100.2", "100")))


def cost(direction: Direction = Direction.LONG, notional: float = 500.0, **changes: Any) -> CostBreakdown:
    quote = MarketQuote("BTC", BOOK, True, 0.0)
    hours = changes.pop("hold_hours", 24.0)
    now = changes.pop("now_ms", NOW)
    fee = changes.pop("taker_fee_bps", None)
    quote = replace(quote, **changes)
    return round_trip_cost(quote, direction, notional, hours, now, PARAMS, max_book_age_s=5.0, taker_fee_bps=fee)


def test_inside_the_first_level_slippage_is_the_half_spread_once() -> None:
    assert walk_slippage_bps(BOOK.asks, 100.0, 500.0) == pytest.approx(10.0)  # 0.1/100


def test_the_walk_averages_over_levels_by_base_size() -> None:
    # 1001 USD at 100.1 (10 units) and 501 USD at 100.2 (5 units): 1502/15 = 100.1333
    assert walk_slippage_bps(BOOK.asks, 100.0, 1502.0) == pytest.approx((1502 / 15 - 100) / 100 * 10_000)


def test_parts_add_up() -> None:
    breakdown = cost(funding_rate_hourly=0.0000125)
    # fees 2 x 4.5, half spread in and out, 24 h x 0.125 bps
    assert breakdown.total_bps == pytest.approx(9 + 20 + 3)
    assert (breakdown.fees_bps, breakdown.slippage_bps, breakdown.funding_bps) == pytest.approx((9, 20, 3))


def test_a_short_receives_a_positive_rate_and_the_credit_is_not_counted() -> None:
    breakdown = cost(Direction.SHORT, funding_rate_hourly=0.0000125)
    assert breakdown.total_bps == pytest.approx(29)
    assert (breakdown.funding_bps, breakdown.funding_credit_bps) == pytest.approx((0.0, 3.0))


def test_the_accounts_own_rate_replaces_the_base_tier() -> None:
    assert cost(taker_fee_bps=2.4).fees_bps == pytest.approx(4.8)


@pytest.mark.parametrize(
    "changes",
    [
        {"book": None},
        {"now_ms": NOW + 5_001},
        {"now_ms": NOW - 1},
        {"book": replace(BOOK, asks=())},
        {"book": replace(BOOK, asks=levels(("99.9", "1")))},
        {"book": replace(BOOK, bids=levels(("99.9", "1")))},
        {"funding_rate_hourly": None},
        {"funding_rate_hourly": float("nan")},
    ],
    ids=["no book", "stale", "from the future", "one-sided", "crossed", "thin exit", "no funding", "funding NaN"],
)
def test_what_is_not_known_makes_the_total_unknown_and_says_why(changes: dict[str, Any]) -> None:
    breakdown = cost(**changes)
    assert breakdown.total_bps is None
    assert breakdown.reason


def test_static_figures_only_without_a_subscription() -> None:
    static = cost(is_book_subscribed=False, book=None)
    assert static.slippage_source is SlippageSource.STATIC
    assert static.total_bps == pytest.approx(9 + 4)
    assert cost(is_book_subscribed=False, book=None, coin="DOGE").total_bps == pytest.approx(9 + 10)
    assert cost(is_book_subscribed=True, book=None).total_bps is None


def test_hold_is_the_median_of_ten_or_more_episodes() -> None:
    assert expected_hold_hours([1, 2, 3, 4, 5, 6, 7, 8, 9, 100], PARAMS).hours == 5.5
    nine = expected_hold_hours([1.0] * 9, PARAMS)
    assert (nine.hours, nine.source, nine.episodes) == (24.0, "default", 9)
    with pytest.raises(ValueError, match="hold hours"):
        expected_hold_hours([float("nan")] * 10, PARAMS)


def test_bad_numbers_are_errors() -> None:
    with pytest.raises(ValueError, match="notional_usd"):
        cost(notional=0.0)
    with pytest.raises(ValueError, match="direction"):
        cost(Direction.NONE)


@given(st.floats(1, 900), st.floats(0, 100))
def test_a_larger_notional_never_slips_less(notional: float, more: float) -> None:
    small, large = walk_slippage_bps(BOOK.asks, 100.0, notional), walk_slippage_bps(BOOK.asks, 100.0, notional + more)
    assert small is not None
    assert large is not None
    assert large >= small - 1e-9


@given(st.floats(0.001, 50), st.floats(10, 5000))
def test_mirrored_books_cost_the_same_for_long_and_short(half: float, notional: float) -> None:
    bids = levels((str(100 - half), "70"))
    asks = levels((str(100 + half), "70"))
    mirrored = replace(BOOK, bids=bids, asks=asks)
    long, short = cost(Direction.LONG, notional, book=mirrored), cost(Direction.SHORT, notional, book=mirrored)
    assert long.slippage_in_bps == short.slippage_out_bps
    assert (long.total_bps is None) == (short.total_bps is None)
    if long.total_bps is not None:
        assert long.total_bps == pytest.approx(short.total_bps)
