"""Mark prices of the whole world: minutes in history, seconds live, in integer price units."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.params import MINUTE_MS
from sigmapilot_core.domain.simulation.columns import Column
from sigmapilot_core.domain.simulation.keys import Floats
from sigmapilot_core.domain.simulation.settings import WorldSettings

SECOND_MS = 1_000


class PricePath:
    """Marks at the minutes of [start, live start] and the seconds after, and hourly sigmas by minute."""

    def __init__(self, settings: WorldSettings) -> None:
        coins = len(settings.coins)
        self._start_ms, self._live_start_ms = settings.start_ms, settings.live_start_ms
        self._minutes = Column((coins,), np.int64)
        self._seconds = Column((coins,), np.int64)
        self._sigma = Column((coins,), np.float64)

    def append_marks(self, marks: NDArray[np.int64], is_live: bool) -> None:
        """Rows at the next grid instants; the first row of history is the start, that of live its last minute."""
        if is_live and not len(self._seconds):
            self._seconds.extend(self._minutes.view()[-1:])
        (self._seconds if is_live else self._minutes).extend(marks)

    def append_sigma(self, sigma: Floats) -> None:
        """Hourly sigmas of the next minutes."""
        self._sigma.extend(sigma)

    @property
    def last(self) -> NDArray[np.int64]:
        """The newest marks."""
        return (self._seconds if len(self._seconds) else self._minutes).view()[-1]

    def marks_at(self, time_ms: int) -> NDArray[np.int64]:
        """Marks of all coins in force at an instant: of its second, in history of its minute."""
        if time_ms >= self._live_start_ms and len(self._seconds):
            row = min((time_ms - self._live_start_ms) // SECOND_MS, len(self._seconds) - 1)
            return self._seconds.view()[row]
        row = min(max(time_ms - self._start_ms, 0) // MINUTE_MS, len(self._minutes) - 1)
        return self._minutes.view()[row]

    def at(self, coin: NDArray[np.integer], times_ms: NDArray[np.int64]) -> Floats:
        """Price in units at any instant: the mark of the second live; between two minutes of history, in proportion."""
        minutes = self._minutes.view()
        steps = np.maximum(times_ms - self._start_ms, 0) / MINUTE_MS
        row = np.minimum(steps.astype(np.int64), len(minutes) - 1)
        following = np.minimum(row + 1, len(minutes) - 1)
        here = minutes[row, coin]
        px = here + (minutes[following, coin] - here) * np.minimum(steps - row, 1.0)
        if len(self._seconds):
            seconds = self._seconds.view()
            row = np.clip((times_ms - self._live_start_ms) // SECOND_MS, 0, len(seconds) - 1)
            px = np.where(times_ms >= self._live_start_ms, seconds[row, coin], px)
        return px

    def sigma_at(self, coin: NDArray[np.integer], times_ms: NDArray[np.int64]) -> Floats:
        """Hourly sigma in force, without news."""
        sigma = self._sigma.view()
        row = np.clip((times_ms - self._start_ms) // MINUTE_MS, 0, len(sigma) - 1)
        return sigma[row, coin]

    def rows(self, from_ms: int, to_ms: int) -> tuple[NDArray[np.int64], int, int]:
        """(marks, time of the first, step) of the grid instants in (from, to], which lie on one side of live start."""
        if from_ms >= self._live_start_ms:
            first, step, column, origin = from_ms, SECOND_MS, self._seconds, self._live_start_ms
        else:
            first, step, column, origin = from_ms, MINUTE_MS, self._minutes, self._start_ms
        low = (first - origin) // step + 1
        high = (to_ms - origin) // step + 1
        return column.view()[low:high], origin + low * step, step
