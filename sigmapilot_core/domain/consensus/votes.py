"""Votes of one asset: cast by acts, replaced, withdrawn and expired, as steps (spec 2).

Time is exchange time: a vote leaves when the asset's watermark (the newest exchange time seen, or a timer's deadline)
has passed its time plus the life of a vote.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter

from sigmapilot_core.domain.consensus import acts
from sigmapilot_core.domain.consensus.acts import Act
from sigmapilot_core.domain.events import ZERO, Direction, Fill
from sigmapilot_core.domain.frozen import quick
from sigmapilot_core.domain.params import ConsensusParams, PosteriorParams
from sigmapilot_core.domain.traders import posterior

NOTIONAL_SCALE_USD = 10_000.0
NOTIONAL_LOG_CAP = 4.0  # ln(1 + N/10 000)/4 reaches 1 at about 536 000 USD
QUIET_PERCENTILE, VIOLENT_PERCENTILE = 20.0, 80.0
QUIET_FACTOR, VIOLENT_FACTOR = 0.5, 2.0

_DEFAULTS = ConsensusParams()
_TIME_THEN_TRADER = attrgetter("voted_at_ms", "user")


class VoteChange(StrEnum):
    """What happened to a vote. `UPDATED`: a later fill of the same act; the others change the set."""

    CAST = "cast"
    REPLACED = "replaced"
    UPDATED = "updated"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    DROPPED = "dropped"


@quick
@dataclass(frozen=True, slots=True)
class Vote:
    """One trader's vote on one asset. `price` is the act's VWAP, `notional` its value in USD; `fills` names the act's
    fills by (time_ms, tid).
    """

    user: str
    coin: str
    direction: Direction
    voted_at_ms: int
    price: Decimal
    notional: Decimal
    fills: tuple[tuple[int, int], ...]

    @property
    def fill_ids(self) -> tuple[str, ...]:
        """The fills' identities as stored: user:time:coin:tid."""
        return tuple(f"{self.user}:{time_ms}:{self.coin}:{tid}" for time_ms, tid in self.fills)


@quick
@dataclass(frozen=True, slots=True)
class TraderState:
    """What is kept per (pool trader, coin): the act in progress, the vote that stands, and the largest |position|
    since it was cast: half of that or less withdraws it.
    """

    act: Act | None = None
    vote: Vote | None = None
    peak: Decimal = ZERO


def on_fill(
    state: TraderState, fill: Fill, before: Decimal, after: Decimal, params: ConsensusParams = _DEFAULTS
) -> tuple[TraderState, VoteChange | None]:
    """Apply one fill of a pool trader; `before` and `after` are the signed positions around it.

    The newest vote counts: an act that meets the rule casts a vote or replaces the one that stands; the later fills
    of that act update its price and notional but not its time. A position that is gone, turned or cut to half of its
    peak withdraws the vote.
    """
    act = acts.step(state.act, fill, before, after, params)
    vote = state.vote
    if act.voted_at_ms is not None and after and (after > 0) == act.is_buy:
        if vote is not None and vote.fills[0] == act.fills[0]:
            return TraderState(act, _vote(act, fill), max(abs(after), state.peak)), VoteChange.UPDATED
        return TraderState(act, _vote(act, fill), abs(after)), VoteChange.CAST if vote is None else VoteChange.REPLACED
    return _checked(TraderState(act, vote, state.peak), after)


def on_position(state: TraderState, position: Decimal) -> tuple[TraderState, VoteChange | None]:
    """The position is another than the fills said: the act ends, the vote stands only with more than half its peak."""
    return _checked(TraderState(None, state.vote, state.peak), position)


def without_vote(state: TraderState) -> TraderState:
    """The vote expired: what is left is the act."""
    return TraderState(state.act)


