"""Positions as trips: which wishes are acted on, when trips are added to, turned and closed.

A trader has at most one trip per coin. A wish in a flat coin opens a trip; one in the same direction may add to it,
one against it may turn it. A trip ends at its stop, take-profit, time-out or by being turned. The outcome is the same
for any division of time into windows: everything depends on instants, never on where a window ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.params import DAY_MS, MINUTE_MS
from sigmapilot_core.domain.simulation.behaviour import Idea
from sigmapilot_core.domain.simulation.keys import Draw, between, unit
from sigmapilot_core.domain.simulation.path import PricePath
from sigmapilot_core.domain.simulation.plans import no_plans
from sigmapilot_core.domain.simulation.population import FOREVER_MS, Population

LEG_GAP_MS = 75_000
"""A trip never ends sooner after its last leg: a copy follows within 60 s, and must not overtake itself."""
MIN_HOLD_BEFORE_TURN_MS = 10 * MINUTE_MS
COOL_OFF_MS = 150_000
CHUNK_ROWS = 64


class Role(IntEnum):
    """What a leg does to its trip."""

    ENTRY = 0
    ADD = 1
    PART = 2
    EXIT = 3


LEG = np.dtype(
    [
        ("t", "i8"),
        ("key", "u8"),
        ("role", "i2"),
        ("user", "i4"),
        ("coin", "i2"),
        ("px", "f8"),
        ("open_sign", "i8"),
        ("open_lots", "i8"),
        ("open_key", "u8"),
        ("close_sign", "i8"),
        ("close_key", "u8"),
        ("entry_lots", "i8"),
        ("add_lots", "i8"),
        ("part_lots", "i8"),
        ("is_liquidation", "?"),
    ]
)
"""One intended change of a position: it opens `open_lots` and closes what the trip `close_key` came to hold. A turn
does both at once."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Legs of a window, unordered, and the trips that ended in it."""

    legs: NDArray[np.void]
    closed: NDArray[np.void]


