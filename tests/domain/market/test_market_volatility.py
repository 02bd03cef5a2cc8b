"""ATR, its rank, the chain of sources and the stop (spec 5.1, 5.2)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from bar_builders import START_MS, bar, walk
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmapilot_core.domain.market.atr import (
    mid_rank_percentile,
    stop_fraction,
    true_range,
    wilder_atr,
    wilder_atr_series,
)
from sigmapilot_core.domain.market.volatility import (
    VolatilitySource,
    estimate_volatility,
    realised_volatility,
    stop_fraction_series,
)
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, VolatilityParams

PARAMS = VolatilityParams()


def columns(bars: list) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(np.array([getattr(b, name) for b in bars]) for name in ("high", "low", "close"))  # type: ignore[return-value]


def plain_atr(bars: list, period: int = 14, seed_bars: int = 252) -> float:
    """The definition, bar by bar: only the last 252 bars, mean of the first 14 ranges, then Wilder."""
    window = bars[-seed_bars:]
    ranges = [true_range(b.high, b.low, None if i == 0 else window[i - 1].close) for i, b in enumerate(window)]
    value = sum(ranges[:period]) / period
    for tr in ranges[period:]:
        value = (13 * value + tr) / 14
    return value


def test_true_range_reaches_to_the_previous_close() -> None:
    assert true_range(110, 100, 95) == 15  # |H - C1|
    assert true_range(110, 100, 115) == 15  # |L - C1|
    assert true_range(110, 100, 105) == 10
    assert true_range(110, 100, None) == 10


def test_atr_of_steady_bars_is_their_range() -> None:
    steps = [bar(i, 102 + i, 99 + i, 101 + i) for i in range(20)]  # H-L = 3, |H-C1| = 2, |L-C1| = 1
    assert wilder_atr(*columns(steps), PARAMS) == pytest.approx(3.0, abs=1e-12)


def test_fewer_than_fifteen_bars_are_unknown() -> None:
    assert wilder_atr(*columns(walk(14)), PARAMS) is None
    assert wilder_atr(*columns(walk(15)), PARAMS) is not None


def test_fifteenth_bar_by_hand() -> None:
    # 14 bars of range 2, then one of range 16: (13*2 + 16)/14 = 3
    bars = [bar(i, 101, 99, 100) for i in range(14)] + [bar(14, 108, 92, 100)]
    assert wilder_atr(*columns(bars), PARAMS) == pytest.approx(3.0, abs=1e-12)


@pytest.mark.parametrize("n", [15, 100, 251, 252, 253, 400, 700])
def test_every_value_of_the_series_is_seeded_252_bars_back(n: int) -> None:
    bars = walk(n)
    series = wilder_atr_series(*columns(bars), 14, 252)
    assert np.isnan(series[:14]).all()
    for end in range(15, n + 1, 37):
        assert series[end - 1] == plain_atr(bars[:end])  # same operations in the same order: same float64


def test_history_beyond_the_seed_does_not_matter() -> None:
    bars = walk(600)
    assert wilder_atr(*columns(bars), PARAMS) == wilder_atr(*columns(bars[-252:]), PARAMS)


def test_percentile_is_the_mid_rank() -> None:
    values = [float(i) for i in range(20)]
    assert mid_rank_percentile(values) == pytest.approx(100 * 19.5 / 20)
    assert mid_rank_percentile([1.0] * 30) == 50.0
    assert mid_rank_percentile([*values[1:], 0.0]) == pytest.approx(2.5)


def test_percentile_of_few_values_is_unknown_not_fifty() -> None:
    assert mid_rank_percentile([1.0] * 19) is None
    assert mid_rank_percentile([float("nan")] * 5 + [1.0] * 19) is None
    assert mid_rank_percentile([1.0] * 30 + [float("nan")]) is None


def test_stop_is_atr_over_price_times_the_multiplier_within_its_limits() -> None:
    assert stop_fraction(1500 / 100_000, 2.0, PARAMS) == pytest.approx(0.03)
    assert stop_fraction(0.00025, 2.0, PARAMS) == 0.001
    assert stop_fraction(0.25, 2.0, PARAMS) == 0.10
    with pytest.raises(ValueError, match="atr_fraction"):
        stop_fraction(float("nan"), 2.0, PARAMS)


@pytest.mark.parametrize(("coin", "multiplier"), [("BTC", 2.0), ("ETH", 1.5), ("SOL", 2.0)])
def test_estimate_uses_atr_and_the_coins_multiplier(coin: str, multiplier: float) -> None:
    bars = walk(600, coin=coin)
    estimate = estimate_volatility(coin, bars, bars[-1].close_ms, PARAMS)
    assert estimate.source is VolatilitySource.ATR
    assert estimate.atr == plain_atr(bars)
    assert estimate.atr_fraction == plain_atr(bars) / bars[-1].close
    assert estimate.stop_fraction == pytest.approx(estimate.atr_fraction * multiplier)
    assert estimate.bar_close_ms == bars[-1].close_ms
    ranks = [plain_atr(bars[:end]) / bars[end - 1].close for end in range(349, 601)]
    below = sum(value < ranks[-1] for value in ranks)
    assert estimate.percentile == pytest.approx(100 * (below + 0.5) / 252)


def test_atr_older_than_two_bars_gives_way_to_realised_volatility() -> None:
    bars = walk(300)
    fresh = estimate_volatility("BTC", bars, bars[-1].close_ms + 2 * HOUR_MS, PARAMS)
    stale = estimate_volatility("BTC", bars, bars[-1].close_ms + 2 * HOUR_MS + 1, PARAMS)
    assert fresh.source is VolatilitySource.ATR
    assert stale.source is VolatilitySource.REALISED_VOL
    assert (stale.atr, stale.percentile) == (None, None)


def test_a_hole_ends_what_atr_knows() -> None:
    bars = walk(300, missing=[289])
    estimate = estimate_volatility("BTC", bars, bars[-1].close_ms, PARAMS)
    assert estimate.source is VolatilitySource.REALISED_VOL  # ten bars after the hole, fourteen before within 24 h


def test_realised_volatility_by_hand() -> None:
    # twelve bars alternating 100 and 101: eleven squared returns of ln(1.01)^2
    bars = [bar(i, 101, 100, 100.0 + i % 2) for i in range(12)]
    value = realised_volatility(bars, bars[-1].close_ms, PARAMS)
    assert value == pytest.approx(math.log(1.01), rel=1e-12)
    assert realised_volatility(bars[:11], bars[10].close_ms, PARAMS) is None


def test_realised_volatility_forgets_after_a_day() -> None:
    bars = walk(30)
    assert realised_volatility(bars, bars[-1].close_ms + 13 * HOUR_MS - 1, PARAMS) is not None
    assert realised_volatility(bars, bars[-1].close_ms + 13 * HOUR_MS, PARAMS) is None


def test_without_bars_the_fallback_is_named() -> None:
    estimate = estimate_volatility("BTC", [], START_MS, PARAMS)
    assert estimate.source is VolatilitySource.FALLBACK
    assert estimate.stop_fraction == pytest.approx(0.02)  # 1.0 % stands for ATR/price, times 2.0
    assert (estimate.atr, estimate.price, estimate.percentile, estimate.bar_close_ms) == (None, None, None, None)


def test_bars_still_open_are_not_used() -> None:
    bars = walk(40)
    now_ms = bars[30].close_ms
    assert estimate_volatility("BTC", bars, now_ms, PARAMS) == estimate_volatility("BTC", bars[:31], now_ms, PARAMS)


def test_bars_of_another_coin_or_timeframe_are_refused() -> None:
    with pytest.raises(ValueError, match="ETH"):
        estimate_volatility("ETH", walk(20), START_MS + DAY_MS, PARAMS)
    with pytest.raises(ValueError, match="BTC"):
        estimate_volatility("BTC", walk(20), START_MS + DAY_MS, replace(PARAMS, timeframe="15m"))


@given(
    missing=st.sets(st.integers(1, 339), max_size=30),
    stretch=st.integers(0, 330),
    length=st.integers(0, 40),
    seed=st.integers(0, 5),
)
@settings(max_examples=25, deadline=None)
def test_series_equals_the_estimate_at_every_hour(missing: set[int], stretch: int, length: int, seed: int) -> None:
    gone = missing | set(range(max(1, stretch), stretch + length))
    bars = walk(345, seed=seed, missing=sorted(gone))
    series = stop_fraction_series("BTC", bars, PARAMS)
    for index in range(0, series.times_ms.size, 23):
        time_ms = int(series.times_ms[index])
        estimate = estimate_volatility("BTC", bars, time_ms, PARAMS)
        at = series.at(time_ms + 59 * 60_000)
        assert at is not None
        assert at[1] is estimate.source
        assert at[0] == pytest.approx(estimate.stop_fraction, rel=1e-12)


def test_series_is_silent_outside_its_bars() -> None:
    bars = walk(30)
    series = stop_fraction_series("BTC", bars, PARAMS)
    assert series.at(bars[0].close_ms - 1) is None
    assert series.at(bars[-1].close_ms + HOUR_MS - 1) is not None
    assert series.at(bars[-1].close_ms + HOUR_MS) is None
    assert stop_fraction_series("BTC", [], PARAMS).at(START_MS) is None
