"""What an accepted wish would become: size, stop, take-profit, time-out, partial exit and possible add.

All of it follows from the wish's own key, the trader's habits, the price and the volatility at that moment.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, MINUTE_MS
from sigmapilot_core.domain.simulation.behaviour import WISH
from sigmapilot_core.domain.simulation.keys import Draw, Floats, between, normal, unit
from sigmapilot_core.domain.simulation.kinds import DOOM_LEVERAGE, RISK_SIGMAS, Kind
from sigmapilot_core.domain.simulation.path import PricePath
from sigmapilot_core.domain.simulation.population import FOREVER_MS, Population
from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.ticks import MICRO

PLAN = np.dtype(
    [
        *WISH.descr,
        ("px", "f8"),
        ("lots", "i8"),
        ("add_lots", "i8"),
        ("part_lots", "i8"),
        ("low", "f8"),
        ("high", "f8"),
        ("watch_ms", "i8"),
        ("timeout_ms", "i8"),
        ("part_ms", "i8"),
        ("add_ms", "i8"),
        ("exit_ms", "i8"),
        ("is_doomed", "?"),
    ]
)
"""A trip: from its entry at `t` until `exit_ms`. Levels are in price units and watched from `watch_ms` on; FOREVER_MS
stands for never. `add_lots` is what an add would be, `add_ms` when it happened."""

ENTRY_SPREAD_MS = 45_000
TWAP_SLICES = 12
TWAP_STEP_MS = 30_000
WATCH_AFTER_MS = 180_000
MAX_HOLD_H = 150.0
MIN_NOTIONAL_USD = 50.0
MAX_NOTIONAL_OF_EQUITY = 10.0
MAX_LOSS_OF_EQUITY = 0.2
"""Nobody enters where his stop would cost more of his equity than this: several positions may fail on one day."""


def no_plans() -> NDArray[np.void]:
    """An empty array of plans."""
    return np.zeros(0, dtype=PLAN)


class Planner:
    """Makes plans. `equity` of all accounts is that of the last midnight."""

    def __init__(self, settings: WorldSettings, population: Population, path: PricePath) -> None:
        self._settings = settings
        self._population = population
        self._path = path
        self._maintenance = np.array([0.5 / coin.max_leverage for coin in settings.coins])
        self._max_leverage = np.array([coin.max_leverage for coin in settings.coins], dtype=np.float64)

    def plans(self, wishes: NDArray[np.void], equity: NDArray[np.int64]) -> NDArray[np.void]:
        """Plans of the wishes, in the same order; wishes too small to trade are dropped."""
        plans = np.zeros(len(wishes), dtype=PLAN)
        for name in WISH.names or ():
            plans[name] = wishes[name]
        if not len(plans):
            return plans
        traits = self._population.traits[plans["user"]]
        plans["px"] = self._path.at(plans["coin"], plans["t"])
        plans["is_doomed"] = traits["kind"] == Kind.DOOMED
        self._times(plans, traits)
        leverage = self._doom_leverage(plans, traits)
        self._levels(plans, traits, leverage)
        self._sizes(plans, traits, equity[plans["user"]], leverage)
        return plans[plans["lots"] * plans["px"] >= MIN_NOTIONAL_USD * MICRO]

    def _times(self, plans: NDArray[np.void], traits: NDArray[np.void]) -> None:
        key, t = plans["key"], plans["t"]
        hours = np.minimum(traits["hold_h"] * np.exp(traits["hold_sigma"] * normal(key, Draw.HOLD)), MAX_HOLD_H)
        spread = np.where(traits["is_twap"], TWAP_SLICES * TWAP_STEP_MS, ENTRY_SPREAD_MS)
        plans["watch_ms"] = t + spread + WATCH_AFTER_MS
        plans["timeout_ms"] = np.maximum(t + (hours * HOUR_MS).astype(np.int64), plans["watch_ms"] + MINUTE_MS)
        is_parted = unit(key, Draw.PART) < traits["part"]
        share = between(key, Draw.PART_TIME, 0.3, 0.8)
        part = plans["watch_ms"] + (share * (plans["timeout_ms"] - plans["watch_ms"])).astype(np.int64)
        plans["part_ms"] = np.where(is_parted, part, FOREVER_MS)
        plans["add_ms"] = FOREVER_MS
        plans["exit_ms"] = FOREVER_MS

    def _doom_leverage(self, plans: NDArray[np.void], traits: NDArray[np.void]) -> Floats:
        """Leverage of a doomed account: from its first to `DOOM_LEVERAGE` at its date, below the coin's limit."""
        life = np.maximum(traits["doom_ms"] - self._settings.start_ms, DAY_MS).astype(np.float64)
        share = (plans["t"] - self._settings.start_ms) / life
        leverage = traits["leverage"] * (DOOM_LEVERAGE / traits["leverage"]) ** np.minimum(share, 1.2)
        return np.minimum(leverage, 0.9 * self._max_leverage[plans["coin"]])

    def _levels(self, plans: NDArray[np.void], traits: NDArray[np.void], leverage: Floats) -> None:
        """Stop and take-profit; the stop of a doomed account is its liquidation, 1/leverage - maintenance."""
        key = plans["key"]
        risk = RISK_SIGMAS * self._path.sigma_at(plans["coin"], plans["t"])
        stop = np.minimum(traits["stop"] * between(key, Draw.STOP, 0.85, 1.15) * risk, 0.6)
        target = np.minimum(traits["take_profit"] * between(key, Draw.TAKE_PROFIT, 0.85, 1.15) * risk, 0.6)
        stop = np.where(plans["is_doomed"], 1.0 / leverage - self._maintenance[plans["coin"]], stop)
        is_long = plans["direction"] > 0
        plans["low"] = plans["px"] * (1.0 - np.where(is_long, stop, target))
        plans["high"] = plans["px"] * (1.0 + np.where(is_long, target, stop))

    def _sizes(
        self, plans: NDArray[np.void], traits: NDArray[np.void], equity: NDArray[np.int64], leverage: Floats
    ) -> None:
        """Notional = size habit x equity x a Pareto factor, bounded by the loss at the stop unless doomed."""
        key = plans["key"]
        distance = (
            np.where(plans["direction"] > 0, plans["px"] - plans["low"], plans["high"] - plans["px"]) / plans["px"]
        )
        factor = np.minimum((1.0 - unit(key, Draw.SIZE)) ** -0.25, 3.0) * 0.8
        basis = np.clip(equity, 0.2 * traits["equity0"], 3.0 * traits["equity0"])
        basis = np.where(equity < 0.1 * traits["equity0"], 0.0, basis)
        largest = np.minimum(MAX_NOTIONAL_OF_EQUITY, MAX_LOSS_OF_EQUITY / distance)
        notional = np.minimum(traits["size"] * factor, largest) * basis
        notional = np.where(plans["is_doomed"], leverage * 0.97 * np.maximum(equity, 0), notional)
        plans["lots"] = np.floor(notional / plans["px"])
        plans["add_lots"] = np.floor(plans["lots"] * between(key, Draw.ADD_SIZE, 0.3, 0.8))
        plans["part_lots"] = np.floor(plans["lots"] * between(key, Draw.PART_TIME, 0.2, 0.6))
