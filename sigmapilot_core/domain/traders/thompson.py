"""Choosing the pool by Thompson sampling, repeatable from its stored key (spec 1.6).

The rule of the draw, so that it can be repeated anywhere: eligible traders sorted by address; one numpy generator
over Philox with the 128-bit key; first all gammas (shape alpha, scale 1/beta), then all standard normals, each in
that order; mu = m + z / sqrt(kappa gamma).

Whoever picks the best fifty of a thousand estimates picks luck as well. Draws are therefore taken from posteriors that
are shrunk towards the mean of everybody known (`Crowd`); votes keep the trader's own posterior. The crowd of a draw is
stored with it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from sigmapilot_core.domain.events import Verdict
from sigmapilot_core.domain.params import BanditParams
from sigmapilot_core.domain.traders.filters import LEADERBOARD_FILTERS, FilterResult, combined
from sigmapilot_core.domain.traders.learning import TraderLearning, has_enough_mean
from sigmapilot_core.domain.traders.posterior import Posterior

_DEFAULTS = BanditParams()
MIN_CROWD = 30
MAX_CROWD_EPISODES = 100.0


class Group(StrEnum):
    """Which kind of slot a trader competes for, or was given."""

    EXPLOIT = "exploit"
    EXPLORE = "explore"


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the choice needs of a trader.

    `leaderboard` is the verdict of filters 1-4, `requests` of 5-7. `is_alive` None is unknown and not eligible.
    `n_eff_attainable` is what `n_eff` grows to at his rate, None while no episode of his is known.
    """

    address: str
    leaderboard: Verdict
    requests: Verdict
    is_alive: bool | None
    posterior: Posterior
    n_eff: float
    mean_gross_unclamped: float | None
    n_eff_attainable: float | None = None


@dataclass(frozen=True, slots=True)
class Entrant:
    """An eligible trader on his way into the draw, with the group he competes in and why."""

    address: str
    posterior: Posterior
    group: Group
    why: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """One eligible trader and his draw. `rank` (from 1) is by draw among all eligible, ties by address.

    `group` is what he competed in; `slot` the kind of slot he got, None if none. `reason` says why.
    """

    address: str
    draw: float
    rank: int
    group: Group
    slot: Group | None
    reason: str


@dataclass(frozen=True, slots=True)
class Excluded:
    """A candidate that is not eligible, and why."""

    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class Crowd:
    """What is believed of a trader before his own episodes: the mean R of everybody, worth so many episodes."""

    mean_r: float
    episodes: float


@dataclass(frozen=True, slots=True)
class Selection:
    """One draw of the pool. `drawn` by rank, `excluded` by address; `reason` tells of spilled or empty slots.

    `crowd` is what the draws were shrunk towards, None where they were not.
    """

    selection_date: dt.date
    version: int
    key_hex: str
    drawn: tuple[Drawn, ...]
    excluded: tuple[Excluded, ...]
    reason: str
    crowd: Crowd | None = None

    @property
    def pool(self) -> tuple[Drawn, ...]:
        """Those who got a slot, by rank."""
        return tuple(row for row in self.drawn if row.slot is not None)


Score = Callable[[Sequence[Entrant], int], Sequence[float]]
"""(eligible by address, key) -> what they are ranked by instead of draws."""


def candidate_of(result: FilterResult, learning: TraderLearning, is_alive: bool | None) -> Candidate:
    """A candidate from his filter verdicts and what was learnt of him."""
    return Candidate(
        address=result.address,
        leaderboard=result.leaderboard_verdict,
        requests=combined(check.verdict for check in result.checks[len(LEADERBOARD_FILTERS) :]),
        is_alive=is_alive,
        posterior=learning.posterior,
        n_eff=learning.n_eff,
        mean_gross_unclamped=learning.mean_gross_unclamped,
        n_eff_attainable=learning.n_eff_attainable,
    )


def philox_key(selection_date: dt.date, version: int) -> int:
    """First 128 bits, big-endian, of SHA-256 of "<ISO date>:<version>"."""
    digest = hashlib.sha256(f"{selection_date.isoformat()}:{version}".encode()).digest()
    return int.from_bytes(digest[:16], "big")


