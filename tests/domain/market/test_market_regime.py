"""Regime, its confidence and its effects (spec 5.3)."""

from __future__ import annotations

import pytest
from bar_builders import bar, walk
from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.domain.events import Bar
from sigmapilot_core.domain.market.regime import (
    EFFECTS,
    Regime,
    RegimeEffects,
    classify,
    estimate_regime,
    regime_confidence,
    stop_in_regime,
)
from sigmapilot_core.domain.params import HOUR_MS, RegimeParams

PARAMS = RegimeParams()


def flat(n: int) -> list[Bar]:
    return [bar(i, 100.5, 99.5, 100) for i in range(n)]


def regime_of(bars: list[Bar]) -> Regime:
    return estimate_regime("BTC", bars, bars[-1].close_ms, PARAMS).regime


def test_quiet_bars_are_ranging() -> None:
    estimate = estimate_regime("BTC", flat(60), flat(60)[-1].close_ms, PARAMS)
    assert (estimate.regime, estimate.ma_spread, estimate.volatility_ratio) == (Regime.RANGING, 0.0, 1.0)
    assert estimate.confidence == pytest.approx(1 / 3)  # v = 1 is a third of the way from 1.5 to 0


def test_a_steady_rise_and_a_steady_fall_are_trending() -> None:
    for sign in (1, -1):
        rise = [bar(i, 100 + sign * i * 0.3 + 0.5, 100 + sign * i * 0.3 - 0.5, 100 + sign * i * 0.3) for i in range(60)]
        assert regime_of(rise) is Regime.TRENDING


def test_ranges_that_grew_are_volatile_even_in_a_trend() -> None:
    grown = flat(46) + [bar(i, 104, 96, 100) for i in range(46, 60)]
    # mean of 14: 8; mean of 50: (36*1 + 14*8)/50 = 2.96; v = 2.703
    estimate = estimate_regime("BTC", grown, grown[-1].close_ms, PARAMS)
    assert estimate.regime is Regime.VOLATILE
    assert estimate.volatility_ratio == pytest.approx(8 / 2.96)
    assert estimate.confidence == pytest.approx(1 - 1.5 * 2.96 / 8)


def test_boundaries_belong_to_the_calmer_side() -> None:
    assert classify(0.02, 1.5, PARAMS) is Regime.RANGING
    assert classify(0.0200001, 1.5, PARAMS) is Regime.TRENDING
    assert classify(0.5, 1.5000001, PARAMS) is Regime.VOLATILE


def test_fewer_than_fifty_bars_stale_bars_and_dead_prices_are_unknown() -> None:
    assert regime_of(flat(49)) is Regime.UNKNOWN
    assert regime_of(flat(50)) is Regime.RANGING
    assert regime_of(walk(60, missing=[40])) is Regime.UNKNOWN
    late = estimate_regime("BTC", flat(60), flat(60)[-1].close_ms + 2 * HOUR_MS + 1, PARAMS)
    assert (late.regime, late.confidence) == (Regime.UNKNOWN, 0.0)
    assert late.reason is not None
    dead = [bar(i, 100, 100, 100) for i in range(60)]
    assert regime_of(dead) is Regime.UNKNOWN


@given(st.floats(-0.2, 0.2), st.floats(0, 6))
def test_confidence_lies_in_the_unit_interval_and_vanishes_at_the_boundary(spread: float, ratio: float) -> None:
    assert 0 <= regime_confidence(spread, ratio, PARAMS) <= 1
    assert regime_confidence(spread, 1.5, PARAMS) == 0
    assert regime_confidence(0.02, min(ratio, 1.5), PARAMS) == 0


@given(st.floats(1.5, 6), st.floats(0, 3))
def test_further_from_the_boundary_is_never_less_certain(ratio: float, more: float) -> None:
    assert regime_confidence(0.0, ratio + more, PARAMS) >= regime_confidence(0.0, ratio, PARAMS)


def test_effects_are_those_of_the_specification() -> None:
    assert {
        Regime.TRENDING: RegimeEffects(1.2, 1.0, 0.0),
        Regime.RANGING: RegimeEffects(0.8, 0.75, 0.05),
        Regime.VOLATILE: RegimeEffects(1.5, 0.5, 0.10),
        Regime.UNKNOWN: RegimeEffects(1.0, 0.5, 0.05),
    } == EFFECTS
    assert stop_in_regime(0.01, Regime.VOLATILE) == pytest.approx(0.015)
