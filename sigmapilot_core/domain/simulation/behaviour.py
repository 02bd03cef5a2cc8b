"""What each account would like to do: reactions to events, ideas of its own, rules on past returns.

A wish is a possible entry; whether it becomes a trade is decided by the trader's positions (`desk`).
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, MINUTE_MS
from sigmapilot_core.domain.simulation.keys import Draw, mix, normal, stream, unit
from sigmapilot_core.domain.simulation.kinds import Kind
from sigmapilot_core.domain.simulation.market import RegimeTimeline
from sigmapilot_core.domain.simulation.path import PricePath
from sigmapilot_core.domain.simulation.population import Population
from sigmapilot_core.domain.simulation.settings import WorldSettings

MIN_DELAY_S, MAX_DELAY_S = 1.0, 1_200.0


class Idea(IntEnum):
    """Why a wish exists."""

    INFO = 0
    HERD = 1
    OWN = 2
    RULE = 3
    STAGED = 4


WISH = np.dtype(
    [
        ("key", "u8"),
        ("t", "i8"),
        ("user", "i4"),
        ("coin", "i2"),
        ("direction", "i8"),
        ("idea", "i2"),
        ("event", "u8"),
        ("has_skill", "?"),
    ]
)
"""A possible entry at `t`; direction 0 of a rule is decided by the path at that moment."""


def no_wishes() -> NDArray[np.void]:
    """An empty array of wishes."""
    return np.zeros(0, dtype=WISH)


def in_order(wishes: NDArray[np.void]) -> NDArray[np.void]:
    """Wishes by time, ties by key."""
    return wishes[np.lexsort((wishes["key"], wishes["t"]))]


def awake(traits: NDArray[np.void], times_ms: ArrayLike) -> NDArray[np.bool_]:
    """Whether each account is in its daily session."""
    hour = (np.asarray(times_ms, dtype=np.int64) % DAY_MS) / HOUR_MS
    return (hour - traits["session_from_h"]) % 24.0 < traits["session_h"]


def skilled_now(traits: NDArray[np.void], coin: int, regime: int, time_ms: int) -> NDArray[np.bool_]:
    """Which of the accounts have skill in a coin at an instant: before the date of fading, in the speciality."""
    in_coin = (traits["only_coin"] < 0) | (traits["only_coin"] == coin)
    in_regime = (traits["only_regime"] < 0) | (traits["only_regime"] == regime)
    return (time_ms < traits["skilled_until"]) & in_coin & in_regime


class Behaviour:
    """Turns events and time into wishes. Stateless: every wish is a function of seed, event or block, and account."""

    def __init__(self, settings: WorldSettings, population: Population, regimes: RegimeTimeline) -> None:
        self._settings = settings
        self._population = population
        self._regimes = regimes
        traits = population.traits
        reacts = (traits["notice"] > 0) | (traits["crowd"] > 0)
        self._reacting = np.flatnonzero(reacts & (population.coin_weight.sum(axis=1) > 0))
        self._reacting_traits = traits[self._reacting]
        self._own = np.flatnonzero((traits["own_per_day"] > 0) & (population.coin_weight.sum(axis=1) > 0))
        self._own_coins = np.cumsum(population.coin_weight[self._own], axis=1)

    def reactions(self, events: NDArray[np.void]) -> NDArray[np.void]:
        """Wishes of all accounts that notice the events, after their delays."""
        parts = [self._reaction(event) for event in events]
        return np.concatenate(parts) if parts else no_wishes()

    def _reaction(self, event: np.void) -> NDArray[np.void]:
        users = self._reacting
        coin, t = int(event["coin"]), int(event["t"])
        regime = int(self._regimes.at(np.array([t]))[0])
        key = mix(event["key"], users)
        traits = self._reacting_traits
        has_skill = skilled_now(traits, coin, regime, t)
        chance = np.where(has_skill, traits["notice"] if event["is_info"] else traits["notice_herd"], traits["crowd"])
        able = (self._population.coin_weight[users, coin] > 0) & awake(traits, t)
        chosen = np.flatnonzero(able & (unit(key, Draw.NOTICE) < chance))
        wishes = np.zeros(chosen.size, dtype=WISH)
        key, traits = key[chosen], traits[chosen]
        delay = traits["delay_s"] * np.exp(traits["delay_sigma"] * normal(key, Draw.DELAY))
        accuracy = np.where(has_skill[chosen], traits["accuracy"], traits["crowd_accuracy"])
        right = unit(key, Draw.ACCURACY) < accuracy
        wishes["key"], wishes["user"], wishes["coin"] = key, users[chosen], coin
        wishes["t"] = t + (np.clip(delay, MIN_DELAY_S, MAX_DELAY_S) * 1000).astype(np.int64)
        wishes["direction"] = np.where(right, event["direction"], -event["direction"])
        wishes["idea"] = Idea.INFO if event["is_info"] else Idea.HERD
        wishes["event"], wishes["has_skill"] = event["key"], has_skill[chosen]
        return wishes

    def own_ideas(self, block_index: int, start_ms: int, end_ms: int) -> NDArray[np.void]:
        """Wishes without news inside a block; those of rule followers are moments at which they look at the price."""
        rng = stream(self._settings.seed, "own", block_index)
        traits = self._population.traits[self._own]
        counts = rng.poisson(traits["own_per_day"] * (end_ms - start_ms) / DAY_MS)
        row = np.repeat(np.arange(len(self._own)), counts)
        total = row.size
        wishes = np.zeros(total, dtype=WISH)
        wishes["user"] = self._own[row]
        wishes["t"] = start_ms + 1 + (rng.random(total) * (end_ms - start_ms - 1)).astype(np.int64)
        pick = rng.random(total)
        wishes["coin"] = (pick[:, None] >= self._own_coins[row]).sum(axis=1).clip(0, len(self._settings.coins) - 1)
        is_rule = np.isin(traits["kind"][row], (Kind.CHASER, Kind.FADER))
        wishes["direction"] = np.where(is_rule, 0, np.where(rng.random(total) < 0.5, 1, -1))
        wishes["idea"] = np.where(is_rule, Idea.RULE, Idea.OWN)
        wishes["has_skill"] = wishes["t"] < traits["skilled_until"][row]
        wishes["key"] = mix(self._settings.seed, block_index, np.arange(total), 2)
        return wishes[awake(traits[row], wishes["t"])]

    def decided(self, wishes: NDArray[np.void], path: PricePath) -> NDArray[np.void]:
        """Rule followers look at the path: those whose past return is large enough get a direction, others drop out.

        The return over the look-back must exceed `threshold_sigmas` hourly sigmas x sqrt(hours).
        """
        is_rule = wishes["direction"] == 0
        if not is_rule.any():
            return wishes
        rules = wishes[is_rule]
        traits = self._population.traits[rules["user"]]
        hours = traits["lookback_h"]
        past_ms = np.maximum(rules["t"] - (hours * HOUR_MS).astype(np.int64), self._settings.start_ms)
        now_px, past_px = path.at(rules["coin"], rules["t"]), path.at(rules["coin"], past_ms)
        limit = traits["threshold_sigmas"] * np.sqrt(hours) * path.sigma_at(rules["coin"], rules["t"])
        log_return = np.log(now_px / past_px)
        moved = (np.abs(log_return) > limit) & (rules["t"] - past_ms > 10 * MINUTE_MS)
        wishes["direction"][is_rule] = np.where(moved, np.sign(log_return) * traits["rule_sign"], 0)
        return wishes[wishes["direction"] != 0]
