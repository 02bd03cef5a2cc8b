"""Kelly's fraction and the share of equity it asks for (spec 6.1)."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.domain.market.regime import Regime
from sigmapilot_core.domain.params import KellyParams, RiskParams
from sigmapilot_core.domain.risk.kelly import KellySize, SizeMethod, kelly_fraction, payoff_ratio, position_share

ON = KellyParams(enabled=True)


def share(kelly: KellyParams = ON, **changes: Any) -> KellySize:
    numbers: dict[str, Any] = {
        "p_win": 0.6, "win_r": 1.0, "loss_r": 1.0, "net_ev_r": 0.2, "stop_fraction": 0.02,
        "regime": Regime.TRENDING, "evidence_episodes": 30,
    }  # fmt: skip
    return position_share(**(numbers | changes), kelly=kelly, risk=RiskParams())


@pytest.mark.parametrize(("p", "b", "expected"), [(0.6, 1, 0.2), (0.55, 1.5, 0.25), (0.4, 3, 0.2), (0.5, 1, 0.0)])
def test_fraction_of_the_specification(p: float, b: float, expected: float) -> None:
    assert kelly_fraction(p, b) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("p", "b"),
    [(-0.1, 1), (1.1, 1), (math.nan, 1), (0.6, 0), (0.6, -1), (0.6, math.inf), (0.6, math.nan), (0.45, 1)],
)
def test_bad_numbers_and_losing_bets_risk_nothing(p: float, b: float) -> None:
    assert kelly_fraction(p, b) == 0


def test_a_loss_of_zero_makes_the_ratio_infinite_and_the_size_zero() -> None:
    assert kelly_fraction(0.6, payoff_ratio(1.0, 0.0)) == 0


@given(st.floats(0, 1), st.floats(0.01, 50))
def test_fraction_never_exceeds_the_probability(p: float, b: float) -> None:
    assert 0 <= kelly_fraction(p, b) <= p


def test_quarter_kelly_over_the_stop() -> None:
    # f* = .2, a quarter of it .05, over a stop of .02: 2.5 times equity before caps
    size = share()
    assert (size.method, size.full_fraction, size.risk_fraction) == (
        SizeMethod.KELLY,
        pytest.approx(0.2),
        pytest.approx(0.05),
    )
    assert size.position_fraction == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("regime", "factor"),
    [(Regime.TRENDING, 1.0), (Regime.RANGING, 0.75), (Regime.VOLATILE, 0.5), (Regime.UNKNOWN, 0.5)],
)
def test_regime_scales_kelly(regime: Regime, factor: float) -> None:
    assert share(regime=regime).risk_fraction == pytest.approx(0.05 * factor)


@pytest.mark.parametrize("episodes", [None, 0, 29])
def test_little_evidence_uses_the_fallback_as_a_risk_fraction(episodes: int | None) -> None:
    size = share(evidence_episodes=episodes)
    assert (size.method, size.risk_fraction, size.position_fraction) == (SizeMethod.FALLBACK, 0.01, 0.5)
    assert size.full_fraction is None


@pytest.mark.parametrize("kelly", [ON, KellyParams(enabled=False)], ids=["on", "off"])
@given(ev=st.floats(-1e9, -1e-12), episodes=st.integers(0, 100))
def test_negative_ev_is_size_zero_always(kelly: KellyParams, ev: float, episodes: int) -> None:
    size = share(kelly, net_ev_r=ev, evidence_episodes=episodes)
    assert size.position_fraction == 0


@pytest.mark.parametrize("kelly", [ON, KellyParams(enabled=False)], ids=["on", "off"])
@pytest.mark.parametrize("ev", [None, math.nan, math.inf])
def test_unknown_ev_is_no_size(kelly: KellyParams, ev: float | None) -> None:
    assert share(kelly, net_ev_r=ev).position_fraction is None


@pytest.mark.parametrize("changes", [{"stop_fraction": None}, {"stop_fraction": 0.0}, {"p_win": None}, {"win_r": None}])
def test_kelly_without_its_numbers_is_unknown(changes: dict[str, Any]) -> None:
    assert share(**changes).method is SizeMethod.UNKNOWN


def test_off_means_two_percent_of_equity() -> None:
    size = share(KellyParams(enabled=False), stop_fraction=None)
    assert (size.method, size.position_fraction) == (SizeMethod.FIXED, 0.02)
