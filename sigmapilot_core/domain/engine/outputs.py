"""What the engine says happened; every effect carries a deterministic identity."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sigmapilot_core.domain.consensus.decision import Decision
from sigmapilot_core.domain.consensus.inputs import DecisionInputs
from sigmapilot_core.domain.consensus.outcome import Followed, Outcome
from sigmapilot_core.domain.consensus.votes import Vote, VoteChange
from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.frozen import quick
from sigmapilot_core.domain.traders.episode import Episode, OpenEpisode
from sigmapilot_core.domain.traders.episodes import EpisodeState
from sigmapilot_core.domain.traders.ledger import Action


@quick
@dataclass(frozen=True, slots=True)
class FillStored:
    """A tracked trader's fill with what it did; `state` is that of (user, coin) after it.

    `realised` is None where the entry price was unknown, `episode_id` while the position is ignored.
    """

    fill: Fill
    action: Action
    position_after: Decimal
    realised: Decimal | None
    episode_id: str | None
    state: EpisodeState
    received_ms: int
    seq: int


@quick
@dataclass(frozen=True, slots=True)
class EpisodeOpened:
    """An episode began, or was met mid-life."""

    episode: OpenEpisode


@quick
@dataclass(frozen=True, slots=True)
class EpisodeClosed:
    """An episode ended."""

    episode: Episode


@dataclass(frozen=True, slots=True)
class EpisodeGap:
    """The open episode of (user, coin) has missed fills and will not be learnt from."""

    user: str
    coin: str
    episode_id: str | None


@quick
@dataclass(frozen=True, slots=True)
class PositionRestated:
    """The state of (user, coin) changed without a fill: primed, reconciled or timed out."""

    user: str
    coin: str
    state: EpisodeState
    at_ms: int


@dataclass(frozen=True, slots=True)
class TraderPrimed:
    """The account's positions are known as of this instant and followed from here on."""

    user: str
    as_of_ms: int


@dataclass(frozen=True, slots=True)
class TrackingChanged:
    """The followed set changed; `added` accounts wait for `PositionsPrimed`."""

    added: tuple[str, ...]
    removed: tuple[str, ...]


@quick
@dataclass(frozen=True, slots=True)
class VoteChanged:
    """The set of votes on an asset changed; `vote` is the new one, or the one that left."""

    coin: str
    user: str
    change: VoteChange
    vote: Vote
    at_ms: int


@quick
@dataclass(frozen=True, slots=True)
class DecisionMade:
    """A decision to write. `key` is what deduplication goes on from after a restart."""

    inputs: DecisionInputs
    decision: Decision
    key: str


@dataclass(frozen=True, slots=True)
class FollowedMoved:
    """Where a followed decision stands; the first one begins it."""

    state: Followed


@dataclass(frozen=True, slots=True)
class OutcomeClosed:
    """A followed decision ended."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class LateTrade:
    """A trade too old to tell whether it was applied already; it was not applied."""

    coin: str
    time_ms: int
    tid: int
    newest_ms: int


class GapKind(StrEnum):
    """What was missed: a stretch of the feed, an account's position, a trade that cannot be used."""

    FEED = "feed"
    LEDGER = "ledger"
    BAD_TRADE = "bad_trade"


@dataclass(frozen=True, slots=True)
class GapFound:
    """Something was missed between two instants."""

    kind: GapKind
    coin: str | None
    user: str | None
    from_ms: int
    to_ms: int
    detail: str


@quick
@dataclass(frozen=True, slots=True)
class NextTimer:
    """The earliest instant at which the engine wants a `TimerFired`; None for none. Replaces what was asked before."""

    deadline_ms: int | None


Output = (
    FillStored
    | EpisodeOpened
    | EpisodeClosed
    | EpisodeGap
    | PositionRestated
    | TraderPrimed
    | TrackingChanged
    | VoteChanged
    | DecisionMade
    | FollowedMoved
    | OutcomeClosed
    | LateTrade
    | GapFound
    | NextTimer
)
