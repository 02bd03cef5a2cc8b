"""Volatility of an asset and the stop that follows from it, now and at every hour of the past (spec 5.1, 5.2).

The chain of sources is `atr` -> `realised_vol` -> `fallback`; what was used is always named. ATR is taken over the
unbroken run of bars that ends at the last closed bar: a hole ends what is known, it is never bridged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.events import Bar
from sigmapilot_core.domain.frozen import Remembering, quick
from sigmapilot_core.domain.market.atr import mid_rank_percentile, stop_fraction, wilder_atr_series
from sigmapilot_core.domain.market.bars import check_series, closed_bars, contiguous_runs, contiguous_tail, timeframe_ms
from sigmapilot_core.domain.params import HOUR_MS, VolatilityParams

PERCENTILE_BARS = 252
"""Bars whose ATR/price the percentile ranks (spec 5.1)."""


class VolatilitySource(StrEnum):
    """Where a volatility comes from, in order of trust."""

    ATR = "atr"
    REALISED_VOL = "realised_vol"
    FALLBACK = "fallback"


_SOURCES = (VolatilitySource.ATR, VolatilitySource.REALISED_VOL, VolatilitySource.FALLBACK)


@quick
@dataclass(frozen=True, slots=True)
class VolatilityEstimate(Remembering):
    """Volatility of a coin at one instant.

    `atr` is in quote units and None unless the source is `atr`; `price` is the last close. `atr_fraction` is what the
    multiplier was applied to: ATR/price, the hourly realised volatility, or the fallback. `stop_fraction` is without
    the regime factor. `percentile` (0 to 100) ranks ATR/price. `bar_close_ms` is the close of the last closed bar.
    """

    coin: str
    atr: float | None
    price: float | None
    atr_fraction: float
    stop_fraction: float
    percentile: float | None
    source: VolatilitySource
    bar_close_ms: int | None
    computed_at_ms: int


@dataclass(frozen=True, slots=True)
class StopSeries:
    """Stop fraction in force at each bar close of the past, with its source; arrays of one length, ascending."""

    coin: str
    timeframe_ms: int
    times_ms: NDArray[np.int64]
    stop_fractions: NDArray[np.float64]
    source_codes: NDArray[np.int8]

    def at(self, time_ms: int) -> tuple[float, VolatilitySource] | None:
        """(stop fraction, source) in force at an instant; None before the first and a bar after the last hour."""
        index = int(np.searchsorted(self.times_ms, time_ms, side="right")) - 1
        if index < 0 or time_ms - int(self.times_ms[index]) >= self.timeframe_ms:
            return None
        return float(self.stop_fractions[index]), _SOURCES[int(self.source_codes[index])]


def estimate_volatility(coin: str, bars: Sequence[Bar], now_ms: int, params: VolatilityParams) -> VolatilityEstimate:
    """Volatility from the bars of `params.timeframe` that had closed by `now_ms`.

    `atr` if the last closed bar is at most two bars old and ends a run of at least 15; else `realised_vol`; else
    `fallback`, whose percentage stands for ATR/price and is multiplied like it. 503 bars give the full percentile.
    Errors: ValueError for bad bars or bars of another coin or timeframe.
    """
    length = timeframe_ms(params.timeframe)
    _check_input(coin, bars, length)
    closed = closed_bars(bars, now_ms)
    last = closed[-1] if closed else None
    tail = contiguous_tail(closed)[-(params.seed_bars + PERCENTILE_BARS - 1) :]
    atr = _atr_of_run(tail, params) if last is not None and now_ms - last.close_ms <= 2 * length else np.array([np.nan])
    atr_now = float(atr[-1]) if math.isfinite(atr[-1]) else None
    percentile = None
    if atr_now is not None and last is not None:
        source, fraction = VolatilitySource.ATR, atr_now / last.close
        closes = np.array([bar.close for bar in tail])
        percentile = mid_rank_percentile((atr / closes)[-PERCENTILE_BARS:])
    elif (realised := realised_volatility(closed, now_ms, params)) is not None:
        source, fraction = VolatilitySource.REALISED_VOL, realised
    else:
        source, fraction = VolatilitySource.FALLBACK, params.fallback_pct / 100
    return VolatilityEstimate(
        coin=coin,
        atr=atr_now,
        price=last.close if last else None,
        atr_fraction=fraction,
        stop_fraction=stop_fraction(fraction, params.multiplier(coin), params),
        percentile=percentile,
        source=source,
        bar_close_ms=last.close_ms if last else None,
        computed_at_ms=now_ms,
    )


def realised_volatility(bars: Sequence[Bar], now_ms: int, params: VolatilityParams) -> float | None:
    """sqrt(mean squared log return) of the bars that closed in the last 24 h; None with fewer than 12 such bars.

    A return needs the bar directly before; where that is missing there is none (spec 5.2).
    """
    start_ms = now_ms - params.realised_vol_hours * HOUR_MS
    inside = 0
    squares: list[float] = []
    for index in range(len(bars) - 1, -1, -1):
        bar = bars[index]
        if bar.close_ms <= start_ms:
            break
        inside += bar.close_ms <= now_ms
        if bar.close_ms <= now_ms and index and bars[index - 1].close_ms == bar.open_ms:
            squares.append(math.log(bar.close / bars[index - 1].close) ** 2)
    if inside < params.realised_vol_min_bars or not squares:
        return None
    return math.sqrt(sum(reversed(squares)) / len(squares))


def stop_fraction_series(coin: str, bars: Sequence[Bar], params: VolatilityParams) -> StopSeries:
    """Stop fraction in force at every bar close between the first and the last bar, holes included.

    Equal to `estimate_volatility` at each of these instants, computed once for all of them.
    Errors: ValueError for bad bars or bars of another coin or timeframe.
    """
    length = timeframe_ms(params.timeframe)
    _check_input(coin, bars, length)
    if not bars:
        empty = np.empty(0)
        return StopSeries(coin, length, empty.astype(np.int64), empty, empty.astype(np.int8))
    times = np.arange(bars[0].close_ms, bars[-1].close_ms + 1, length, dtype=np.int64)
    fraction, newest = np.full(times.size, np.nan), np.full(times.size, -1)
    index = ((np.array([bar.close_ms for bar in bars]) - bars[0].close_ms) // length).astype(np.int64)
    fraction[index] = np.concatenate(
        [_atr_of_run(run, params) / np.array([bar.close for bar in run]) for run in contiguous_runs(bars)]
    )
    newest[index] = index
    newest = np.maximum.accumulate(newest)
    by_atr = np.where(np.arange(times.size) - newest <= 2, fraction[newest], np.nan)
    by_vol = _realised_series(bars, index, times.size, params, length)
    codes = np.where(np.isfinite(by_atr), 0, np.where(np.isfinite(by_vol), 1, 2)).astype(np.int8)
    raw = np.choose(codes, [by_atr, by_vol, np.full(times.size, params.fallback_pct / 100)])
    stops = np.clip(raw * params.multiplier(coin), params.min_stop_fraction, params.max_stop_fraction)
    return StopSeries(coin, length, times, stops, codes)


def _realised_series(
    bars: Sequence[Bar], index: NDArray[np.int64], size: int, params: VolatilityParams, length: int
) -> NDArray[np.float64]:
    """Realised volatility at every hour of the grid: sums over the window, oldest bar first."""
    closes = np.full(size, np.nan)
    closes[index] = [bar.close for bar in bars]
    squares = np.full(size, np.nan)
    squares[1:] = np.log(closes[1:] / closes[:-1]) ** 2
    window = params.realised_vol_hours * HOUR_MS // length
    total, returns, present = np.zeros(size), np.zeros(size), np.zeros(size)
    for lag in range(window - 1, -1, -1):
        here = slice(lag, size)
        there = slice(0, max(0, size - lag))
        total[here] += np.nan_to_num(squares[there])
        returns[here] += np.isfinite(squares[there])
        present[here] += np.isfinite(closes[there])
    enough = (present >= params.realised_vol_min_bars) & (returns > 0)
    return np.where(enough, np.sqrt(total / np.maximum(returns, 1)), np.nan)


def _atr_of_run(run: Sequence[Bar], params: VolatilityParams) -> NDArray[np.float64]:
    high, low, close = (np.array([getattr(bar, name) for bar in run]) for name in ("high", "low", "close"))
    return wilder_atr_series(high, low, close, params.atr_period, params.seed_bars)


def _check_input(coin: str, bars: Sequence[Bar], length: int) -> None:
    check_series(bars)
    if bars and (bars[0].coin != coin or bars[0].close_ms - bars[0].open_ms != length):
        raise ValueError(f"bars are of {bars[0].coin} and {bars[0].close_ms - bars[0].open_ms} ms; {coin} is allowed "
                         f"with {length} ms.")  # fmt: skip
