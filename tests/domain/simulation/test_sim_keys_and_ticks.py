"""Randomness that belongs to acts, and the venue's number grid in integers."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from scipy import stats

from sigmapilot_core.domain.execution.fees import FeeRates, fee_usd
from sigmapilot_core.domain.execution.rounding import Towards, is_legal_price, round_price
from sigmapilot_core.domain.simulation import keys, ticks
from sigmapilot_core.domain.simulation.keys import Draw


def test_a_key_is_the_same_alone_and_among_others() -> None:
    many = keys.mix(7, np.arange(1000), 3)
    assert [int(keys.mix(7, i, 3)[0]) for i in range(1000)] == many.tolist()


def test_units_are_uniform_and_purposes_independent() -> None:
    key = keys.mix(1, np.arange(20_000))
    a, b = keys.unit(key, Draw.NOTICE), keys.unit(key, Draw.DELAY)
    assert stats.kstest(a, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.03  # 4 standard errors of 1/sqrt(20 000)


def test_normals_are_normal() -> None:
    assert stats.kstest(keys.normal(keys.mix(2, np.arange(20_000)), Draw.HOLD), "norm").pvalue > 0.001


def test_streams_of_other_purposes_differ_and_the_same_repeat() -> None:
    first = keys.stream(1, "market", 3).random(4)
    assert (first == keys.stream(1, "market", 3).random(4)).all()
    for other in (keys.stream(1, "market", 4), keys.stream(1, "news", 3), keys.stream(2, "market", 3)):
        assert (first != other.random(4)).all()


@pytest.mark.parametrize("sz_decimals", range(6))
def test_grid_is_the_one_of_the_matching_engine(sz_decimals: int) -> None:
    rng = np.random.default_rng(sz_decimals)
    unit = Decimal(1).scaleb(sz_decimals - 6)
    for px in np.exp(rng.uniform(np.log(0.01), np.log(200_000), size=200)).tolist():
        units = px * 10 ** (6 - sz_decimals)
        exact = Decimal(units) * unit
        for ours, towards in ((ticks.below, Towards.DOWN), (ticks.above, Towards.UP), (ticks.nearest, Towards.NEAREST)):
            found = int(ours(units, sz_decimals))
            if found:
                assert ticks.px_decimal(found, sz_decimals) == round_price(exact, sz_decimals, towards)
                assert is_legal_price(ticks.px_decimal(found, sz_decimals), sz_decimals)


def test_price_times_size_is_exactly_micro_usd() -> None:
    px, lots = 923_450, 1_234_567  # 92 345.0 USD and 12.34567 at szDecimals 5
    exact = ticks.px_decimal(px, 5) * ticks.sz_decimal(lots, 5)
    assert ticks.usd_decimal(px * lots) == exact == Decimal("1140060.89615")  # 92 345 x 12.34567


@pytest.mark.parametrize("rate_ppm", [450, 150, 0, -20])
def test_fees_are_those_of_the_matching_engine(rate_ppm: int) -> None:
    rates = FeeRates(Decimal(rate_ppm).scaleb(-6), Decimal(0))
    for notional in (1, 2, 10_000, 1_111, 33_333, 123_456_789_012, 5_555_555_555):
        ours = ticks.usd_decimal(int(ticks.fee_micro(notional, rate_ppm)))
        assert ours == fee_usd(ticks.usd_decimal(notional), Decimal(1), rates, is_taker=True)
