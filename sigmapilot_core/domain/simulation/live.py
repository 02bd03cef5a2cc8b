"""What is put into a world from outside: readiness, which starts the news of the demo profile, and single events.

Each is a recorded input: the same inputs give the same world, whether they come as it runs or are known beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.params import HOUR_MS
from sigmapilot_core.domain.simulation.behaviour import WISH, Idea, no_wishes
from sigmapilot_core.domain.simulation.keys import mix, stream
from sigmapilot_core.domain.simulation.kinds import Kind
from sigmapilot_core.domain.simulation.news import Origin, make_event, no_events, ordered
from sigmapilot_core.domain.simulation.path import PricePath
from sigmapilot_core.domain.simulation.population import Population
from sigmapilot_core.domain.simulation.settings import WorldSettings


class InputKind(StrEnum):
    """What was put in."""

    READY = "ready"
    INFO = "info"
    HERD = "herd"


@dataclass(frozen=True, slots=True)
class WorldInput:
    """One input. `coin`, `direction` and `sigmas` are of events only; `sigmas` is the size of the move in hourly
    sigmas, of a herd event that of its reversal. `duration_ms` 0 leaves the duration to the world."""

    kind: InputKind
    at_ms: int
    coin: str = ""
    direction: int = 0
    sigmas: float = 0.0
    duration_ms: int = 0


class Staging:
    """Events and ideas that follow from the inputs, by time."""

    def __init__(self, settings: WorldSettings, population: Population, path: PricePath) -> None:
        self._settings = settings
        self._population = population
        self._path = path
        self._inputs: list[WorldInput] = []
        self._majors = np.flatnonzero([coin.is_major for coin in settings.coins])
        leaders = np.unique(population.traits["leader"][population.traits["leader"] >= 0])
        self._leaders = leaders[population.kind[leaders] == Kind.SKILLED]
        self._minor = np.flatnonzero([not coin.is_major for coin in settings.coins])

    @property
    def inputs(self) -> tuple[WorldInput, ...]:
        """All inputs in the order they were made."""
        return tuple(self._inputs)

    def add(self, made: WorldInput) -> None:
        """Record an input. Errors: ValueError for an unknown coin or values out of range."""
        if made.kind is not InputKind.READY:
            if made.coin not in self._settings.coin_names:
                raise ValueError(f"coin is {made.coin!r}; allowed is one of {', '.join(self._settings.coin_names)}.")
            if made.direction not in (-1, 1):
                raise ValueError(f"direction is {made.direction}; allowed is 1 or -1.")
            if not 0.0 <= made.sigmas <= 10.0:
                raise ValueError(f"sigmas is {made.sigmas}; allowed is 0 to 10.")
        self._inputs.append(made)

    def between(self, start_ms: int, end_ms: int, only: int | None = None) -> tuple[NDArray[np.void], NDArray[np.void]]:
        """(events, wishes) that start in [start, end), of all inputs or of one by its number."""
        events, wishes = [no_events()], [no_wishes()]
        for number, made in enumerate(self._inputs):
            if only is not None and number != only:
                continue
            if made.kind is InputKind.READY:
                until = min([end_ms, *(m.at_ms for m in self._inputs[number + 1 :] if m.kind is InputKind.READY)])
                events += self._news(made.at_ms, max(start_ms, made.at_ms), until)
                wishes.append(self._group_ideas(made.at_ms, max(start_ms, made.at_ms), until))
            elif start_ms <= made.at_ms < end_ms:
                events.append(self._injected(number, made))
        return ordered(np.concatenate(events)), np.concatenate(wishes)

    def _injected(self, number: int, made: WorldInput) -> NDArray[np.void]:
        coin = self._settings.coin_names.index(made.coin)
        rng = stream(self._settings.seed, "injected", number, made.at_ms)
        is_info = made.kind is InputKind.INFO
        news = self._settings.news
        hours = rng.uniform(*(news.duration_h if is_info else news.reversal_h))
        duration = made.duration_ms or int(hours * HOUR_MS)
        key = int(mix(self._settings.seed, number, made.at_ms, 5)[0])
        sigma = self._sigma(coin, made.at_ms)
        return make_event(key, made.at_ms, coin, is_info, made.direction, made.sigmas, sigma, duration, Origin.INJECTED)

    def _news(self, ready_ms: int, start_ms: int, end_ms: int) -> list[NDArray[np.void]]:
        """Demo news of one readiness that starts in [start, end)."""
        demo = self._settings.demo
        every = demo.every_s * 1000
        first = int((start_ms - ready_ms - (demo.first_s[1] + 2 * demo.every_s) * 1000) // every)
        found = []
        for k in range(max(0, first), int((end_ms - ready_ms) // every) + 2):
            for is_info in (True, False):
                event = self._demo_event(ready_ms, k, is_info)
                if start_ms <= event["t"][0] < end_ms:
                    found.append(event)
        return found

    def _demo_event(self, ready_ms: int, k: int, is_info: bool) -> NDArray[np.void]:
        """The k-th information event, or the herd event half an interval later in the major that rested longest."""
        demo = self._settings.demo
        base = stream(self._settings.seed, "demo", ready_ms).uniform(*demo.first_s)
        rng = stream(self._settings.seed, "demo", ready_ms, k + 1, int(is_info))
        jitter = rng.uniform(-1, 1) * demo.jitter_s if k or not is_info else 0.0
        t = ready_ms + int((base + k * demo.every_s + jitter + (0.0 if is_info else demo.every_s / 2)) * 1000)
        coin = int(self._majors[(k + (0 if is_info else 2)) % len(self._majors)])
        hours = rng.uniform(*(demo.duration_h if is_info else self._settings.news.reversal_h))
        strength = rng.uniform(demo.min_sigmas, demo.max_sigmas)
        reversal = rng.uniform(*self._settings.news.reversal_sigmas) if rng.random() < 0.5 else 0.0
        direction = self._balanced(ready_ms, k // len(self._majors), coin) if is_info else int(rng.choice([-1, 1]))
        key = int(mix(self._settings.seed, ready_ms, k, 6 + is_info)[0])
        sigmas = strength if is_info else reversal
        return make_event(
            key, t, coin, is_info, direction, sigmas, self._sigma(coin, t), int(hours * HOUR_MS), Origin.DEMO
        )

    def _balanced(self, ready_ms: int, number: int, coin: int) -> int:
        """Direction of a coin's event: as many up as down within every `balance_events`."""
        size = self._settings.demo.balance_events
        rng = stream(self._settings.seed, "balance", ready_ms, number // size, coin)
        return int(rng.permutation(np.repeat([1, -1], size // 2))[number % size])

    def _group_ideas(self, ready_ms: int, start_ms: int, end_ms: int) -> NDArray[np.void]:
        """A skilled leader of a copy group acts on an idea of his own, in a coin without demo news."""
        demo = self._settings.demo
        if not len(self._leaders):
            return no_wishes()
        first, every = ready_ms + int(demo.group_first_s * 1000), int(demo.group_every_s * 1000)
        low = max(0, -(-(start_ms - first) // every))
        numbers = np.arange(low, max(low, -(-(end_ms - first) // every)))
        wishes = np.zeros(len(numbers), dtype=WISH)
        for row, number in enumerate(numbers.tolist()):
            rng = stream(self._settings.seed, "group", ready_ms, number)
            leader = int(self._leaders[number % len(self._leaders)])
            direction = int(rng.choice([-1, 1]))
            key = mix(self._settings.seed, ready_ms, number, 8)[0]
            wishes[row] = (
                key,
                first + number * every,
                leader,
                int(rng.choice(self._minor)),
                direction,
                Idea.STAGED,
                0,
                True,
            )
        wishes["event"] = mix(ready_ms, 9)[0]
        return wishes

    def _sigma(self, coin: int, time_ms: int) -> float:
        return float(self._path.sigma_at(np.array([coin]), np.array([time_ms]))[0])