class Desk:
    """Open trips and what each trader may do next."""

    def __init__(self, population: Population, path: PricePath) -> None:
        self._traits = population.traits
        self._path = path
        self._coins = population.coin_weight.shape[1]
        self.open_trips = no_plans()
        self._busy_until: dict[int, int] = {}
        self._resting_until: dict[int, int] = {}
        self._dead: set[int] = set()

    @property
    def dead(self) -> set[int]:
        """Accounts that were liquidated."""
        return self._dead

    def window(self, plans: NDArray[np.void], from_ms: int, to_ms: int) -> Outcome:
        """Advance over (from, to]; `plans` are those of the window, by time."""
        trips = np.concatenate([self.open_trips, plans]) if len(plans) else self.open_trips
        if not len(trips):
            return Outcome(np.zeros(0, dtype=LEG), no_plans())
        self._find_exits(trips, from_ms, to_ms)
        held = len(self.open_trips)
        turned_by = np.full(len(trips), -1)
        accepted = np.arange(len(trips)) < held
        if len(plans):
            self._decide(trips, held, accepted, turned_by)
        ended = np.where(turned_by >= 0, trips["exit_ms"], _settled(trips))
        is_closed = accepted & (ended <= to_ms)
        legs = self._legs(trips, accepted, turned_by, ended, is_closed, held, from_ms, to_ms)
        closed = trips[is_closed]
        closed["exit_ms"] = ended[is_closed]
        self._remember(closed[turned_by[is_closed] < 0])
        self.open_trips = trips[accepted & ~is_closed]
        return Outcome(legs, closed)

    def _remember(self, closed: NDArray[np.void]) -> None:
        """After a trip that was not turned its coin is let be for a while; a doomed account waits for the next day."""
        for user, coin, end in zip(
            closed["user"].tolist(), closed["coin"].tolist(), closed["exit_ms"].tolist(), strict=True
        ):
            self._busy_until[user * self._coins + coin] = end + COOL_OFF_MS
        doomed = closed[closed["is_doomed"]]
        for user, end in zip(doomed["user"].tolist(), doomed["exit_ms"].tolist(), strict=True):
            self._resting_until[user] = (end // DAY_MS + 1) * DAY_MS
        self._dead.update(doomed["user"][self._hit_stop(doomed)].tolist())

    def _find_exits(self, trips: NDArray[np.void], from_ms: int, to_ms: int) -> None:
        """First crossing of a level on the price grid, or the time-out, for trips that have none yet."""
        rows, first_ms, step_ms = self._path.rows(from_ms, to_ms)
        searched = np.flatnonzero(trips["exit_ms"] == FOREVER_MS)
        start = np.maximum(0, -((first_ms - trips["watch_ms"][searched]) // step_ms))
        row = first_crossing(rows, trips["coin"][searched], trips["low"][searched], trips["high"][searched], start)
        crossed = np.where(row >= 0, first_ms + step_ms * row, FOREVER_MS)
        exit_ms = np.minimum(crossed, trips["timeout_ms"][searched])
        trips["exit_ms"][searched] = np.where(exit_ms <= to_ms, exit_ms, FOREVER_MS)

    def _hit_stop(self, trips: NDArray[np.void]) -> NDArray[np.bool_]:
        px = self._path.at(trips["coin"], trips["exit_ms"])
        return np.where(trips["direction"] > 0, px <= trips["low"] * 1.002, px >= trips["high"] * 0.998)

    def _decide(
        self, trips: NDArray[np.void], held: int, accepted: NDArray[np.bool_], turned_by: NDArray[np.int64]
    ) -> None:
        """Go through the wishes in order of time; `trips` and both marks are changed in place."""
        chain = (trips["user"].astype(np.int64) * self._coins + trips["coin"]).tolist()
        open_in = {chain[i]: i for i in range(held)}
        new = np.arange(held, len(trips))
        times, users, directions = (trips[name][new].tolist() for name in ("t", "user", "direction"))
        ideas, doomed = trips["idea"][new].tolist(), trips["is_doomed"][new].tolist()
        chance = unit(trips["key"][new], Draw.TURN)
        traits = self._traits[trips["user"][new]]
        turns, adds = (chance < traits["flip"]).tolist(), (unit(trips["key"][new], Draw.ADD) < traits["add"]).tolist()
        rest = (between(trips["key"][new], Draw.REST, 0.5, 1.5) * traits["rest_min"] * MINUTE_MS).astype(int).tolist()
        for k, i in enumerate(new.tolist()):
            t, user = times[k], users[k]
            staged = ideas[k] == Idea.STAGED
            if user in self._dead or (not staged and t < self._resting_until.get(user, 0)):
                continue
            j = open_in.get(chain[i], -1)
            if j >= 0 and (end := _settled_one(trips, j)) <= t:
                self._busy_until[chain[j]] = end + COOL_OFF_MS
                if doomed[k]:
                    self._resting_until[user] = (end // DAY_MS + 1) * DAY_MS
                j = -1
            if j < 0 and t >= max(self._busy_until.get(chain[i], 0), self._resting_until.get(user, 0) * doomed[k]):
                accepted[i] = True
                open_in[chain[i]] = i
            elif j < 0 or not _react(trips, i, j, directions[k], turns[k], adds[k], accepted, turned_by):
                continue
            elif turned_by[j] == i:
                open_in[chain[i]] = i
            self._resting_until[user] = t + rest[k]

    def _legs(
        self,
        trips: NDArray[np.void],
        accepted: NDArray[np.bool_],
        turned_by: NDArray[np.int64],
        ended: NDArray[np.int64],
        is_closed: NDArray[np.bool_],
        held: int,
        from_ms: int,
        to_ms: int,
    ) -> NDArray[np.void]:
        entered = np.flatnonzero(accepted & (np.arange(len(trips)) >= held))
        entries = _leg(trips[entered], Role.ENTRY, trips["t"][entered])
        entries["open_lots"], entries["open_sign"] = trips["lots"][entered], trips["direction"][entered]
        turned = np.flatnonzero(turned_by >= 0)
        _closing(entries, np.searchsorted(entered, turned_by[turned]), trips[turned])
        before_exit = trips["add_ms"] < trips["exit_ms"]
        added = np.flatnonzero(accepted & before_exit & (trips["add_ms"] > from_ms) & (trips["add_ms"] <= to_ms))
        adds = _leg(trips[added], Role.ADD, trips["add_ms"][added])
        adds["open_lots"], adds["open_sign"] = trips["add_lots"][added], trips["direction"][added]
        inside = (trips["part_ms"] > from_ms) & (trips["part_ms"] <= to_ms)
        parted = np.flatnonzero(accepted & inside & (trips["part_ms"] < trips["exit_ms"]))
        parts = _leg(trips[parted], Role.PART, trips["part_ms"][parted])
        parts["open_lots"], parts["open_sign"] = trips["part_lots"][parted], -trips["direction"][parted]
        parts["entry_lots"] = trips["lots"][parted]
        left = np.flatnonzero(is_closed & (turned_by < 0))
        latency = between(trips["key"][left], Draw.LATENCY, 200.0, 2_500.0).astype(np.int64)
        exits = _leg(trips[left], Role.EXIT, ended[left] + latency)
        _closing(exits, np.arange(len(left)), trips[left])
        exits["is_liquidation"] = trips["is_doomed"][left] & self._hit_stop(trips[left])
        return np.concatenate([entries, adds, parts, exits])


def first_crossing(
    rows: NDArray[np.int64],
    coin: NDArray[np.integer],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    start: NDArray[np.int64],
) -> NDArray[np.int64]:
    """First row >= start at which the price is <= low or >= high, -1 if none; one search per trip.

    Rows are searched in chunks: extremes first, single rows only where a chunk crosses.
    """
    found = np.full(len(coin), -1, dtype=np.int64)
    alive = np.arange(len(coin))
    for first in range(0, len(rows), CHUNK_ROWS):
        chunk = rows[first : first + CHUNK_ROWS]
        lowest, highest = chunk.min(axis=0), chunk.max(axis=0)
        c = coin[alive]
        near = alive[(start[alive] < first + len(chunk)) & ((lowest[c] <= low[alive]) | (highest[c] >= high[alive]))]
        if near.size:
            px = chunk[:, coin[near]]
            hit = (px <= low[near]) | (px >= high[near])
            hit &= np.arange(first, first + len(chunk))[:, None] >= start[near]
            row = hit.argmax(axis=0)
            is_hit = hit[row, np.arange(near.size)]
            found[near[is_hit]] = first + row[is_hit]
            alive = alive[found[alive] < 0]
    return found


def _settled(trips: NDArray[np.void]) -> NDArray[np.int64]:
    """When each trip really ends: its exit, but not right after a leg that came before the exit."""
    end = trips["exit_ms"].copy()
    for leg in ("add_ms", "part_ms"):
        end = np.where(
            trips[leg] < trips["exit_ms"], np.maximum(end, np.minimum(trips[leg], FOREVER_MS // 2) + LEG_GAP_MS), end
        )
    return end


def _settled_one(trips: NDArray[np.void], i: int) -> int:
    end = int(trips["exit_ms"][i])
    legs = [int(trips[leg][i]) for leg in ("add_ms", "part_ms")]
    return max([end, *(at + LEG_GAP_MS for at in legs if at < end)]) if end < FOREVER_MS else FOREVER_MS


def _react(
    trips: NDArray[np.void],
    i: int,
    j: int,
    direction: int,
    turns: bool,
    adds: bool,
    accepted: NDArray[np.bool_],
    turned_by: NDArray[np.int64],
) -> bool:
    """A wish i meets the open trip j: it adds, turns, or is let pass (False)."""
    t = int(trips["t"][i])
    part = int(trips["part_ms"][j])
    last_leg = max(int(trips["t"][j]), *(at for at in (part, int(trips["add_ms"][j])) if at < t), 0)
    if t >= int(trips["exit_ms"][j]) or t < int(trips["watch_ms"][j]) or t < last_leg + LEG_GAP_MS:
        return False
    if direction == int(trips["direction"][j]):
        if not adds or int(trips["add_ms"][j]) != FOREVER_MS:
            return False
        trips["add_ms"][j] = t
        return True
    if not turns or t < int(trips["t"][j]) + MIN_HOLD_BEFORE_TURN_MS:
        return False
    trips["exit_ms"][j] = t
    turned_by[j] = i
    accepted[i] = True
    return True


def _leg(trips: NDArray[np.void], role: Role, times: NDArray[np.int64]) -> NDArray[np.void]:
    legs = np.zeros(len(trips), dtype=LEG)
    legs["t"], legs["role"] = times, role
    for name in ("key", "user", "coin", "px"):
        legs[name] = trips[name]
    legs["open_key"] = trips["key"]
    return legs


def _closing(legs: NDArray[np.void], rows: NDArray[np.int64], trips: NDArray[np.void]) -> None:
    """Let the legs at `rows` close the trips."""
    legs["close_sign"][rows] = -trips["direction"]
    legs["close_key"][rows] = trips["key"]
    legs["entry_lots"][rows] = trips["lots"]
    legs["add_lots"][rows] = np.where(trips["add_ms"] < trips["exit_ms"], trips["add_lots"], 0)
    legs["part_lots"][rows] = np.where(trips["part_ms"] < trips["exit_ms"], trips["part_lots"], 0)
