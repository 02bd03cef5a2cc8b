"""Stored market data in the shape the domain asks for: stops in force and marks at any past instant."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import market_store
from sigmapilot_core.domain.events import Bar
from sigmapilot_core.domain.market import volatility
from sigmapilot_core.domain.params import Params

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StopSeries:
    """Stops in force and hourly closes of every coin, over the whole stored past.

    A stop that rests on the last fallback is not used for learning: R over a guessed stop is unknown.
    """

    stops: dict[str, volatility.StopSeries]
    close_times: dict[str, list[int]]
    closes: dict[str, list[float]]

    def stop_at(self, coin: str, time_ms: int) -> float | None:
        """Stop fraction in force, without the regime factor; None where only the last fallback is known."""
        series = self.stops.get(coin)
        found = series.at(time_ms) if series else None
        if found is None or found[1] is volatility.VolatilitySource.FALLBACK:
            return None
        return found[0]

    def mark_at(self, coin: str, time_ms: int) -> Decimal | None:
        """Close of the last hourly bar that had closed by then; None before the first."""
        times = self.close_times.get(coin, [])
        index = bisect.bisect_right(times, time_ms) - 1
        return Decimal(str(self.closes[coin][index])) if index >= 0 else None


def read_stop_series(connection: sa.Connection, params: Params) -> StopSeries:
    """Stops and closes of every coin with hourly candles."""
    stops: dict[str, volatility.StopSeries] = {}
    times: dict[str, list[int]] = {}
    closes: dict[str, list[float]] = {}
    for coin in market_store.coins_with_candles(connection):
        bars: list[Bar] = market_store.read_hourly(connection, coin, _EPOCH)
        stops[coin] = volatility.stop_fraction_series(coin, bars, params.volatility)
        times[coin] = [bar.close_ms for bar in bars]
        closes[coin] = [bar.close for bar in bars]
    return StopSeries(stops, times, closes)


def known_sizes(connection: sa.Connection) -> dict[str, int]:
    """Size decimals of every perpetual of the venue."""
    return {row["coin"]: row["sz_decimals"] for row in market_store.read_universe(connection)}