def group_of(candidate: Candidate, params: BanditParams = _DEFAULTS) -> tuple[Group | None, str]:
    """The group a candidate competes in, or None and the reason he is not eligible.

    Exploit: all seven filters passed and n_eff at least `min_episodes`. Explore: the other eligible ones, among them
    those whose filters 5-7 are unknown. Whoever trades too seldom ever to reach `min_episodes` is not eligible, unless
    `explore_slow`: he would take a slot of exploration for good and never be known well enough to leave it.
    """
    if candidate.leaderboard is not Verdict.PASS:
        return None, f"filters 1-4: {candidate.leaderboard.value}"
    if candidate.requests is Verdict.FAIL:
        return None, "filters 5-7: fail"
    if candidate.is_alive is not True:
        return None, "not alive" if candidate.is_alive is False else "not known to be alive"
    if not has_enough_mean(candidate.n_eff, candidate.mean_gross_unclamped, params):
        mean = candidate.mean_gross_unclamped
        return (
            None,
            f"mean unclamped gross R {'unknown' if mean is None else f'{mean:.3f}'} at n_eff {candidate.n_eff:.1f}",
        )
    attainable = candidate.n_eff_attainable
    is_slow = candidate.n_eff < params.min_episodes and attainable is not None and attainable < params.min_episodes
    if is_slow and not params.explore_slow:
        return None, f"trades too seldom: n_eff {candidate.n_eff:.1f}, at this rate never above {attainable:.1f}"
    if candidate.requests is Verdict.UNKNOWN:
        return Group.EXPLORE, "filters 5-7 unknown"
    if candidate.n_eff < params.min_episodes:
        return Group.EXPLORE, f"n_eff {candidate.n_eff:.1f} is below {params.min_episodes:g}"
    return Group.EXPLOIT, f"n_eff {candidate.n_eff:.1f}"


def draws_of(posteriors: Sequence[Posterior], key: int) -> np.ndarray:
    """One draw of mu for each posterior, in the order given: g ~ Gamma(alpha, rate beta), mu ~ N(m, 1/(g kappa))."""
    rng = np.random.Generator(np.random.Philox(key=key))
    m, kappa, alpha, beta = _columns(posteriors)
    gamma = rng.gamma(shape=alpha, scale=1.0 / beta)
    return np.asarray(m + rng.standard_normal(len(posteriors)) / np.sqrt(gamma * kappa))


def crowd_of(posteriors: Sequence[Posterior]) -> Crowd | None:
    """Mean R of traders, and how many episodes of one's own weigh as much (moments of the normal-normal model).

    Traders differ by tau^2 = Var(m) - E[s^2 / kappa] beyond the noise of their means, s^2 = beta / (alpha - 1) being
    that of one episode; the mean is worth E[s^2] / tau^2 episodes, at most `MAX_CROWD_EPISODES`. None below
    `MIN_CROWD` traders.
    """
    if len(posteriors) < MIN_CROWD:
        return None
    m, kappa, alpha, beta = _columns(posteriors)
    noise = beta / (alpha - 1.0)
    between = float(m.var() - (noise / kappa).mean())
    worth = float(noise.mean())
    episodes = MAX_CROWD_EPISODES if between * MAX_CROWD_EPISODES <= worth else worth / between
    return Crowd(float(m.mean()), episodes)


def shrunk(posterior: Posterior, crowd: Crowd) -> Posterior:
    """The posterior with the crowd's mean as so many episodes more; what is believed of its variance stays."""
    kappa = posterior.kappa + crowd.episodes
    m = (posterior.kappa * posterior.m + crowd.episodes * crowd.mean_r) / kappa
    return Posterior(m, kappa, posterior.alpha, posterior.beta)


