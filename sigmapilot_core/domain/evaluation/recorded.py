"""Real fills recorded by others, through the engine that decides live: episodes, posteriors, correlation, votes, gates.

What a recording does not hold stays unknown: without a book the mid is, without funding the cost is, and a decision on
either is a skip that says so. Nothing is tuned to a recording; the parameters are the defaults.

A fill enters with the earliest instant at which it can have happened and is received at the latest (`Recorded`). Of
accounts that are looked at in sweeps the earliest is the sweep before: whoever acted between two sweeps did so at an
unknown time, so that a shared sweep is never agreement in time (the `freshness` gate measures that age and fails), and
correlation is not measured from it.

Models are made as of each day's beginning, from what the recording had shown by then; the first day has the prior.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import groupby

from sigmapilot_core.domain.consensus.outcome import Followed, Outcome, follow, on_bar
from sigmapilot_core.domain.consensus.record import Decision
from sigmapilot_core.domain.consensus.votes import VoteChange
from sigmapilot_core.domain.engine.engine import Engine
from sigmapilot_core.domain.engine.events import (
    AccountUpdated,
    ContextUpdated,
    Event,
    FeedStatus,
    FillsReceived,
    PositionsPrimed,
    SnapshotActivated,
    TimerFired,
)
from sigmapilot_core.domain.engine.outputs import (
    DecisionMade,
    EpisodeClosed,
    FillStored,
    GapFound,
    NextTimer,
    Output,
    VoteChanged,
)
from sigmapilot_core.domain.events import Bar, Direction, Fill
from sigmapilot_core.domain.market.costs import expected_hold_hours, static_slippage_bps
from sigmapilot_core.domain.market.regime import estimate_regime
from sigmapilot_core.domain.market.volatility import estimate_volatility
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, MINUTE_MS, Params
from sigmapilot_core.domain.risk.state import RiskAccount, RiskState
from sigmapilot_core.domain.snapshot import AssetFigures, FastPart, ModelSnapshot, PoolFlavour, PoolMember, SlowPart
from sigmapilot_core.domain.traders.correlation import PairCorrelation, correlation_table, default_rho
from sigmapilot_core.domain.traders.episode import Episode
from sigmapilot_core.domain.traders.learning import learn
from sigmapilot_core.domain.venue import AssetContext, Position

MODEL_EVERY_MS = 5 * MINUTE_MS
BARS_BACK = 520


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recording. `fills` carry start positions and are in order of `received_ms`, which holds one instant a fill.

    `hourly` are bars of each coin (the stop), `exits` the finest there are (outcomes). `contexts` by receive time are
    what the recorder saw of the market, if anything. `measures_time` is False where acts are known by sweeps only.
    """

    name: str
    fills: tuple[Fill, ...]
    received_ms: tuple[int, ...]
    hourly: Mapping[str, Sequence[Bar]]
    exits: Mapping[str, Sequence[Bar]]
    sz_decimals: Mapping[str, int]
    measures_time: bool
    contexts: Mapping[int, Sequence[AssetContext]] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Agreed:
    """An evaluation with enough voters on one side, whatever the other gates said, followed to its end in paper terms:
    entered at the open of the next bar. `outcome` None: the record ends before."""

    decision: Decision
    entry_ms: int
    outcome: Outcome | None


@dataclass(slots=True)
class Result:
    """What the pipeline found; nothing in it is chosen by how it turned out."""

    recording: Recorded
    fills: int = 0
    votes: int = 0
    gaps: int = 0
    episodes: list[Episode] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    agreed: list[Agreed] = field(default_factory=list)
    pairs: tuple[PairCorrelation, ...] = ()
    models: int = 0

    @property
    def learnable(self) -> list[Episode]:
        """Episodes that posteriors may use."""
        return [episode for episode in self.episodes if episode.learnable]

    def gate_verdicts(self) -> dict[str, Counter[str]]:
        """Per gate how many decisions passed, failed, or could not be judged."""
        found: dict[str, Counter[str]] = {}
        for decision in self.decisions:
            for gate in decision.gates:
                found.setdefault(gate.name, Counter())[gate.verdict.value] += 1
        return found


def play(recording: Recorded, params: Params | None = None) -> Result:
    """Everything of a recording through the engine, in order of receipt; timers fire at their own deadlines."""
    player = _Player(recording, params or Params())
    player.run()
    result = player.result
    result.agreed = [_followed(d, recording, player.params) for d in result.decisions if _is_agreement(d)]
    return result


