"""Votes of every coin, and the evaluation that follows when they change (spec 2, 4.3, 7)."""

from __future__ import annotations

from sigmapilot_core.domain.consensus import outcome, votes
from sigmapilot_core.domain.consensus.decision import assess, decision_key, seal
from sigmapilot_core.domain.consensus.gates import direction_of
from sigmapilot_core.domain.consensus.inputs import DecisionInputs, without_unknowns
from sigmapilot_core.domain.consensus.record import Decision, DecisionType
from sigmapilot_core.domain.consensus.votes import TraderState, Vote, VoteChange
from sigmapilot_core.domain.engine.accounts import Seat
from sigmapilot_core.domain.engine.coin import Change, CoinState
from sigmapilot_core.domain.engine.core import ActiveModel, Core
from sigmapilot_core.domain.engine.outputs import DecisionMade, FollowedMoved, OutcomeClosed, Output, VoteChanged
from sigmapilot_core.domain.engine.schedule import Due, Kind
from sigmapilot_core.domain.events import Bar, Fill
from sigmapilot_core.domain.market.costs import HoldEstimate
from sigmapilot_core.domain.risk import steps
from sigmapilot_core.domain.traders.ledger import LedgerChange

_MADE_FINITE = ("pairs", "voters")
"""What model and electorate hold finite numbers of only."""


class Ballots:
    """Casts, withdraws and expires votes; decides where the set of votes changed."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._changed: dict[str, CoinState] = {}

    def on_fill(self, state: CoinState, seat: Seat, fill: Fill, change: LedgerChange, out: list[Output]) -> None:
        """A pool trader's fill in a coin on which votes are taken."""
        held = seat.votes.vote
        seat.votes, moved = votes.on_fill(seat.votes, fill, change.before, change.after, self._core.params.consensus)
        if moved is None:
            return
        vote = seat.votes.vote
        if vote is not None and vote.voted_at_ms + state.life_ms < state.watermark_ms:
            # its fills came too late to count at all
            seat.votes = votes.without_vote(seat.votes)
            vote, moved = None, VoteChange.EXPIRED
        if vote is not None or held is not None:
            self._moved(state, seat.user, moved, vote, held, fill.time_ms, out)

    def on_position(self, state: CoinState, seat: Seat, at_ms: int, out: list[Output]) -> None:
        """The position turned out to be another: the act in progress ends, the vote may fall."""
        held = seat.votes.vote
        seat.votes, moved = votes.on_position(seat.votes, seat.position)
        if moved is not None:
            self._moved(state, seat.user, moved, None, held, at_ms, out)

    def drop(self, state: CoinState, seat: Seat, at_ms: int, out: list[Output]) -> None:
        """The trader may not vote (any more): forget act and vote."""
        held = seat.votes.vote
        seat.votes = TraderState()
        if held is not None:
            self._moved(state, seat.user, VoteChange.DROPPED, None, held, at_ms, out)

    def put_back(self, state: CoinState, seat: Seat) -> None:
        """A vote that stood before a restart is part of the set again. The set was decided on then; its inputs are not
        back yet, so the next change is the next reason to decide."""
        state.vote_set = state.vote_set.with_vote(seat.user, seat.votes.vote)

    def expire(self, state: CoinState, out: list[Output]) -> None:
        """Let votes go whose life ended before the coin's watermark."""
        if state.first_expiry_ms is None or state.watermark_ms < state.first_expiry_ms:
            return
        state.vote_set, gone = votes.advance(state.vote_set, state.watermark_ms, state.life_ms)
        for vote in gone:
            seat = self._core.traders[vote.user].seats[state.coin]
            seat.votes = votes.without_vote(seat.votes)
            out.append(VoteChanged(state.coin, vote.user, VoteChange.EXPIRED, vote, state.watermark_ms))
        if gone:
            self._note(state, Change.CHANGED)
        self._reschedule(state)

    def on_life_changed(self, state: CoinState, out: list[Output]) -> None:
        """The life of a vote changed: some may have outlived it."""
        self._reschedule(state)
        self.expire(state, out)

    def evaluate(self, now_ms: int, seq: int, out: list[Output]) -> None:
        """Decide every coin whose votes changed since the last call."""
        if not self._changed:
            return
        changed, self._changed = self._changed, {}
        for state in changed.values():
            change, state.change = state.change, Change.NONE
            is_hopeless = max(state.vote_set.heads()) < self._core.params.consensus.min_traders
            if change is Change.UPDATED and is_hopeless:
                continue  # a later price of the same act cannot make up for missing traders
            self._decide(state, now_ms, seq, out)

    def on_bar(self, state: CoinState, bar: Bar, out: list[Output]) -> None:
        """Follow the coin's decisions over a closed bar."""
        kept = []
        for followed in state.followed:
            moved, ended = outcome.on_bar(followed, bar)
            if ended is not None:
                out.append(OutcomeClosed(ended))
                continue
            kept.append(moved)
            if moved is not followed:
                out.append(FollowedMoved(moved))
        state.followed = kept

    def _decide(self, state: CoinState, now_ms: int, seq: int, out: list[Output]) -> None:
        model = self._core.model
        if model is None:
            return
        if not state.vote_set.votes:
            state.last_key = None
            return
        self._core.counters.evaluations += 1
        trigger = f"{self._core.partition}-{seq}"
        inputs = without_unknowns(build_inputs(self._core, model, state, now_ms, trigger), finite=_MADE_FINITE)
        assessment = assess(inputs, model.params, model.measured)
        key = decision_key(inputs, assessment)
        if key == state.last_key:
            return
        state.last_key = key
        decision = seal(inputs, assessment)
        out.append(DecisionMade(inputs, decision, key))
        if decision.passed_gates:
            self._follow(state, decision, out)
        if decision.decision_type is DecisionType.SIGNAL:
            state.last_signal_ms = now_ms
            if self._core.risk is not None:
                self._core.risk = steps.on_signal(self._core.risk, state.coin, now_ms, model.params.risk)

    def _follow(self, state: CoinState, decision: Decision, out: list[Output]) -> None:
        """End what an opposite consensus ends, and begin to follow this decision."""
        mid, stop, ev = decision.mid, decision.trade_stop_fraction, decision.ev
        if mid is None or stop is None or ev is None or ev.cost_r is None:
            raise ValueError(f"decision {decision.id} passed its gates without a price, a stop or a cost")
        kept = []
        for followed in state.followed:
            _, ended = outcome.on_opposite(followed, state.coin, decision.direction, decision.decided_at_ms, mid)
            if ended is None:
                kept.append(followed)
            else:
                out.append(OutcomeClosed(ended))
        new = outcome.follow(
            decision.id, state.coin, decision.direction, decision.decided_at_ms, mid, stop, ev.cost_r,
            self._core.params.outcome,
        )  # fmt: skip
        state.followed = [*kept, new]
        out.append(FollowedMoved(new))

    def _moved(
        self,
        state: CoinState,
        user: str,
        moved: VoteChange,
        vote: Vote | None,
        held: Vote | None,
        at_ms: int,
        out: list[Output],
    ) -> None:
        state.vote_set = state.vote_set.with_vote(user, vote)
        shown = vote or held
        if shown is not None:
            out.append(VoteChanged(state.coin, user, moved, shown, at_ms))
        if moved is VoteChange.UPDATED:  # a later fill of the act: the vote keeps its time, hence its end
            self._note(state, Change.UPDATED)
        else:
            self._note(state, Change.CHANGED)
            self._reschedule(state)

    def _note(self, state: CoinState, change: Change) -> None:
        state.note(change)
        self._changed[state.coin] = state

    def _reschedule(self, state: CoinState) -> None:
        state.first_expiry_ms = votes.next_deadline_ms(state.vote_set, state.life_ms)
        if state.first_expiry_ms is not None:
            self._core.schedule.add(Due(state.first_expiry_ms, Kind.VOTES, state.coin))


