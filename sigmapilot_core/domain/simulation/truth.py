"""What nobody in the market can see: who is good now, who copies whom, which news moves prices, and by how much.

Separate from the source: neither the emulator nor any part of the pipeline can reach it, only the evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.market.volatility import StopSeries, stop_fraction_series
from sigmapilot_core.domain.params import HOUR_MS, VolatilityParams
from sigmapilot_core.domain.simulation.behaviour import Idea, skilled_now
from sigmapilot_core.domain.simulation.execution import BPS
from sigmapilot_core.domain.simulation.keys import Floats
from sigmapilot_core.domain.simulation.kinds import Kind
from sigmapilot_core.domain.simulation.news import remaining_share
from sigmapilot_core.domain.simulation.population import FOREVER_MS
from sigmapilot_core.domain.simulation.ticks import MICRO
from sigmapilot_core.domain.simulation.world import World

FAMILY: dict[Kind, Kind] = {Kind.SPECIALIST: Kind.SKILLED, Kind.FADING: Kind.SKILLED, Kind.SUB: Kind.SKILLED}
"""Kinds with the same habits are pooled: an edge is a property of habits, luck is not."""
WITHOUT_EDGE = (Kind.MAKER, Kind.HFT, Kind.MASTER, Kind.BACKGROUND)
OUTCOME_BOUNDS_R = (-1.0, 2.0)
"""A followed signal ends at its stop or at a take-profit of 2 R."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Expected R of a trader's next episode, before and after fees and spread."""

    gross_r: float
    net_r: float


@dataclass(frozen=True, slots=True)
class NewsTruth:
    """One event: `drift` is the signed total log move it makes over `duration_ms`, of `sigmas` hourly sigmas."""

    id: int
    kind: str
    coin: str
    direction: int
    start_ms: int
    duration_ms: int
    sigmas: float
    drift: float


