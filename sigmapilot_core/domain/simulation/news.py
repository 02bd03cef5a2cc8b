"""Information and herd events: what makes many people trade at one moment, and whether a price move follows.

An information event moves the log price evenly by `drift` over its duration; a herd event not at all, or slightly
backwards. The sum over events is the overlay on the base price.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, MINUTE_MS
from sigmapilot_core.domain.simulation.keys import Floats, mix, stream
from sigmapilot_core.domain.simulation.market import NEWS_OF_REGIME, BaseBlock, RegimeTimeline
from sigmapilot_core.domain.simulation.settings import NewsSettings, WorldSettings

EVENT = np.dtype(
    [
        ("key", "u8"),
        ("t", "i8"),
        ("coin", "i2"),
        ("is_info", "?"),
        ("direction", "i8"),
        ("sigmas", "f8"),
        ("drift", "f8"),
        ("duration_ms", "i8"),
        ("origin", "i2"),
    ]
)
"""One event; `drift` is the signed total log move, `sigmas` its size in hourly sigmas at the start."""


class Origin(IntEnum):
    """Where an event comes from."""

    NATURAL = 0
    DEMO = 1
    INJECTED = 2


def no_events() -> NDArray[np.void]:
    """An empty array of events."""
    return np.zeros(0, dtype=EVENT)


def make_event(
    key: int,
    t: int,
    coin: int,
    is_info: bool,
    direction: int,
    sigmas: float,
    sigma: float,
    duration_ms: int,
    origin: Origin,
) -> NDArray[np.void]:
    """One event of a given strength, `sigma` being the coin's hourly sigma; herd strength is a reversal."""
    event = np.zeros(1, dtype=EVENT)
    drift = (1 if is_info else -1) * direction * sigmas * sigma
    event[0] = (key, t, coin, is_info, direction, sigmas, drift, duration_ms, int(origin))
    return event


def ordered(events: NDArray[np.void]) -> NDArray[np.void]:
    """Events in the one order in which they are summed: by start, ties by key."""
    return events[np.lexsort((events["key"], events["t"]))]


def natural_events(settings: WorldSettings, block: BaseBlock, regimes: RegimeTimeline) -> NDArray[np.void]:
    """The events that start inside a block at the natural rates."""
    rng = stream(settings.seed, "news", block.index)
    news = settings.news
    regime = int(regimes.at(np.array([block.start_ms]))[0])
    length = block.end_ms - block.start_ms
    rates = np.array([coin.news_per_day for coin in settings.coins]) * NEWS_OF_REGIME[regime] * length / DAY_MS
    counts = rng.poisson(np.repeat(rates, 2))
    total = int(counts.sum())
    events = np.zeros(total, dtype=EVENT)
    kind = np.repeat(np.arange(counts.size), counts)
    events["coin"], events["is_info"] = kind // 2, kind % 2 == 0
    events["t"] = block.start_ms + 1 + (rng.random(total) * (length - 1)).astype(np.int64)
    events["key"] = mix(settings.seed, block.index, np.arange(total), 1)
    _draw_moves(rng, events, news, regimes.trend(block.start_ms))
    sigma = block.sigma[(events["t"] - block.start_ms) // MINUTE_MS % len(block.sigma), events["coin"]]
    events["drift"] = np.where(events["is_info"], 1, -1) * events["direction"] * events["sigmas"] * sigma
    return ordered(events)


def _draw_moves(
    rng: np.random.Generator, events: NDArray[np.void], news: NewsSettings, trend: NDArray[np.int64]
) -> None:
    """Directions, strengths and durations."""
    n = len(events)
    agrees = rng.random(n) < news.trend_share
    coin_flip = np.where(rng.random(n) < 0.5, 1, -1)
    of_trend = trend[events["coin"]]
    events["direction"] = np.where(
        events["is_info"] & (of_trend != 0), np.where(agrees, of_trend, -of_trend), coin_flip
    )
    low, high = news.strength_sigmas
    strength = low + (high - low) * rng.beta(*news.strength_shape, size=n)
    reversal = np.where(rng.random(n) < news.reversal_share, rng.uniform(*news.reversal_sigmas, size=n), 0.0)
    events["sigmas"] = np.where(events["is_info"], strength, reversal)
    hours = np.where(events["is_info"], rng.uniform(*news.duration_h, size=n), rng.uniform(*news.reversal_h, size=n))
    events["duration_ms"] = (hours * HOUR_MS).astype(np.int64)


class Overlay:
    """The log-price move of all events so far. Sums run over events in one fixed order, whatever the window.

    Events that ended are folded into a constant, but only at the start of a block, so that every window of a block
    adds the same numbers in the same order.
    """

    def __init__(self, coins: int) -> None:
        self._folded = np.zeros(coins)
        self._active = no_events()
        self._archive: list[NDArray[np.void]] = []
        self._all: NDArray[np.void] | None = None

    @property
    def active(self) -> NDArray[np.void]:
        """Events not yet folded, in order."""
        return self._active

    def events(self) -> NDArray[np.void]:
        """All events ever added, by start."""
        if self._all is None:
            self._all = ordered(np.concatenate([*self._archive, self._active]))
        return self._all

    def begin_block(self, start_ms: int) -> None:
        """Fold what ended at or before the start of a block."""
        ended = self._active["t"] + self._active["duration_ms"] <= start_ms
        if ended.any():
            for event in self._active[ended]:
                self._folded[event["coin"]] += event["drift"]
            self._archive.append(self._active[ended])
            self._active = self._active[~ended]

    def add(self, events: NDArray[np.void]) -> None:
        """Add events; none may start before a price already revealed."""
        if len(events):
            self._active = ordered(np.concatenate([self._active, events]))
            self._all = None

    def drop(self, keep: NDArray[np.bool_]) -> None:
        """Forget events that have not begun."""
        self._active = self._active[keep]
        self._all = None

    def offsets(self, times_ms: NDArray[np.int64]) -> Floats:
        """Log-price offset (times, coins)."""
        total = np.repeat(self._folded[None, :], len(times_ms), axis=0)
        began = self._active[self._active["t"] < times_ms[-1]] if len(times_ms) else no_events()
        for coin in np.unique(began["coin"]).tolist():
            events = began[began["coin"] == coin]
            share = (times_ms[None, :] - events["t"][:, None]) / events["duration_ms"][:, None]
            moves = np.clip(share, 0.0, 1.0) * events["drift"][:, None]
            # accumulate, not sum: strictly one event after the other, for one row as for a thousand
            total[:, coin] += np.add.accumulate(moves, axis=0)[-1]
        return total


def remaining_share(events: NDArray[np.void], time_ms: int) -> Floats:
    """Share of each event's drift still to come at an instant; 1 before it starts."""
    return 1.0 - np.clip((time_ms - events["t"]) / events["duration_ms"], 0.0, 1.0)
