"""Market regime of an asset and what it changes (spec 5.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from sigmapilot_core.domain.events import Bar
from sigmapilot_core.domain.frozen import Remembering, quick
from sigmapilot_core.domain.market.atr import true_ranges
from sigmapilot_core.domain.market.bars import check_series, closed_bars, contiguous_tail, timeframe_ms
from sigmapilot_core.domain.params import RegimeParams

_SHORT_RANGE_BARS = 14
_MAX_AGE_BARS = 2


class Regime(StrEnum):
    """How the market moves; UNKNOWN without enough fresh bars."""

    TRENDING = "trending"
    RANGING = "ranging"
    VOLATILE = "volatile"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RegimeEffects:
    """What a regime does: factor on the stop, factor on Kelly, addition to the confidence that is asked for."""

    stop_factor: float
    kelly_factor: float
    confidence_addition: float


EFFECTS: Mapping[Regime, RegimeEffects] = MappingProxyType(
    {
        Regime.TRENDING: RegimeEffects(1.2, 1.0, 0.0),
        Regime.RANGING: RegimeEffects(0.8, 0.75, 0.05),
        Regime.VOLATILE: RegimeEffects(1.5, 0.5, 0.10),
        Regime.UNKNOWN: RegimeEffects(1.0, 0.5, 0.05),
    }
)


@quick
@dataclass(frozen=True, slots=True)
class RegimeEstimate(Remembering):
    """Regime of a coin at one instant.

    `ma_spread` is (MA20-MA50)/MA50, `volatility_ratio` the mean true range of 14 bars over that of 50; both None when
    unknown, with the `reason`. `confidence` is the distance to the nearest boundary, see `regime_confidence`.
    """

    coin: str
    regime: Regime
    confidence: float
    ma_spread: float | None
    volatility_ratio: float | None
    bars_used: int
    bar_close_ms: int | None
    computed_at_ms: int
    reason: str | None = None

    @property
    def effects(self) -> RegimeEffects:
        """The row of the effects table."""
        return EFFECTS[self.regime]


def estimate_regime(coin: str, bars: Sequence[Bar], now_ms: int, params: RegimeParams) -> RegimeEstimate:
    """Regime from the last 60 unbroken bars that had closed by `now_ms` (spec 5.3).

    UNKNOWN with fewer than 50, with a last bar older than two bars, or when no price moved at all.
    Errors: ValueError for bad bars, or bars of another coin or timeframe.
    """
    length = timeframe_ms(params.timeframe)
    check_series(bars)
    if bars and (bars[0].coin != coin or bars[0].close_ms - bars[0].open_ms != length):
        raise ValueError(f"bars are of {bars[0].coin} with {bars[0].close_ms - bars[0].open_ms} ms; allowed is {coin} "
                         f"with {length} ms.")  # fmt: skip
    closed = closed_bars(bars, now_ms)
    run = contiguous_tail(closed)[-params.bars :]
    close_ms = closed[-1].close_ms if closed else None

    def unknown(reason: str) -> RegimeEstimate:
        return RegimeEstimate(coin, Regime.UNKNOWN, 0.0, None, None, len(run), close_ms, now_ms, reason)

    if len(run) < params.min_bars or close_ms is None:
        return unknown(f"{len(run)} unbroken bars, {params.min_bars} are needed")
    if now_ms - close_ms > _MAX_AGE_BARS * length:
        return unknown(f"last bar closed {(now_ms - close_ms) / 1000:.0f} s ago, {_MAX_AGE_BARS} bars are allowed")
    spread, ratio = regime_signals(run, params)
    if ratio is None:
        return unknown("the price did not move in the last bars")
    regime = classify(spread, ratio, params)
    confidence = regime_confidence(spread, ratio, params)
    return RegimeEstimate(coin, regime, confidence, spread, ratio, len(run), close_ms, now_ms)


def regime_signals(run: Sequence[Bar], params: RegimeParams) -> tuple[float, float | None]:
    """(s, v): s=(MA20-MA50)/MA50 of closes, v = mean TR of 14 / mean TR of 50, None when the latter is 0."""
    high, low, close = (np.array([getattr(bar, name) for bar in run]) for name in ("high", "low", "close"))
    long_average = float(np.mean(close[-params.ma_long :]))
    spread = (float(np.mean(close[-params.ma_short :])) - long_average) / long_average
    ranges = true_ranges(high, low, close)
    base = float(np.mean(ranges[-params.ma_long :]))
    return spread, float(np.mean(ranges[-_SHORT_RANGE_BARS:])) / base if base > 0 else None


def classify(spread: float, ratio: float, params: RegimeParams) -> Regime:
    """VOLATILE if v > 1.5; else TRENDING if |s| > 0.02; else RANGING. A value on a boundary is below it."""
    if ratio > params.volatility_high_mult:
        return Regime.VOLATILE
    return Regime.TRENDING if abs(spread) > params.trend_threshold else Regime.RANGING


def regime_confidence(spread: float, ratio: float, params: RegimeParams) -> float:
    """Distance to the nearest boundary of the verdict, in [0, 1]: 0 on the boundary.

    With x = v/1.5 and y = |s|/0.02: VOLATILE 1 - 1/x; TRENDING min(1 - 1/y, 1 - x); RANGING min(1 - y, 1 - x).
    """
    x = ratio / params.volatility_high_mult
    y = abs(spread) / params.trend_threshold
    if x > 1:
        return 1 - 1 / x
    return min(1 - 1 / y if y > 1 else 1 - y, 1 - x)


def stop_in_regime(stop_fraction: float, regime: Regime) -> float:
    """The stop of a trade: the clamped stop fraction x the regime's factor (spec 5.3); it is not clamped again."""
    return stop_fraction * EFFECTS[regime].stop_factor