class Truth:
    """Answers about a world as far as it has come. Errors: KeyError for an unknown address or event."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stops: dict[int, StopSeries] = {}
        self._stops_of_ms = 0
        self._means: dict[tuple[int, int, bool], float] = {}
        self._means_of = -1

    def kind(self, address: str) -> str:
        """Kind of an account, lower case."""
        return Kind(self._world.population.kind[self._index(address)]).name.lower()

    def leader(self, address: str) -> str | None:
        """Whom a copy copies."""
        leader = int(self._world.population.traits["leader"][self._index(address)])
        return self._world.population.addresses[leader] if leader >= 0 else None

    def is_skilled(self, address: str, at_ms: int) -> bool:
        """Whether the trader, or the one he copies, has skill in a coin he trades at that moment."""
        return bool(self._skill(self._decider(self._index(address)), at_ms).any())

    def edge(self, address: str, at_ms: int) -> Edge | None:
        """Expected R of the next episode: the mean over all traders with the same habits of each reason to trade,
        weighted with how often this trader, at this moment, has which. None for kinds that trade without ideas."""
        return self._edge(self._index(address), at_ms)

    def events(self, start_ms: int = 0, end_ms: int = FOREVER_MS) -> tuple[NewsTruth, ...]:
        """Events that start in [start, end], as far as they are known now, by start."""
        events = self._world.overlay.events()
        chosen = events[(events["t"] >= start_ms) & (events["t"] <= end_ms)]
        return tuple(
            NewsTruth(
                int(e["key"]),
                "info" if e["is_info"] else "herd",
                self._world.settings.coin_names[e["coin"]],
                int(e["direction"]),
                int(e["t"]),
                int(e["duration_ms"]),
                float(e["sigmas"]),
                float(e["drift"]),
            )
            for e in chosen
        )

    def remaining_drift(self, event_id: int, at_ms: int) -> float:
        """Signed log move of an event still to come."""
        events = self._world.overlay.events()
        found = events[events["key"] == np.uint64(event_id)]
        if not len(found):
            raise KeyError(f"event {event_id} is not known")
        return float(found["drift"][0] * remaining_share(found, at_ms)[0])

    def expected_signal_r(
        self, coin: str, direction: int, at_ms: int, stop_fraction: float, cost_bps: float = 0.0
    ) -> float:
        """Expected net R of following a signal at its moment: direction x drift still to come / stop, within the exits'
        -1 and 2 R, less the cost."""
        events = self._world.overlay.events()
        here = events[(events["coin"] == self._world.settings.coin_names.index(coin)) & (events["t"] <= at_ms)]
        drift = float((here["drift"] * remaining_share(here, at_ms)).sum())
        return float(np.clip(direction * drift / stop_fraction, *OUTCOME_BOUNDS_R)) - cost_bps * BPS / stop_fraction

    def oracle_pool(self, at_ms: int, size: int = 50) -> tuple[str, ...]:
        """The traders with the largest net edge at that moment, best first; copies add nothing of their own and the
        liquidated trade no more."""
        population = self._world.population
        rows = [i for i in range(population.traders) if population.kind[i] != Kind.COPY]
        edges = {i: edge for i in rows if i not in self._world.desk.dead and (edge := self._edge(i, at_ms)) is not None}
        best = sorted(edges, key=lambda i: (-edges[i].net_r, population.addresses[i]))
        return tuple(population.addresses[i] for i in best[:size])

    def stop_at(self, coin: int, at_ms: int) -> float | None:
        """Stop fraction in force by the rule of the pipeline, the present one for an instant in the future."""
        now_ms = self._world.now_ms
        if self._stops_of_ms // HOUR_MS != now_ms // HOUR_MS:
            for c, settings in enumerate(self._world.settings.coins):
                bars = self._world.candles.bars(c, HOUR_MS, 0, now_ms)
                closed = [bar for bar in bars if bar.close_ms <= now_ms]
                self._stops[c] = stop_fraction_series(settings.coin, closed, VolatilityParams())
            self._stops_of_ms = now_ms
        found = self._stops[coin].at(min(at_ms, now_ms))
        return None if found is None else found[0]

    def _index(self, address: str) -> int:
        return self._world.population.index_of[address]

    def _decider(self, account: int) -> int:
        leader = int(self._world.population.traits["leader"][account])
        return leader if leader >= 0 else account

    def _skill(self, account: int, at_ms: int) -> NDArray[np.bool_]:
        """Per coin: whether the account trades it and has skill in it."""
        regime = int(self._world.regimes.at(np.array([at_ms]))[0])
        population = self._world.population
        traits = population.traits[account : account + 1]
        coins = range(len(self._world.settings.coins))
        skill = np.array([skilled_now(traits, coin, regime, at_ms)[0] for coin in coins])
        acts = population.traits["notice"][account] > 0
        return np.asarray(skill & acts & (population.coin_weight[account] > 0))

    def _edge(self, account: int, at_ms: int) -> Edge | None:
        account = self._decider(account)
        kind = Kind(self._world.population.kind[account])
        if kind in WITHOUT_EDGE:
            return None
        self._pool_means()
        rates = self._rates(account, at_ms)
        family = int(FAMILY.get(kind, kind))
        total = sum(rates.values())
        known = {key: self._means[family, *key] for key in rates if (family, *key) in self._means}
        if not known or total <= 0:
            return None
        weight = sum(rates[key] for key in known)
        gross = sum(rates[key] * mean for key, mean in known.items()) / weight
        return Edge(gross, gross - self._cost_r(account, at_ms))

    def _rates(self, account: int, at_ms: int) -> dict[tuple[int, bool], float]:
        """Wishes per day of each (idea, with skill?) at that moment."""
        population, settings = self._world.population, self._world.settings
        traits = population.traits[account]
        skill = self._skill(account, at_ms)
        trades = population.coin_weight[account] > 0
        news = np.array([coin.news_per_day for coin in settings.coins])
        is_rule = traits["kind"] in (Kind.CHASER, Kind.FADER)
        own = (int(Idea.RULE if is_rule else Idea.OWN), at_ms < traits["skilled_until"])
        rates = {own: float(traits["own_per_day"])}
        for idea, chance in ((Idea.INFO, traits["notice"]), (Idea.HERD, traits["notice_herd"])):
            rates[int(idea), True] = float((news * skill).sum() * chance)
            rates[int(idea), False] = float((news * (trades & ~skill)).sum() * traits["crowd"])
        return {key: rate for key, rate in rates.items() if rate > 0}

    def _pool_means(self) -> None:
        """Mean gross R of closed trips per (family, idea, with skill?)."""
        if self._means_of == len(self._world.closed_trips) or not self._world.closed_trips:
            return
        self._means_of = len(self._world.closed_trips)
        trips = np.concatenate(self._world.closed_trips)
        r = self.trip_r(trips)
        kinds = self._world.population.kind[trips["user"]]
        family = np.array([int(FAMILY.get(Kind(kind), Kind(kind))) for kind in kinds.tolist()])
        idea = np.where(trips["idea"] == Idea.STAGED, Idea.OWN, trips["idea"])
        known = np.isfinite(r)
        cell = np.stack([family, idea, trips["has_skill"]])[:, known]
        cells, at = np.unique(cell, axis=1, return_inverse=True)
        means = np.bincount(at, weights=r[known]) / np.bincount(at)
        self._means = {(int(f), int(i), bool(s)): float(m) for f, i, s, m in zip(*cells, means, strict=True)}

    def trip_r(self, trips: NDArray[np.void]) -> Floats:
        """Price move from entry to exit in the trip's direction over the stop fraction at entry; NaN where unknown."""
        stops = np.array(
            [self.stop_at(c, t) or np.nan for c, t in zip(trips["coin"].tolist(), trips["t"].tolist(), strict=True)]
        )
        exit_px = self._world.path.at(trips["coin"], trips["exit_ms"])
        return np.asarray(trips["direction"] * (exit_px / trips["px"] - 1.0) / stops)

    def _cost_r(self, account: int, at_ms: int) -> float:
        """Fees and half spreads of entry and exit in R, mean over the coins the account trades."""
        traits = self._world.population.traits[account]
        makes = float(traits["maker"])
        fee = (float(traits["taker_ppm"]) * (1 - makes) + float(traits["maker_ppm"]) * makes) / MICRO
        total = 0.0
        for coin, weight in enumerate(self._world.population.coin_weight[account].tolist()):
            stop = self.stop_at(coin, at_ms) if weight else None
            if stop:
                half_spread = self._world.settings.coins[coin].half_spread_bps * BPS
                total += weight * 2 * (fee + half_spread * (1 - 2 * makes)) / stop
        return total
