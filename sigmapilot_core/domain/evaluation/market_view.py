"""Volatility, stop, regime and cost at any past instant of a record, each computed once per coin and hour.

Between two hourly closes these estimates do not change but for the instant they were computed at, which live is at
most five minutes ago. The values are those of `market.volatility` and `market.regime`, held to them by a test.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.evaluation.record import VenueRecord
from sigmapilot_core.domain.events import Direction
from sigmapilot_core.domain.market.atr import mid_rank_percentile, wilder_atr_series
from sigmapilot_core.domain.market.costs import MarketQuote, round_trip_cost
from sigmapilot_core.domain.market.regime import RegimeEstimate, estimate_regime, stop_in_regime
from sigmapilot_core.domain.market.volatility import (
    PERCENTILE_BARS,
    StopSeries,
    VolatilityEstimate,
    VolatilitySource,
    estimate_volatility,
    stop_fraction_series,
)
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, Params

REFRESH_MS = 300_000
_FALLBACK_CODE = 2
_NEEDED_BARS = 512  # 252 + 252 - 1 for the percentile of a Wilder ATR, and some
Floats = NDArray[np.float64]


@dataclass
class MarketView:
    """Estimates as of any instant. Nothing is asked of bars that had not closed by then."""

    record: VenueRecord
    params: Params
    _stops: list[StopSeries] = field(default_factory=list)
    _atr: list[Floats] = field(default_factory=list)
    _close: list[Floats] = field(default_factory=list)
    _volatility: dict[tuple[int, int], VolatilityEstimate] = field(default_factory=dict)
    _regime: dict[tuple[int, int], RegimeEstimate] = field(default_factory=dict)
    _cost: dict[tuple[int, int, int], float | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rules = self.params.volatility
        for coin, bars in zip(self.record.coins, self.record.hours, strict=True):
            self._stops.append(stop_fraction_series(coin, bars, rules))
            high, low, close = (np.array([getattr(bar, name) for bar in bars]) for name in ("high", "low", "close"))
            is_whole = all(b.open_ms == a.close_ms for a, b in pairwise(bars))
            atr = wilder_atr_series(high, low, close, rules.atr_period, rules.seed_bars) if bars else high
            self._atr.append(atr if is_whole else np.full(close.size, np.nan))
            self._close.append(close)

    def stops_at(self, coin: NDArray[np.int64], time_ms: NDArray[np.int64]) -> Floats:
        """Stop fraction in force at each (coin, instant), without the regime's factor; NaN where it is unknown or
        rests on the fixed percentage: `StopSeries.at` over arrays."""
        out = np.full(np.shape(time_ms), np.nan)
        for index, series in enumerate(self._stops):
            rows = np.flatnonzero(coin == index)
            if not rows.size or not series.times_ms.size:
                continue
            at = np.searchsorted(series.times_ms, time_ms[rows], side="right") - 1
            known = at >= 0
            known &= time_ms[rows] - series.times_ms[np.maximum(at, 0)] < series.timeframe_ms
            known &= series.source_codes[np.maximum(at, 0)] != _FALLBACK_CODE
            out[rows[known]] = series.stop_fractions[at[known]]
        return out

    def volatility(self, coin: int, now_ms: int) -> VolatilityEstimate:
        """What the pipeline's last refresh said."""
        key = (coin, now_ms // HOUR_MS)
        if key not in self._volatility:
            self._volatility[key] = self._estimate(coin, now_ms // HOUR_MS * HOUR_MS)
        return replace(self._volatility[key], computed_at_ms=now_ms // REFRESH_MS * REFRESH_MS)

    def regime(self, coin: int, now_ms: int) -> RegimeEstimate:
        """What the pipeline's last refresh said."""
        return replace(self._hourly_regime(coin, now_ms), computed_at_ms=now_ms // REFRESH_MS * REFRESH_MS)

    def trade_stop(self, coin: int, now_ms: int) -> float | None:
        """Stop fraction of a trade begun at an instant, the regime's factor included; None where only the fallback
        is left."""
        stop = self.stops_at(np.array([coin]), np.array([now_ms]))[0]
        return stop_in_regime(float(stop), self._hourly_regime(coin, now_ms).regime) if np.isfinite(stop) else None

    def cost_bps(self, coin: int, direction: Direction, now_ms: int, hold_hours: float) -> float | None:
        """Round trip of the paper account's position limit, by the day: what copying one trade costs."""
        key = (coin, direction.sign, now_ms // DAY_MS)
        if key not in self._cost:
            at_ms = now_ms // DAY_MS * DAY_MS
            risk = self.params.risk
            quote = MarketQuote(
                self.record.coins[coin],
                self.record.book(coin, at_ms),
                self.record.has_books,
                self.record.funding_at(coin, at_ms),
            )
            self._cost[key] = round_trip_cost(
                quote, direction, risk.max_position_pct * risk.paper_equity_usd, hold_hours, at_ms, self.params.costs,
                max_book_age_s=self.params.freshness.book_s,
            ).total_bps  # fmt: skip
        return self._cost[key]

    def _hourly_regime(self, coin: int, now_ms: int) -> RegimeEstimate:
        key = (coin, now_ms // HOUR_MS)
        if key not in self._regime:
            hour_ms = now_ms // HOUR_MS * HOUR_MS
            stop = self._closed(coin, hour_ms)
            bars = self.record.hours[coin][max(0, stop - self.params.regime.bars - 2) : stop]
            self._regime[key] = estimate_regime(self.record.coins[coin], bars, hour_ms, self.params.regime)
        return self._regime[key]

    def _estimate(self, coin: int, hour_ms: int) -> VolatilityEstimate:
        stop = self._closed(coin, hour_ms)
        bars = self.record.hours[coin]
        is_fresh = stop > 0 and bars[stop - 1].close_ms == hour_ms
        atr = self._atr[coin][stop - 1] if is_fresh else np.nan
        if not np.isfinite(atr):
            return estimate_volatility(
                self.record.coins[coin], bars[max(0, stop - _NEEDED_BARS) : stop], hour_ms, self.params.volatility
            )
        window = slice(max(0, stop - PERCENTILE_BARS), stop)
        close = float(self._close[coin][stop - 1])
        fraction = float(atr) / close
        rules = self.params.volatility
        return VolatilityEstimate(
            coin=self.record.coins[coin],
            atr=float(atr),
            price=close,
            atr_fraction=fraction,
            stop_fraction=min(
                rules.max_stop_fraction,
                max(rules.min_stop_fraction, fraction * rules.multiplier(self.record.coins[coin])),
            ),
            percentile=mid_rank_percentile(self._atr[coin][window] / self._close[coin][window]),
            source=VolatilitySource.ATR,
            bar_close_ms=hour_ms,
            computed_at_ms=hour_ms,
        )

    def _closed(self, coin: int, hour_ms: int) -> int:
        """How many hourly bars had closed by an instant."""
        bars = self.record.hours[coin]
        if not bars:
            return 0
        return (
            min(len(bars), max(0, (hour_ms - bars[0].open_ms) // HOUR_MS))
            if self._is_whole(coin)
            else sum(bar.close_ms <= hour_ms for bar in bars)
        )

    def _is_whole(self, coin: int) -> bool:
        bars = self.record.hours[coin]
        return bars[-1].close_ms - bars[0].open_ms == len(bars) * HOUR_MS
