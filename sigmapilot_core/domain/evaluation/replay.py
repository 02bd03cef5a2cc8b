"""One day of a record replayed through votes, gates and decision (spec 2 to 4).

Fills reach the rules in batches of a second, as the feed delivers them, with the second's end as receive time; votes
expire at their own deadlines. Everything is decided by `votes.on_fill`, `votes.advance` and `decision.assess`. Two
things are left out because they cannot matter: fills of those who do not vote, and evaluations of a coin where fewer
than two agree (K of one voter is 1, so no such decision passes, whichever other gate is taken away).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import combinations, pairwise

import numpy as np

from sigmapilot_core.domain.consensus import votes
from sigmapilot_core.domain.consensus.decision import assess, decision_key
from sigmapilot_core.domain.consensus.expected_value import CalibrationMaps
from sigmapilot_core.domain.consensus.gates import direction_of
from sigmapilot_core.domain.consensus.inputs import DecisionInputs, Voter
from sigmapilot_core.domain.consensus.record import Assessment, DecisionType
from sigmapilot_core.domain.evaluation.day_model import DayModel
from sigmapilot_core.domain.evaluation.market_view import MarketView
from sigmapilot_core.domain.evaluation.record import VenueRecord
from sigmapilot_core.domain.events import Direction, Fill
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, MINUTE_MS, Params
from sigmapilot_core.domain.risk import steps
from sigmapilot_core.domain.risk.state import RiskAccount, RiskState
from sigmapilot_core.domain.simulation import ticks

BATCH_MS = 1000
MIN_AGREEING = 2


@dataclass(frozen=True, slots=True)
class Judged:
    """One written decision, with what the evaluation asks of it. `passed` are the gates' verdicts in their order;
    `agreeing` positions of addresses; `coin` a position, too."""

    coin: int
    direction: Direction
    decided_at_ms: int
    decision_type: DecisionType
    passed: tuple[bool | None, ...]
    agreeing: tuple[int, ...]
    n_voters: int
    effective_k: float | None
    mid: float | None
    trade_stop: float | None
    p_raw: float | None
    p_win: float | None
    win_r: float | None
    loss_r: float | None
    gross_raw_r: float | None
    gross_r: float | None
    cost_r: float | None
    net_r: float | None
    regime: str
    age_s: float | None
    drift_r: float | None

    @property
    def passed_gates(self) -> bool:
        """Whether every gate passed."""
        return all(verdict is True for verdict in self.passed)


@dataclass
class _Coin:
    """Votes of one coin, and the start of the hour whose volatility says how long they live."""

    votes: votes.VoteSet
    hour_ms: int
    is_changed: bool = False
    last_key: str | None = None
    risk: RiskState = field(default_factory=RiskState)


@dataclass
class Replay:
    """Carries votes from day to day; the members of a new pool keep theirs, those who left lose them."""

    record: VenueRecord
    market: MarketView
    params: Params
    _coins: dict[int, _Coin] = field(default_factory=dict)
    _states: dict[tuple[int, int], votes.TraderState] = field(default_factory=dict)
    _users: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._users = self.record.index_of

    def day(self, model: DayModel, maps: CalibrationMaps | None = None) -> list[Judged]:
        """The decisions of [as-of, as-of + 24 h)."""
        self._adopt(model)
        low = self.record.rows_until(model.as_of_ms)
        high = self.record.rows_until(model.as_of_ms + DAY_MS)
        rows = self.record.fills[low:high]
        rows = rows[np.isin(rows["user"], model.pool)]
        judged: list[Judged] = []
        for coin in sorted(model.votable):
            judged += self._coin_day(coin, rows[rows["coin"] == coin], model, maps or CalibrationMaps())
        return sorted(judged, key=lambda one: (one.decided_at_ms, one.coin))

    def _adopt(self, model: DayModel) -> None:
        pool = set(model.pool)
        for user, coin in [key for key in self._states if key[0] not in pool or key[1] not in model.votable]:
            state = self._states.pop((user, coin))
            if state.vote is not None:
                held = self._coins[coin]
                held.votes = held.votes.with_vote(self.record.addresses[user], None)
                held.is_changed = True

    def _coin_day(self, coin: int, rows: np.ndarray, model: DayModel, maps: CalibrationMaps) -> Iterator[Judged]:
        start_ms = model.as_of_ms
        held = self._coins.setdefault(coin, _Coin(votes.VoteSet(self.record.coins[coin]), start_ms))
        if held.is_changed:
            held.is_changed = False
            yield from self._evaluate(coin, held, start_ms, model, maps)
        ends = -(-rows["t"] // BATCH_MS) * BATCH_MS
        starts = np.flatnonzero(np.r_[True, ends[1:] != ends[:-1]]).tolist() if len(rows) else []
        for first, last in pairwise([*starts, len(rows)]):
            now_ms = int(ends[first])
            yield from self._expire_until(coin, held, now_ms, model, maps)
            changed = False
            for row in rows[first:last]:
                changed |= self._on_fill(coin, held, row)
            if changed:
                yield from self._evaluate(coin, held, now_ms, model, maps)
        yield from self._expire_until(coin, held, model.as_of_ms + DAY_MS, model, maps)

    def _expire_until(
        self, coin: int, held: _Coin, now_ms: int, model: DayModel, maps: CalibrationMaps
    ) -> Iterator[Judged]:
        """Timers that fire before an instant, and refreshes up to it: a new hour's life ends older votes at once."""
        while True:
            life_ms, next_hour_ms = self._life_ms(coin, held.hour_ms), held.hour_ms + HOUR_MS
            deadline = votes.next_deadline_ms(held.votes, life_ms)
            if deadline is not None and deadline < min(now_ms, next_hour_ms):
                at_ms = deadline
            elif next_hour_ms <= now_ms:
                at_ms = held.hour_ms = next_hour_ms if deadline is not None else now_ms // HOUR_MS * HOUR_MS
                life_ms = self._life_ms(coin, at_ms)
            else:
                return
            held.votes, gone = votes.advance(held.votes, at_ms, life_ms)
            for vote in gone:
                key = (self._users[vote.user], coin)
                self._states[key] = votes.without_vote(self._states[key])
            if gone:
                yield from self._evaluate(coin, held, at_ms, model, maps)

    def _on_fill(self, coin: int, held: _Coin, row: np.void) -> bool:
        """Whether the fill changed the votes."""
        key = (int(row["user"]), coin)
        fill: Fill = self.record.fill_of(row)
        before = fill.start_position
        if before is None:
            return False
        state, moved = votes.on_fill(
            self._states.get(key, votes.TraderState()), fill, before, before + fill.signed_size, self.params.consensus
        )
        self._states[key] = state
        if moved is None:
            return False
        held.votes = held.votes.with_vote(fill.user, state.vote)
        return True

    def _life_ms(self, coin: int, now_ms: int) -> int:
        return votes.life_ms(self.market.volatility(coin, now_ms).percentile, self.params.consensus)

    def _evaluate(
        self, coin: int, held: _Coin, now_ms: int, model: DayModel, maps: CalibrationMaps
    ) -> Iterator[Judged]:
        if max(held.votes.heads()) < MIN_AGREEING:
            held.last_key = None
            return
        inputs = self._inputs(coin, held, now_ms, model, maps)
        assessment = assess(inputs, self.params)
        key = decision_key(inputs, assessment)
        if key == held.last_key:
            return
        held.last_key = key
        if assessment.decision_type is DecisionType.SIGNAL:
            held.risk = steps.on_signal(held.risk, inputs.asset, now_ms, self.params.risk)
        yield self._judged(coin, inputs, assessment)

    def _inputs(self, coin: int, held: _Coin, now_ms: int, model: DayModel, maps: CalibrationMaps) -> DecisionInputs:
        voters = tuple(self._voter(vote, model) for vote in held.votes.ordered())
        direction = direction_of(*held.votes.heads())
        agreeing = sorted(voter.address for voter in voters if voter.direction is direction)
        keys = combinations(agreeing, 2)
        account = RiskAccount(now_ms, self.params.risk.paper_equity_usd, 0.0)
        held.risk = steps.on_account(held.risk, account, now_ms, self.params.risk)
        book = self.record.book(coin, now_ms) if self.record.has_books else None
        mid = None if self.record.has_books else self._last_close(coin, now_ms)
        return DecisionInputs(
            asset=self.record.coins[coin],
            now_ms=now_ms,
            trigger_event_id=f"{coin}:{now_ms}",
            mode="evaluation",
            snapshot_version=0,
            snapshot_hash="",
            settings_hash="",
            voters=voters,
            pairs=tuple(model.pairs[key] for key in keys if key in model.pairs),
            rho0=model.rho0,
            book=book,
            is_book_subscribed=self.record.has_books,
            context_mid=mid,
            context_received_ms=now_ms if mid is not None else None,
            venue_clock_offset_ms=0,
            feed_last_frame_ms=now_ms,
            volatility=self.market.volatility(coin, now_ms),
            regime=self.market.regime(coin, now_ms),
            funding_rate_hourly=self.record.funding_at(coin, now_ms),
            costs_as_of_ms=now_ms,
            hold=model.hold[coin],
            calibration=maps,
            posterior_as_of_ms=model.as_of_ms,
            correlation_as_of_ms=model.as_of_ms,
            leaderboard_as_of_ms=model.as_of_ms,
            risk=held.risk,
        )

    def _last_close(self, coin: int, now_ms: int) -> Decimal | None:
        """Close of the last minute that had ended."""
        row = (now_ms - self.record.minutes.start_ms) // MINUTE_MS - 1
        if not 0 <= row < len(self.record.minutes.close):
            return None
        decimals = self.record.sz_decimals[coin]
        close = float(self.record.minutes.close[row, coin])
        if np.isnan(close):
            return None
        return ticks.px_decimal(round(close * 10 ** (ticks.MAX_DECIMALS - decimals)), decimals)

    def _voter(self, vote: votes.Vote, model: DayModel) -> Voter:
        user = self._users[vote.user]
        p = model.posteriors[user]
        return Voter(
            vote.user, vote.direction, vote.voted_at_ms, vote.price, vote.notional, vote.fill_ids,
            p.m, p.kappa, p.alpha, p.beta, model.n_episodes[user],
        )  # fmt: skip

    def _judged(self, coin: int, inputs: DecisionInputs, found: Assessment) -> Judged:
        ev = found.ev
        value = {gate.name: gate.value for gate in found.gates}
        return Judged(
            coin=coin,
            direction=found.direction,
            decided_at_ms=found.decided_at_ms,
            decision_type=found.decision_type,
            passed=tuple(gate.passed for gate in found.gates),
            agreeing=tuple(self._users[v.address] for v in inputs.voters if v.direction is found.direction),
            n_voters=len(inputs.voters),
            effective_k=found.effective_k,
            mid=found.mid,
            trade_stop=found.trade_stop_fraction,
            p_raw=None if ev is None else ev.p_raw,
            p_win=None if ev is None else ev.p_win,
            win_r=None if ev is None else ev.win_r,
            loss_r=None if ev is None else ev.loss_r,
            gross_raw_r=None if ev is None else ev.gross_raw_r,
            gross_r=None if ev is None else ev.gross_r,
            cost_r=None if ev is None else ev.cost_r,
            net_r=None if ev is None else ev.net_r,
            regime=found.regime.value,
            age_s=value["freshness"],
            drift_r=value["price_band"],
        )