def build_inputs(core: Core, model: ActiveModel, state: CoinState, now_ms: int, trigger: str) -> DecisionInputs:
    """Everything that is known for a decision on the coin at this instant."""
    slow, figures = model.snapshot.slow, state.figures
    voters = state.electorate.voters(state.vote_set.ordered(), model.members)
    direction = direction_of(*state.vote_set.heads())
    agreeing = sorted([voter.address for voter in voters if voter.direction is direction])
    funding, costs_as_of_ms = state.funding
    return DecisionInputs(
        asset=state.coin,
        now_ms=now_ms,
        trigger_event_id=trigger,
        mode=model.snapshot.mode,
        snapshot_version=model.snapshot.version,
        snapshot_hash=model.hash,
        settings_hash=model.settings_hash,
        voters=voters,
        pairs=state.electorate.pairs(agreeing, model.pairs),
        rho0=slow.rho0,
        book=state.book,
        is_book_subscribed=state.is_book_subscribed,
        context_mid=state.context.mid_px if state.context else None,
        context_received_ms=state.context_received_ms,
        venue_clock_offset_ms=state.clock_offset_ms,
        feed_last_frame_ms=state.feed_last_frame_ms,
        unknown_reason=state.unknown_reason,
        volatility=figures.volatility,
        regime=figures.regime,
        funding_rate_hourly=funding,
        taker_fee_bps=figures.taker_fee_bps,
        costs_as_of_ms=costs_as_of_ms,
        hold=slow.hold_hours.get(state.coin) or HoldEstimate(model.params.costs.default_hold_hours, "default", 0),
        calibration=slow.calibration,
        n_outcomes=slow.n_outcomes,
        posterior_as_of_ms=slow.posterior_as_of_ms,
        correlation_as_of_ms=slow.correlation_as_of_ms,
        leaderboard_as_of_ms=slow.leaderboard_as_of_ms,
        risk=core.risk,
    )
