"""Who trades: kinds, equity, habits, copy groups, masters and their subs, and the background accounts.

Accounts are rows of one table: first the population, then the subs, then the background.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.params import DAY_MS
from sigmapilot_core.domain.simulation import kinds
from sigmapilot_core.domain.simulation.keys import Floats, address, stream
from sigmapilot_core.domain.simulation.kinds import HABITS, SHARES, Kind
from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.ticks import MICRO

_DRAWN = (
    "size", "notice", "notice_herd", "accuracy", "crowd", "crowd_accuracy", "own_per_day", "delay_s", "delay_sigma",
    "hold_h", "hold_sigma", "stop", "take_profit", "add", "flip", "part", "maker", "rest_min", "lookback_h",
    "threshold_sigmas", "session_h", "orders_per_day", "leverage", "taker_ppm", "maker_ppm",
)  # fmt: skip
FOREVER_MS = 2**62

TRAITS = np.dtype(
    [(name, "f8") for name in _DRAWN]
    + [
        ("kind", "i2"),
        ("equity0", "i8"),
        ("skilled_until", "i8"),
        ("only_coin", "i2"),
        ("only_regime", "i2"),
        ("rule_sign", "i8"),
        ("leader", "i4"),
        ("copy_ratio", "f8"),
        ("copy_miss", "f8"),
        ("master", "i4"),
        ("doom_ms", "i8"),
        ("is_twap", "?"),
        ("session_from_h", "f8"),
    ]
)
"""One account: a value of every habit, and what makes it special; -1 and `FOREVER_MS` stand for none."""


@dataclass(frozen=True, slots=True)
class Population:
    """All accounts. `coin_weight` (accounts, coins) is 0 where an account does not trade a coin; rows sum to 1 or 0.

    `copy_start`, `copies` list the copies of each leader: those of account i are copies[start[i]:start[i + 1]].
    """

    addresses: tuple[str, ...]
    traits: NDArray[np.void]
    coin_weight: Floats
    copy_start: NDArray[np.int64]
    copies: NDArray[np.int64]
    traders: int
    index_of: dict[str, int]

    def __len__(self) -> int:
        return len(self.traits)

    @property
    def kind(self) -> NDArray[np.int16]:
        """Kind of every account."""
        return self.traits["kind"]

    @property
    def background(self) -> NDArray[np.int64]:
        """The background accounts; the first one takes liquidations."""
        return np.flatnonzero(self.kind == Kind.BACKGROUND)

    def copies_of(self, leader: int) -> NDArray[np.int64]:
        """Accounts that copy a leader."""
        return self.copies[self.copy_start[leader] : self.copy_start[leader + 1]]


def counts_of(traders: int) -> dict[Kind, int]:
    """Accounts per kind: shares rounded by the largest remainders, so that they sum to `traders`."""
    exact = {kind: share * traders for kind, share in SHARES.items()}
    counts = {kind: int(value + 1e-9) for kind, value in exact.items()}
    by_remainder = sorted(SHARES, key=lambda kind: (counts[kind] - exact[kind], kind))
    for kind in by_remainder[: traders - sum(counts.values())]:
        counts[kind] += 1
    return counts


def build_population(settings: WorldSettings) -> Population:
    """The accounts of a world."""
    rng = stream(settings.seed, "population")
    kind = np.repeat([int(k) for k in SHARES], [counts_of(settings.traders)[k] for k in SHARES])
    masters = np.flatnonzero(kind == Kind.MASTER)
    subs_of = rng.integers(kinds.SUBS_OF_MASTER[0], kinds.SUBS_OF_MASTER[1] + 1, size=len(masters))
    kind = np.r_[kind, np.full(subs_of.sum(), Kind.SUB), np.full(kinds.BACKGROUND_ACCOUNTS, Kind.BACKGROUND)]
    traits = np.zeros(len(kind), dtype=TRAITS)
    traits["kind"] = kind
    for name in ("only_coin", "only_regime", "leader", "master"):
        traits[name] = -1
    traits["skilled_until"] = np.where(_has_skill(kind), FOREVER_MS, 0)
    traits["doom_ms"] = FOREVER_MS
    traits["master"][kind == Kind.SUB] = np.repeat(masters, subs_of)
    _draw_habits(rng, traits)
    weights = _universes(rng, settings, traits)
    _specialise(rng, settings, traits)
    _group(rng, traits)
    addresses = tuple(address(settings.seed, index) for index in range(len(kind)))
    start, copies = _copies(traits)
    return Population(
        addresses, traits, weights, start, copies, settings.traders, {a: i for i, a in enumerate(addresses)}
    )


def _has_skill(kind: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.isin(kind, (Kind.SKILLED, Kind.SPECIALIST, Kind.FADING, Kind.SUB))


def _draw_habits(rng: np.random.Generator, traits: NDArray[np.void]) -> None:
    """Every habit of every account, and Pareto equity."""
    for kind in Kind:
        rows = np.flatnonzero(traits["kind"] == kind)
        habits = HABITS[kind]
        for name in _DRAWN:
            low, high = getattr(habits, name)
            traits[name][rows] = rng.uniform(low, high, size=rows.size)
        equity = habits.equity_usd * (1.0 + rng.pareto(habits.equity_alpha, size=rows.size))
        traits["equity0"][rows] = np.minimum(equity, max(kinds.MAX_EQUITY_USD, habits.equity_usd)).round(2) * MICRO
    unskilled = np.flatnonzero(traits["kind"] == Kind.UNSKILLED)
    holders = unskilled[rng.random(unskilled.size) < kinds.HOLDER_SHARE]
    traits["stop"][holders] = rng.uniform(*kinds.HOLDER_STOP, size=holders.size)
    traits["take_profit"][holders] = rng.uniform(*kinds.HOLDER_TAKE_PROFIT, size=holders.size)
    traits["hold_h"][holders] *= 4.0
    traits["size"][holders] *= 0.4
    discretionary = np.isin(traits["kind"], (Kind.SKILLED, Kind.UNSKILLED, Kind.WHALE))
    traits["is_twap"] = discretionary & (rng.random(len(traits)) < kinds.TWAP_SHARE)


def _universes(rng: np.random.Generator, settings: WorldSettings, traits: NDArray[np.void]) -> Floats:
    """Which coins an account trades: majors mostly, one or two others; weights favour majors two to one."""
    is_major = np.array([coin.is_major for coin in settings.coins])
    traits["session_from_h"] = rng.uniform(0.0, 24.0, size=len(traits))
    shape = (len(traits), len(settings.coins))
    chance = np.where(is_major, 0.85, 0.20)
    traded = rng.random(shape) < chance
    first = np.flatnonzero(is_major)[0]
    traded[:, first] |= ~traded[:, is_major].any(axis=1)
    traded[traits["kind"] == Kind.DOOMED] &= is_major
    weight = np.where(traded, np.where(is_major, 2.0, 1.0) * rng.uniform(0.5, 1.5, size=shape), 0.0)
    one = np.flatnonzero(traits["kind"] == Kind.DOOMED)
    best = weight[one].argmax(axis=1)
    weight[one] = 0.0
    weight[one, best] = 1.0
    weight[np.isin(traits["kind"], (Kind.COPY, Kind.MASTER, Kind.BACKGROUND))] = 0.0
    return weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)


def _specialise(rng: np.random.Generator, settings: WorldSettings, traits: NDArray[np.void]) -> None:
    """What makes accounts of some kinds special, each from the same number of draws whatever their kind."""
    n = len(traits)
    kind = traits["kind"]
    is_coin = rng.random(n) < 0.5
    majors = np.flatnonzero([coin.is_major for coin in settings.coins])
    specialist = kind == Kind.SPECIALIST
    traits["only_coin"] = np.where(specialist & is_coin, rng.choice(majors, size=n), -1)
    traits["only_regime"] = np.where(specialist & ~is_coin, rng.integers(0, 3, size=n), -1)
    traits["notice"] = np.where(specialist & is_coin, np.maximum(traits["notice"], 0.5), traits["notice"])
    fade = settings.start_ms + (rng.uniform(0.35, 1.35, size=n) * settings.history_days * DAY_MS).astype(np.int64)
    traits["skilled_until"] = np.where(kind == Kind.FADING, fade, traits["skilled_until"])
    without = (kind == Kind.SUB) & (rng.random(n) < 0.5)
    traits["skilled_until"][without] = 0
    traits["rule_sign"] = np.where(kind == Kind.CHASER, 1, np.where(kind == Kind.FADER, -1, 0))
    doom = settings.start_ms + (rng.uniform(0.4, 1.8, size=n) * settings.history_days * DAY_MS).astype(np.int64)
    traits["doom_ms"] = np.where(kind == Kind.DOOMED, doom, FOREVER_MS)


def _group(rng: np.random.Generator, traits: NDArray[np.void]) -> None:
    """Copies in groups of 3 to 10; leaders are skilled and unskilled in turn."""
    copies = np.flatnonzero(traits["kind"] == Kind.COPY)
    sizes = _group_sizes(rng, len(copies))
    pools = [rng.permutation(np.flatnonzero(traits["kind"] == kind)) for kind in (Kind.SKILLED, Kind.UNSKILLED)]
    first = 0
    for group, size in enumerate(sizes):
        pool = pools[group % 2]
        leader = int(pool[(group // 2) % len(pool)])
        members = copies[first : first + size]
        first += size
        traits["leader"][members] = leader
        traits["is_twap"][leader] = False
        traits["size"][leader] = min(traits["size"][leader], kinds.MAX_LEADER_SIZE)
        taste = rng.uniform(0.7, 1.3, size=size)
        traits["copy_ratio"][members] = taste * traits["equity0"][members] / traits["equity0"][leader]
        traits["copy_miss"][members] = rng.uniform(0.03, 0.15, size=size)


def _group_sizes(rng: np.random.Generator, copies: int) -> list[int]:
    """Sizes that sum to `copies`: 4 to 8, the last one up to 10."""
    sizes: list[int] = []
    left = copies
    while left:
        sizes.append(left if left <= kinds.GROUP_SIZE[1] else int(rng.integers(kinds.GROUP_SIZE[0] + 1, 9)))
        left -= sizes[-1]
    return sizes


def _copies(traits: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    leader = traits["leader"].astype(np.int64)
    members = np.flatnonzero(leader >= 0)
    members = members[np.argsort(leader[members], kind="stable")]
    start = np.searchsorted(leader[members], np.arange(len(traits) + 1))
    return start.astype(np.int64), members
