"""Ticks, lots, wire text and least notional (venue reference 5.2)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.domain.execution.rounding import (
    Towards,
    ZeroSizeError,
    floor_size,
    is_legal_price,
    is_legal_size,
    price_tick,
    round_price,
    size_for_notional,
    wire_text,
    worst_price,
)

D = Decimal


@pytest.mark.parametrize(
    ("px", "legal"), [("0.01234", True), ("0.012345", False), ("1234.5", True), ("1234.56", False)]
)
def test_legal_prices_of_the_reference(px: str, legal: bool) -> None:
    assert is_legal_price(D(px), 1) is legal


def test_integers_are_always_legal() -> None:
    assert is_legal_price(D(123456), 1)
    assert is_legal_price(D("1234567.0"), 5)
    assert not is_legal_price(D("123456.5"), 0)


@pytest.mark.parametrize(
    ("px", "sz_decimals", "expected"),
    [("97123.4", 5, "97123"), ("3456.789", 4, "3456.8"), ("0.1234567", 0, "0.12346"), ("0.00123456", 2, "0.0012"),
     ("99999.5", 5, "100000"), ("9.99996", 0, "10")],
)  # fmt: skip
def test_prices_round_to_the_nearest_tick(px: str, sz_decimals: int, expected: str) -> None:
    assert round_price(D(px), sz_decimals) == D(expected)


def test_a_price_can_be_held_to_one_side() -> None:
    assert round_price(D("100.999"), 1, Towards.DOWN) == D("100.99")
    assert round_price(D("100.991"), 1, Towards.UP) == D("101")


prices = st.decimals("0.0001", "9999999", places=9).filter(lambda px: px >= D("0.001"))


@given(prices, st.integers(0, 4), st.sampled_from(Towards))
def test_rounding_gives_a_legal_price_within_one_tick(px: Decimal, sz_decimals: int, towards: Towards) -> None:
    tick = price_tick(px, sz_decimals)
    if px < tick:
        return
    rounded = round_price(px, sz_decimals, towards)
    assert is_legal_price(rounded, sz_decimals)
    assert abs(rounded - px) < tick or (towards is Towards.NEAREST and abs(rounded - px) <= tick / 2)
    assert round_price(rounded, sz_decimals, towards) == rounded
    if towards is Towards.DOWN:
        assert rounded <= px
    if towards is Towards.UP:
        assert rounded >= px


@given(prices, st.booleans(), st.decimals("0.0001", "0.2", places=4))
def test_the_worst_price_never_exceeds_the_slippage(px: Decimal, is_buy: bool, slippage: Decimal) -> None:
    if px * (1 - slippage) < price_tick(px, 0):
        return
    worst = worst_price(px, is_buy, slippage, 0)
    assert worst <= px * (1 + slippage) if is_buy else worst >= px * (1 - slippage)


@pytest.mark.parametrize("px", ["0", "-1", "NaN", "Infinity"])
def test_bad_prices_are_errors(px: str) -> None:
    with pytest.raises(ValueError, match="px"):
        round_price(D(px), 2)


def test_a_price_is_never_rounded_to_zero() -> None:
    with pytest.raises(ValueError, match="half a tick"):
        round_price(D("0.0000004"), 0)


@given(st.decimals(0, 10_000, places=8), st.integers(0, 5))
def test_sizes_are_floored_to_lots_and_never_to_zero(sz: Decimal, sz_decimals: int) -> None:
    lot = D(1).scaleb(-sz_decimals)
    if sz < lot:
        with pytest.raises(ZeroSizeError, match="lot"):
            floor_size(sz, sz_decimals)
        return
    floored = floor_size(sz, sz_decimals)
    assert is_legal_size(floored, sz_decimals)
    assert 0 <= sz - floored < lot


@pytest.mark.parametrize("sz", ["-1", "NaN", "Infinity"])
def test_bad_sizes_are_errors(sz: str) -> None:
    with pytest.raises(ValueError, match="sz"):
        floor_size(D(sz), 2)


def test_size_of_a_notional_never_exceeds_it() -> None:
    assert size_for_notional(D(2000), D(97123), 5) == D("0.02059")
    with pytest.raises(ZeroSizeError):
        size_for_notional(D("0.5"), D(97123), 5)


@pytest.mark.parametrize(
    ("value", "text"), [("100000", "100000"), ("0.0100", "0.01"), ("1E+5", "100000"), ("0.0", "0")]
)
def test_wire_text_has_no_trailing_zeros_and_no_exponent(value: str, text: str) -> None:
    assert wire_text(D(value)) == text