def _columns(posteriors: Sequence[Posterior]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    m, kappa, alpha, beta = (
        np.array([getattr(p, name) for p in posteriors], dtype=np.float64) for name in ("m", "kappa", "alpha", "beta")
    )
    return m, kappa, alpha, beta


def slots(params: BanditParams = _DEFAULTS) -> tuple[int, int]:
    """(exploit, explore) slots: max(1, floor(20 %)) explore, the rest exploit. Errors: ValueError for no slot."""
    if params.pool_size < 1:
        raise ValueError(f"pool_size must be at least 1, got {params.pool_size}")
    # the sum guards 0.2 x 50 against 9.999...
    explore = min(params.pool_size, max(1, int(params.exploration_share * params.pool_size + 1e-9)))
    return params.pool_size - explore, explore


def choose_pool(
    candidates: Sequence[Candidate],
    selection_date: dt.date,
    version: int,
    params: BanditParams = _DEFAULTS,
    score: Score | None = None,
) -> Selection:
    """Draw once for every eligible trader and fill the slots; slots a group cannot fill go to the other.

    `score` stands in for the draws where the evaluation compares other orders; it is given the eligible by address and
    the key. Errors: ValueError for a repeated address.
    """
    by_address = sorted(candidates, key=lambda candidate: candidate.address)
    if len({candidate.address for candidate in by_address}) != len(by_address):
        raise ValueError("candidates must have distinct addresses")
    groups = [group_of(candidate, params) for candidate in by_address]
    eligible = [(c, g, why) for c, (g, why) in zip(by_address, groups, strict=True) if g is not None]
    excluded = tuple(Excluded(c.address, why) for c, (g, why) in zip(by_address, groups, strict=True) if g is None)
    entrants = [Entrant(c.address, c.posterior, g, why) for c, g, why in eligible]
    known = [c.posterior for c in by_address if c.n_eff >= params.mean_check_episodes]
    crowd = crowd_of(known) if params.shrink_draws else None
    return replace(draw_among(entrants, selection_date, version, params, score, crowd), excluded=excluded)


def draw_among(
    entrants: Sequence[Entrant],
    selection_date: dt.date,
    version: int,
    params: BanditParams = _DEFAULTS,
    score: Score | None = None,
    crowd: Crowd | None = None,
) -> Selection:
    """The draw itself: one value of each eligible trader from the key, ranks and slots; nobody is excluded here."""
    by_address = sorted(entrants, key=lambda entrant: entrant.address)
    key = philox_key(selection_date, version)
    believed = [one.posterior if crowd is None else shrunk(one.posterior, crowd) for one in by_address]
    draws = list(score(by_address, key)) if score else draws_of(believed, key).tolist()
    ranked = sorted(zip(draws, by_address, strict=True), key=lambda item: (-item[0], item[1].address))
    sizes = {group: sum(entrant.group is group for _, entrant in ranked) for group in Group}
    seats, reason = _seats(sizes, params)
    drawn = _seated(ranked, seats, params)
    return Selection(selection_date, version, f"{key:032x}", drawn, (), reason, crowd)


def _seats(sizes: dict[Group, int], params: BanditParams) -> tuple[dict[Group, int], str]:
    """How many traders of each group get a slot, and what to tell of slots that moved or stay empty."""
    exploit, explore = slots(params)
    for_exploit = min(sizes[Group.EXPLOIT], exploit + max(0, explore - sizes[Group.EXPLORE]))
    for_explore = min(sizes[Group.EXPLORE], explore + max(0, exploit - sizes[Group.EXPLOIT]))
    notes = []
    if for_explore > explore:
        notes.append(f"{for_explore - explore} exploit slots went to explore: only {sizes[Group.EXPLOIT]} eligible")
    if for_exploit > exploit:
        notes.append(f"{for_exploit - exploit} explore slots went to exploit: only {sizes[Group.EXPLORE]} eligible")
    empty = params.pool_size - for_exploit - for_explore
    if empty:
        notes.append(f"{empty} slots are empty: too few eligible traders")
    return {Group.EXPLOIT: for_exploit, Group.EXPLORE: for_explore}, "; ".join(notes)


def _seated(ranked: list[tuple[float, Entrant]], seats: dict[Group, int], params: BanditParams) -> tuple[Drawn, ...]:
    """Every eligible trader with the kind of slot he got: own slots first, then those spilled from the other group."""
    own = dict(zip(Group, slots(params), strict=True))
    place = dict.fromkeys(Group, 0)
    rows: list[Drawn] = []
    for rank, (draw, entrant) in enumerate(ranked, start=1):
        group, why = entrant.group, entrant.why
        place[group] += 1
        other = Group.EXPLORE if group is Group.EXPLOIT else Group.EXPLOIT
        slot: Group | None = None
        if place[group] <= min(own[group], seats[group]):
            slot, text = group, f"{group.value} draw {place[group]} of {own[group]} slots; {why}"
        elif place[group] <= seats[group]:
            slot, text = other, f"{group.value} trader in a slot that {other.value} could not fill; {why}"
        else:
            text = f"{group.value} draw {place[group]} is behind {seats[group]} slots; {why}"
        rows.append(Drawn(entrant.address, draw, rank, group, slot, text))
    return tuple(rows)