class _Player:
    """Drives one engine and makes the models it decides with."""

    def __init__(self, recording: Recorded, params: Params) -> None:
        self.params = params
        self.result = Result(recording)
        self._of = recording
        self._engine = Engine("recorded")
        self._users = sorted({fill.user for fill in recording.fills})
        self._coins = sorted({fill.coin for fill in recording.fills})
        self._seq = 0
        self._deadline_ms: int | None = None
        self._model_ms = 0
        self._slow: tuple[int, SlowPart] | None = None

    def run(self) -> None:
        """All fills of one instant of receipt and coin travel together, as a frame would."""
        rows = list(zip(self._of.received_ms, self._of.fills, strict=True))
        for received_ms, group in groupby(rows, key=lambda row: row[0]):
            fills = [fill for _, fill in group]
            if not self.result.models:
                self._renew(received_ms)
                self._prime(min(fill.time_ms for fill in self._of.fills) - 1)
            elif received_ms - self._model_ms >= MODEL_EVERY_MS:
                self._renew(received_ms)
            coins = tuple(self._coins)
            self._apply(FeedStatus("recorded", coins, (), received_ms, received_ms, self._next()))
            self._apply(self._account(received_ms))
            for context in self._of.contexts.get(received_ms, ()):
                self._apply(ContextUpdated(context, received_ms, self._next()))
            for _, of_coin in groupby(sorted(fills, key=lambda f: f.coin), key=lambda f: f.coin):
                self._apply(FillsReceived(tuple(of_coin), received_ms, self._next()))

    def _next(self) -> int:
        self._seq += 1
        return self._seq

    def _apply(self, event: Event) -> None:
        while self._deadline_ms is not None and self._deadline_ms <= event.now_ms:
            due, self._deadline_ms = self._deadline_ms, None
            self._take(self._engine.apply(TimerFired(due, self._next())))
        self._take(self._engine.apply(event))

    def _take(self, found: Sequence[Output]) -> None:
        result = self.result
        for output in found:
            match output:
                case NextTimer(deadline_ms=deadline):
                    self._deadline_ms = deadline
                case EpisodeClosed(episode=episode):
                    result.episodes.append(episode)
                case DecisionMade(decision=decision):
                    result.decisions.append(decision)
                case FillStored():
                    result.fills += 1
                case VoteChanged(change=VoteChange.CAST | VoteChange.REPLACED):
                    result.votes += 1
                case GapFound():
                    result.gaps += 1

    def _prime(self, as_of_ms: int) -> None:
        """Everybody held what his first fill in each coin says he held."""
        first: dict[tuple[str, str], Fill] = {}
        for fill in self._of.fills:
            first.setdefault((fill.user, fill.coin), fill)
        for user in self._users:
            held = tuple(
                Position(fill.coin, fill.start_position, fill.px)
                for (owner, _), fill in first.items()
                if owner == user and fill.start_position
            )
            self._apply(PositionsPrimed(user, held, as_of_ms, self._model_ms, self._next()))

    def _renew(self, now_ms: int) -> None:
        """A model of now: what is slow from the beginning of the day, volatility and regime of this instant."""
        day_ms = now_ms // DAY_MS * DAY_MS
        if self._slow is None or self._slow[0] != day_ms:
            self._slow = (day_ms, self._learnt(day_ms, now_ms))
        slow = replace(
            self._slow[1], posterior_as_of_ms=now_ms, correlation_as_of_ms=now_ms, leaderboard_as_of_ms=now_ms
        )
        self.result.models += 1
        version = self.result.models
        figures = {coin: self._figures(coin, now_ms) for coin in self._coins}
        model = ModelSnapshot(
            version, version, version, "evaluation", PoolFlavour.RECORDING, slow, FastPart(figures), self.params, now_ms
        )
        self._model_ms = now_ms
        self._apply(SnapshotActivated(model, now_ms, self._next()))

    def _account(self, now_ms: int) -> AccountUpdated:
        """A paper account without positions: no decision on a recording is ever executed."""
        equity = self.params.risk.paper_equity_usd
        risk = RiskState(account=RiskAccount(now_ms, equity, 0.0, ()), day=now_ms // DAY_MS, opening_equity_usd=equity)
        return AccountUpdated(risk, now_ms, self._next())

    def _learnt(self, as_of_ms: int, now_ms: int) -> SlowPart:
        """Posteriors and correlations of everybody in the recording: who is good is not known beforehand."""
        by_user: dict[str, list[Episode]] = {user: [] for user in self._users}
        for episode in self.result.episodes:
            by_user[episode.user].append(episode)
        members = []
        for rank, user in enumerate(self._users, 1):
            learnt = learn(by_user[user], as_of_ms, self.params.posterior)
            members.append(PoolMember(user, rank, learnt.posterior, learnt.n_eff, learnt.n_episodes))
        self.result.pairs = self._pairs(as_of_ms)
        since_ms = as_of_ms - self.params.costs.hold_lookback_days * DAY_MS
        holds = {
            coin: expected_hold_hours(
                [
                    (e.closed_at_ms - e.opened_at_ms) / HOUR_MS
                    for e in self.result.learnable
                    if e.coin == coin and since_ms <= e.closed_at_ms < as_of_ms
                ],
                self.params.costs,
            )
            for coin in self._coins
        }
        return SlowPart(
            selection_version=1,
            selected_on=str(as_of_ms),
            pool=tuple(members),
            rho0=default_rho(self.result.pairs, self.params.correlation).value,
            pairs=tuple(pair for pair in self.result.pairs if pair.rho is not None),
            hold_hours=holds,
            tracked=tuple(self._users),
        )

    def _pairs(self, as_of_ms: int) -> tuple[PairCorrelation, ...]:
        """Nothing where acts are known by sweeps only: everybody of a sweep would seem to act together."""
        if not self._of.measures_time:
            return ()
        seen = [fill for fill in self._of.fills if fill.time_ms < as_of_ms]
        table = correlation_table(
            [fill.user for fill in seen],
            [fill.coin for fill in seen],
            [fill.time_ms for fill in seen],
            [float(fill.signed_size * fill.px) for fill in seen],
            self._users,
            as_of_ms,
            self.params.correlation,
        )
        return table.pairs()

    def _figures(self, coin: str, now_ms: int) -> AssetFigures:
        closed = [bar for bar in self._of.hourly.get(coin, ()) if now_ms - BARS_BACK * HOUR_MS < bar.close_ms <= now_ms]
        context = next((c for c in self._of.contexts.get(now_ms, ()) if c.coin == coin), None)
        volume = sum(bar.volume * bar.close for bar in closed[-24:]) if len(closed) >= 24 else None
        return AssetFigures(
            coin=coin,
            sz_decimals=self._of.sz_decimals[coin],
            volatility=estimate_volatility(coin, closed, now_ms, self.params.volatility),
            regime=estimate_regime(coin, closed, now_ms, self.params.regime),
            funding_rate_hourly=None if context is None else context.funding_rate,
            day_volume_usd=volume,
            costs_as_of_ms=now_ms,
        )


def _is_agreement(decision: Decision) -> bool:
    """Enough agreeing voters with a direction: the first two gates on votes alone."""
    verdicts = {gate.name: gate.passed for gate in decision.gates}
    return bool(verdicts["min_traders"] and verdicts["supermajority"]) and decision.direction is not Direction.NONE


def _followed(decision: Decision, recording: Recorded, params: Params) -> Agreed:
    """Entered at the open of the first bar after the decision, at taker fees and the static slippage."""
    bars = [bar for bar in recording.exits.get(decision.asset, ()) if bar.open_ms >= decision.decided_at_ms]
    stop = decision.trade_stop_fraction
    if not bars or stop is None or stop <= 0:
        return Agreed(decision, bars[0].open_ms if bars else decision.decided_at_ms, None)
    cost_bps = 2 * (params.costs.taker_fee_bps + static_slippage_bps(decision.asset, params.costs))
    state: Followed = follow(
        decision.id, decision.asset, decision.direction, bars[0].open_ms, bars[0].open, stop, cost_bps / 1e4 / stop
    )
    for bar in bars:
        state, outcome = on_bar(state, bar)
        if outcome is not None:
            return Agreed(decision, bars[0].open_ms, outcome)
    return Agreed(decision, bars[0].open_ms, None)


def lots(fills: Sequence[Fill]) -> dict[str, int]:
    """Decimals of each coin's sizes, from the sizes and start positions themselves."""
    decimals: dict[str, int] = {}
    for fill in fills:
        for number in (fill.sz, fill.start_position or Decimal(0)):
            places = -int(number.normalize().as_tuple().exponent)  # type: ignore[operator]
            decimals[fill.coin] = max(decimals.get(fill.coin, 0), places)
    return decimals


def by_receipt(fills: Sequence[Fill], received_ms: Sequence[int]) -> Iterator[tuple[int, Fill]]:
    """Fills with their instants of receipt, by those; equal ones stay in their order."""
    return iter(sorted(zip(received_ms, fills, strict=True), key=lambda row: row[0]))
