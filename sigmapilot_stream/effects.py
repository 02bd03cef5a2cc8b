"""What a batch of inputs caused, gathered from the engine's outputs and committed as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import decision_store, stream_store
from sigmapilot_core.adapters.postgres.bulk import unanswered
from sigmapilot_core.adapters.postgres.decision_store import MadeDecision
from sigmapilot_core.adapters.postgres.stream_store import AppliedFill
from sigmapilot_core.domain.consensus.outcome import Followed, Outcome
from sigmapilot_core.domain.engine import outputs
from sigmapilot_core.domain.events import Trade
from sigmapilot_core.domain.traders.episode import Episode, OpenEpisode
from sigmapilot_core.domain.traders.episodes import EpisodeState


@dataclass(slots=True)
class DeadRecord:
    """An input that failed for good, and the coins it is about."""

    seq: int
    kind: str
    coins: tuple[str, ...]
    payload: bytes
    error: str


@dataclass(frozen=True, slots=True)
class Written:
    """What of a batch was new in the database: ids of decisions, public trades, fills of followed traders."""

    decisions: frozenset[str] = frozenset()
    trades: int = 0
    fills: int = 0


@dataclass(slots=True)
class Effects:
    """Effects of one batch; `last_seq` is the input up to which they are complete.

    `complete_coins` and `complete_users` were held against the venue after their last gap: their gaps are over.
    """

    partition: str
    last_seq: int = -1
    trades: list[tuple[Trade, int]] = field(default_factory=list)
    fills: list[AppliedFill] = field(default_factory=list)
    opened: dict[str, OpenEpisode] = field(default_factory=dict)
    closed: list[Episode] = field(default_factory=list)
    states: dict[tuple[str, str], EpisodeState] = field(default_factory=dict)
    tracked: tuple[tuple[str, ...], int] | None = None
    primed: dict[str, int] = field(default_factory=dict)
    decisions: list[MadeDecision] = field(default_factory=list)
    followed: dict[str, Followed] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    gaps: list[outputs.GapFound] = field(default_factory=list)
    dead: list[DeadRecord] = field(default_factory=list)
    complete_coins: set[str] = field(default_factory=set)
    complete_users: set[str] = field(default_factory=set)

    @property
    def is_empty(self) -> bool:
        """True if nothing but the progress would be written."""
        return not any(getattr(self, item.name) for item in fields(self) if item.name not in ("partition", "last_seq"))

    def take(self, output: outputs.Output, latency_ms: Callable[[int], float]) -> None:
        """Note one output of the engine."""
        match output:
            case outputs.FillStored():
                self._fill(output)
            case outputs.EpisodeOpened(episode=opened):
                self.opened[opened.id] = opened
            case outputs.EpisodeClosed(episode=closed):
                self.opened.pop(closed.id, None)
                self.closed.append(closed)
            case outputs.PositionRestated(user=user, coin=coin, state=state):
                self._state(user, coin, state)
            case outputs.TraderPrimed(user=user, as_of_ms=as_of_ms):
                self.primed[user] = as_of_ms
                self.complete_users.add(user)
            case outputs.DecisionMade(inputs=inputs, decision=decision, key=key):
                self.decisions.append(MadeDecision(decision, inputs, key, latency_ms(decision.decided_at_ms)))
            case outputs.FollowedMoved(state=followed):
                self.followed[followed.decision_id] = followed
            case outputs.OutcomeClosed(outcome=outcome):
                self.followed.pop(outcome.decision_id, None)
                self.outcomes.append(outcome)
            case outputs.GapFound(coin=coin, user=of_user):
                self.gaps.append(output)
                self.complete_coins.discard(coin or "")
                self.complete_users.discard(of_user or "")

    def _fill(self, output: outputs.FillStored) -> None:
        fill = output.fill
        self.fills.append(
            AppliedFill(
                fill,
                output.position_after,
                output.realised,
                output.action.value,
                output.episode_id,
                output.received_ms,
                output.seq,
            )
        )
        self._state(fill.user, fill.coin, output.state)

    def _state(self, user: str, coin: str, state: EpisodeState) -> None:
        self.states[(user, coin)] = state
        if state.open is not None:
            self.opened[state.open.id] = state.open

    def commit(self, connection: sa.Connection) -> Written:
        """Write everything and the progress; the same batch written again changes nothing."""
        with unanswered(connection):
            trades = stream_store.store_trades(connection, self.trades)
            fills = stream_store.store_fills(connection, self.fills)
            if self.tracked is not None:
                stream_store.store_tracked(connection, *self.tracked)
            stream_store.mark_primed(connection, self.primed)
            stream_store.store_episodes(connection, self.opened.values(), self.closed)
            stream_store.store_positions(connection, self.states)
            stream_store.store_gaps(connection, [gap_row(gap) for gap in self.gaps])
            stream_store.close_gaps(connection, self.complete_coins, self.complete_users)
            stream_store.park(connection, [self._dead_row(dead) for dead in self.dead])
            new = decision_store.append_decisions(connection, self.decisions)
            decision_store.store_followed(connection, list(self.followed.values()))
            stream_store.store_progress(connection, self.partition, self.last_seq)
        decision_store.append_outcomes(connection, self.outcomes)
        return Written(frozenset(new), trades.count, fills.count)

    def _dead_row(self, dead: DeadRecord) -> dict[str, object]:
        return {
            "partition": self.partition,
            "seq": dead.seq,
            "kind": dead.kind,
            "coin": ",".join(dead.coins) or None,
            "payload": dead.payload,
            "error": dead.error,
        }


def gap_row(gap: outputs.GapFound) -> dict[str, object]:
    """One row of the ledger of gaps; its id is what it is made of."""
    return {
        "id": f"{gap.kind.value}:{gap.coin}:{gap.user}:{gap.from_ms}:{gap.to_ms}",
        "kind": gap.kind.value,
        "coin": gap.coin or "",
        "address": gap.user,
        "from_ms": gap.from_ms,
        "to_ms": gap.to_ms,
        "detail": gap.detail,
    }
