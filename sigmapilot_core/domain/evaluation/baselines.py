"""What the consensus is compared with, over the same days, exits and costs (spec 7).

A trader is copied by entering each position he opens at the close of the minute of its opening, with the stop, exits
and costs of our own trades. Other pools of the same size go through the same decisions as the real one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.evaluation.day_model import DayModel, Learner
from sigmapilot_core.domain.evaluation.exits import follow_all
from sigmapilot_core.domain.evaluation.survivorship import Listing
from sigmapilot_core.domain.events import Direction
from sigmapilot_core.domain.params import DAY_MS, MINUTE_MS, Params
from sigmapilot_core.domain.traders.thompson import Entrant, Score

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Copies:
    """Copied openings whose end is known: whose, when, and R after costs."""

    user: Ints
    opened_ms: Ints
    result_r: Floats

    def per_trader_weights(self) -> Floats:
        """1 / openings of the trader: every trader counts the same."""
        _, at, count = np.unique(self.user, return_inverse=True, return_counts=True)
        return 1.0 / count[at]


def greedy(entrants: Sequence[Entrant], _key: int) -> list[float]:
    """Rank by posterior mean."""
    return [one.posterior.m for one in entrants]


def random_order(seed: int) -> Score:
    """Rank at random, repeatable from the seed and the day's key."""

    def rank(entrants: Sequence[Entrant], key: int) -> list[float]:
        rng = np.random.Generator(np.random.Philox(key=(key + seed) % (1 << 128)))
        return rng.random(len(entrants)).tolist()

    return rank


def copies(learner: Learner, start_ms: int, end_ms: int, params: Params, listed: Listing) -> Copies:
    """The openings of [start, end) of everybody who had been on the leaderboard by then, copied; whoever died or
    vanished since stays in."""
    episodes, record = learner.episodes, learner.record
    inside = (episodes.opened_ms >= start_ms) & (episodes.opened_ms < end_ms)
    rows = np.flatnonzero(inside & (listed.first_ms[episodes.user] <= episodes.opened_ms))
    minute = (episodes.opened_ms[rows] - record.minutes.start_ms) // MINUTE_MS
    rows, minute = rows[minute < len(record.minutes.close)], minute[minute < len(record.minutes.close)]
    coin, sign = episodes.coin[rows].astype(np.int64), episodes.direction[rows]
    entry = record.minutes.close[minute, coin]
    at_ms = record.minutes.start_ms + (minute + 1) * MINUTE_MS
    stop, cost = _stops_and_costs(learner, coin, sign, at_ms, params)
    exits = follow_all(record.minutes, coin, sign, at_ms, entry, stop, params.outcome)
    result = exits.gross_r - cost
    known = np.isfinite(result)
    return Copies(episodes.user[rows][known], episodes.opened_ms[rows][known], result[known])


def of_pools(made: Copies, models: dict[int, DayModel]) -> NDArray[np.bool_]:
    """Which copies are of a member of the day's pool."""
    days = made.opened_ms // DAY_MS * DAY_MS
    chosen = np.zeros(len(days), dtype=np.bool_)
    for day, model in models.items():
        rows = np.flatnonzero(days == day)
        chosen[rows] = np.isin(made.user[rows], model.pool)
    return chosen


def _stops_and_costs(learner: Learner, coin: Ints, sign: Ints, at_ms: Ints, params: Params) -> tuple[Floats, Floats]:
    stop, cost = np.full(coin.size, np.nan), np.full(coin.size, np.nan)
    hold_hours = params.costs.default_hold_hours
    for i, (c, s, t) in enumerate(zip(coin.tolist(), sign.tolist(), at_ms.tolist(), strict=True)):
        fraction = learner.market.trade_stop(c, t)
        bps = learner.market.cost_bps(c, Direction.of(s), t, hold_hours)
        if fraction is not None and bps is not None:
            stop[i], cost[i] = fraction, bps / 10_000.0 / fraction
    return stop, cost