def _checked(state: TraderState, position: Decimal) -> tuple[TraderState, VoteChange | None]:
    vote = state.vote
    if vote is None:
        return state, None
    if position * vote.direction.sign <= state.peak / 2:
        return TraderState(state.act), VoteChange.WITHDRAWN
    return TraderState(state.act, vote, max(state.peak, abs(position))), None


@quick
@dataclass(frozen=True, slots=True)
class VoteSet:
    """The votes that stand on one asset, by trader, and the watermark up to which they were looked at."""

    coin: str
    votes: Mapping[str, Vote] = field(default_factory=dict)
    watermark_ms: int = 0

    def with_vote(self, user: str, vote: Vote | None) -> VoteSet:
        """The set with the trader's vote put, replaced or (None) removed."""
        votes = dict(self.votes)
        votes.pop(user, None)
        if vote is not None:
            votes[user] = vote
        return VoteSet(self.coin, votes, self.watermark_ms)

    def heads(self) -> tuple[int, int]:
        """(voters for long, voters for short)."""
        longs = [vote.direction for vote in self.votes.values()].count(Direction.LONG)
        return longs, len(self.votes) - longs

    def ordered(self) -> tuple[Vote, ...]:
        """By time, then trader: the same for every order in which votes of one instant arrived."""
        return tuple(sorted(self.votes.values(), key=_TIME_THEN_TRADER))


def advance(vote_set: VoteSet, watermark_ms: int, life_ms: int) -> tuple[VoteSet, tuple[Vote, ...]]:
    """The set at a later watermark and the votes that left it: those with time + life before the watermark."""
    watermark_ms = max(watermark_ms, vote_set.watermark_ms)
    gone = tuple(vote for vote in vote_set.ordered() if vote.voted_at_ms + life_ms < watermark_ms)
    left = {vote.user for vote in gone}
    kept = {user: vote for user, vote in vote_set.votes.items() if user not in left}
    return VoteSet(vote_set.coin, kept, watermark_ms), gone


def next_deadline_ms(vote_set: VoteSet, life_ms: int) -> int | None:
    """The first instant at which a vote has expired: one millisecond after its time plus life; None without votes."""
    if not vote_set.votes:
        return None
    return min([vote.voted_at_ms for vote in vote_set.votes.values()]) + life_ms + 1


def life_ms(atr_percentile: float | None, params: ConsensusParams = _DEFAULTS) -> int:
    """window x staleness factor x (0.5 / 1 / 2 for an ATR percentile < 20 / 20-80 / > 80), milliseconds.

    An unknown percentile gives the shortest life: no vote counts longer than it would if it were known.
    """
    return round(1000 * params.window_s * params.staleness_factor * _life_factor(atr_percentile))


def vote_weight(kappa: float, notional_usd: float, params: PosteriorParams | None = None) -> float:
    """kappa/(kappa+10) x min(1, ln(1 + notional/10 000)/4).

    Errors: ValueError unless kappa is above zero and the notional finite and not negative.
    """
    if not (kappa > 0 and math.isfinite(kappa)) or not (notional_usd >= 0 and math.isfinite(notional_usd)):
        raise ValueError(f"kappa must be above 0 and notional_usd not negative, got {kappa} and {notional_usd}")
    size = min(1.0, math.log1p(notional_usd / NOTIONAL_SCALE_USD) / NOTIONAL_LOG_CAP)
    return posterior.weight(kappa, params or PosteriorParams()) * size


def _life_factor(atr_percentile: float | None) -> float:
    if atr_percentile is None or not atr_percentile >= QUIET_PERCENTILE:  # a NaN is unknown, too
        return QUIET_FACTOR
    return VIOLENT_FACTOR if atr_percentile > VIOLENT_PERCENTILE else 1.0


def _vote(act: Act, fill: Fill) -> Vote:
    assert act.voted_at_ms is not None
    direction = Direction.LONG if act.is_buy else Direction.SHORT
    return Vote(fill.user, fill.coin, direction, act.voted_at_ms, act.vwap, act.notional, act.fills)
