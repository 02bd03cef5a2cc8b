"""Premium and hourly funding: rate = (premium + clamp(0.01 % - premium, -0.05 %, 0.05 %)) / 8, at most 4 % an hour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.params import HOUR_MS
from sigmapilot_core.domain.simulation import ticks
from sigmapilot_core.domain.simulation.columns import Column
from sigmapilot_core.domain.simulation.keys import Floats, stream
from sigmapilot_core.domain.simulation.path import PricePath
from sigmapilot_core.domain.simulation.settings import WorldSettings

INTEREST = 0.0001
MAX_CORRECTION = 0.0005
MAX_HOURLY = 0.04
TREND_HOURS = 8


def hourly_rate(premium: Floats) -> Floats:
    """The venue's formula for one hour."""
    eight_hours = premium + np.clip(INTEREST - premium, -MAX_CORRECTION, MAX_CORRECTION)
    return np.clip(eight_hours / 8, -MAX_HOURLY, MAX_HOURLY)


class Premium:
    """Premium of mark over oracle, hour by hour: it remembers, and follows the last eight hours' return."""

    def __init__(self, settings: WorldSettings, path: PricePath) -> None:
        self._settings = settings
        self._path = path
        self._noise = np.zeros(len(settings.coins))
        self._decimals = np.array([coin.sz_decimals for coin in settings.coins])
        self.value: Floats = np.zeros(len(settings.coins))
        self.history = Column((len(settings.coins),), np.float64)

    def step(self, hour_ms: int) -> tuple[Floats, NDArray[np.int64]]:
        """Move to a full hour; returns the hourly rates and the oracle prices of all coins."""
        market = self._settings.market
        hour = (hour_ms - self._settings.start_ms) // HOUR_MS
        shock = stream(self._settings.seed, "premium", hour).standard_normal(self._noise.size)
        memory = market.premium_memory
        self._noise = memory * self._noise + np.sqrt(1 - memory**2) * market.premium_std * shock
        marks = self._path.marks_at(hour_ms)
        past = self._path.marks_at(hour_ms - TREND_HOURS * HOUR_MS)
        coins = np.arange(self._noise.size)
        sigma = self._path.sigma_at(coins, np.full(coins.size, hour_ms))
        trend = np.log(marks / past) / (sigma * np.sqrt(TREND_HOURS))
        self.value = self._noise + market.premium_of_trend * np.clip(trend, -3.0, 3.0)
        self.history.extend(self.value[None, :])
        return hourly_rate(self.value), self.oracle(marks)

    def oracle(self, marks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Oracle prices at the premium in force."""
        return ticks.nearest(marks / (1.0 + self.value), self._decimals)
