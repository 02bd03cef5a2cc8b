"""Prices without news: stochastic volatility, heavy tails, rare jumps, one common factor, regimes that last days.

Blocks are generated in order, each from its own stream, with the state carried on; a block is a day of minutes in
history and an hour of seconds live. News is added on top by `news.Overlay`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, MINUTE_MS
from sigmapilot_core.domain.simulation.keys import Floats, stream
from sigmapilot_core.domain.simulation.settings import MarketSettings, WorldSettings


class Regime(IntEnum):
    """State of the whole market."""

    QUIET = 0
    TRENDING = 1
    VIOLENT = 2


VOLATILITY_OF_REGIME = np.array([0.80, 1.00, 1.35])
NEWS_OF_REGIME = np.array([0.80, 1.00, 1.20])
JUMPS_OF_REGIME = np.array([0.5, 1.0, 3.0])


class RegimeTimeline:
    """Regimes one after another, of 1.5 to 6 days, and the direction of each coin's trend in them."""

    def __init__(self, settings: WorldSettings) -> None:
        self._settings = settings
        self._starts = [settings.start_ms]
        self._kinds: list[int] = []
        self._trends: list[NDArray[np.int64]] = []

    def at(self, times_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """Regime at each instant."""
        return np.asarray(self._kinds_until(int(times_ms.max())))[self._segment(times_ms)]

    def trend(self, time_ms: int) -> NDArray[np.int64]:
        """+1 or -1 for every coin in a trending regime, else 0."""
        self._extend(time_ms)
        return self._trends[int(self._segment(np.array([time_ms]))[0])]

    def _kinds_until(self, time_ms: int) -> list[int]:
        self._extend(time_ms)
        return self._kinds

    def _segment(self, times_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.maximum(np.searchsorted(np.array(self._starts), times_ms, side="right") - 1, 0)

    def _extend(self, time_ms: int) -> None:
        while self._starts[-1] <= time_ms:
            rng = stream(self._settings.seed, "regime", len(self._kinds))
            others = [kind for kind in Regime if not self._kinds or kind != self._kinds[-1]]
            kind = others[int(rng.integers(len(others)))]
            trend = rng.choice(np.array([-1, 1]), size=len(self._settings.coins))
            days = rng.uniform(*self._settings.market.regime_days)
            self._kinds.append(int(kind))
            self._trends.append(trend if kind is Regime.TRENDING else np.zeros_like(trend))
            self._starts.append(self._starts[-1] + int(days * DAY_MS))


@dataclass(frozen=True, slots=True)
class BaseBlock:
    """Prices without news over (start, start + rows x step].

    `log_px` (rows, coins) is at start + step x (row + 1); `sigma` (minutes, coins) the hourly sigma of each minute;
    `stretch_up`, `stretch_down` (minutes, coins) uniform numbers for the extremes within a minute.
    """

    index: int
    start_ms: int
    step_ms: int
    log_px: Floats
    sigma: Floats
    extremes: Floats

    @property
    def end_ms(self) -> int:
        """End of the block, inclusive."""
        return self.start_ms + self.step_ms * len(self.log_px)


class BaseMarket:
    """Generates the blocks one after another."""

    def __init__(self, settings: WorldSettings, regimes: RegimeTimeline) -> None:
        self._settings = settings
        self._regimes = regimes
        market, coins = settings.market, settings.coins
        self._sigma = np.array([coin.hourly_sigma for coin in coins])
        loading = np.array([coin.beta for coin in coins]) * market.factor_sigma / self._sigma
        self._loading = np.minimum(loading, 0.98)
        self._own = np.sqrt(1 - self._loading**2)
        self._log_px = np.log(np.array([coin.start_px for coin in coins]))
        self._vol = np.zeros(1 + len(coins))
        self._index = 0

    @property
    def log_px(self) -> Floats:
        """Log prices without news at the end of the last block."""
        return self._log_px

    def next_block(self, start_ms: int, rows: int, step_ms: int) -> BaseBlock:
        """The next block; its length must be whole minutes."""
        rng = stream(self._settings.seed, "market", self._index)
        minutes = rows * step_ms // MINUTE_MS
        sigma = self._volatility(rng, start_ms, minutes)
        per_minute = rows // minutes
        log_px = self._log_px + np.cumsum(self._returns(rng, sigma, start_ms, per_minute), axis=0)
        extremes = rng.random((2, minutes, sigma.shape[1]))
        self._log_px = log_px[-1]
        self._index += 1
        return BaseBlock(self._index - 1, start_ms, step_ms, log_px, sigma, extremes)

    def _volatility(self, rng: np.random.Generator, start_ms: int, minutes: int) -> Floats:
        """Hourly sigma of every minute and coin."""
        market = self._settings.market
        stds = np.r_[market.common_vol_std, np.full(self._sigma.size, market.own_vol_std)]
        half_lives = np.r_[market.common_vol_half_life_min, np.full(self._sigma.size, market.own_vol_half_life_min)]
        memory = 0.5 ** (1.0 / half_lives)
        shocks = rng.standard_normal((minutes, stds.size)) * (stds * np.sqrt(1 - memory**2))
        log_vol = np.empty_like(shocks)
        state = self._vol
        for minute in range(minutes):
            state = memory * state + shocks[minute]
            log_vol[minute] = state
        self._vol = state
        times = start_ms + MINUTE_MS * np.arange(minutes, dtype=np.int64)
        level = VOLATILITY_OF_REGIME[self._regimes.at(times)] * _season(times, market)
        return self._sigma * level[:, None] * np.exp(log_vol[:, :1] + log_vol[:, 1:])

    def _returns(self, rng: np.random.Generator, sigma: Floats, start_ms: int, per_minute: int) -> Floats:
        """Log returns of every step: factor and own part with t tails, and rare jumps at minute starts."""
        market = self._settings.market
        minutes, coins = sigma.shape
        rows = minutes * per_minute
        scale = np.sqrt((market.tail_degrees - 2) / market.tail_degrees)
        shocks = rng.standard_t(market.tail_degrees, size=(rows, 1 + coins)) * scale
        z = self._loading * shocks[:, :1] + self._own * shocks[:, 1:]
        returns = z * np.repeat(sigma, per_minute, axis=0) / np.sqrt(60.0 * per_minute)
        times = start_ms + MINUTE_MS * np.arange(minutes, dtype=np.int64)
        rate = market.jumps_per_day * MINUTE_MS / DAY_MS * JUMPS_OF_REGIME[self._regimes.at(times)]
        hit = rng.random((minutes, coins)) < rate[:, None]
        size = rng.uniform(*market.jump_sigmas, size=(minutes, coins)) * rng.choice([-1.0, 1.0], size=(minutes, coins))
        returns[::per_minute] += hit * size * sigma
        return returns


def _season(times_ms: NDArray[np.int64], market: MarketSettings) -> Floats:
    hour = (times_ms % DAY_MS) / HOUR_MS
    return 1.0 + market.daily_season * np.cos(2 * np.pi * (hour - market.season_peak_hour) / 24)
