"""The whole way from a venue's history to decisions, in one process and without any store: how a world is judged.

Every rule is that of the pipeline (`traders`, `consensus`, `market`, `risk`); here they are only put in order.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from sigmapilot_core.domain.consensus import votes
from sigmapilot_core.domain.consensus.decision import assess
from sigmapilot_core.domain.consensus.inputs import DecisionInputs, Voter
from sigmapilot_core.domain.consensus.record import Assessment, DecisionType
from sigmapilot_core.domain.events import ZERO, Fill, Verdict, fills_of_trade
from sigmapilot_core.domain.market.costs import HoldEstimate, expected_hold_hours
from sigmapilot_core.domain.market.regime import RegimeEstimate, estimate_regime
from sigmapilot_core.domain.market.volatility import (
    StopSeries,
    VolatilityEstimate,
    estimate_volatility,
    stop_fraction_series,
)
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, Params
from sigmapilot_core.domain.risk import steps
from sigmapilot_core.domain.risk.state import RiskAccount, RiskState
from sigmapilot_core.domain.simulation.source import WorldSource
from sigmapilot_core.domain.traders.correlation import PairCorrelation, correlation_table, default_rho
from sigmapilot_core.domain.traders.effective_k import by_pair
from sigmapilot_core.domain.traders.episode import Episode
from sigmapilot_core.domain.traders.filters import FilterResult, evaluate, facts_of
from sigmapilot_core.domain.traders.history import build_history
from sigmapilot_core.domain.traders.learning import TraderLearning, learn
from sigmapilot_core.domain.traders.thompson import candidate_of, choose_pool

_DEFAULTS = Params()
REFRESH_MS = 300_000
"""Volatility and regime are computed anew every five minutes, as in the pipeline."""


@dataclass(frozen=True, slots=True)
class Market:
    """What is known of the assets as of an instant; mappings by coin."""

    stops: dict[str, StopSeries]
    volatility: dict[str, VolatilityEstimate]
    regime: dict[str, RegimeEstimate]
    sz_decimals: dict[str, int]
    computed_at_ms: int

    def stop_at(self, coin: str, time_ms: int) -> float | None:
        """Stop fraction in force, None where unknown."""
        found = self.stops[coin].at(time_ms)
        return None if found is None else found[0]


@dataclass(frozen=True, slots=True)
class Learned:
    """What the pipeline knows as of an instant. `learning`, `episodes` and `filters` hold every trader looked at."""

    as_of_ms: int
    market: Market
    filters: dict[str, FilterResult]
    episodes: dict[str, tuple[Episode, ...]]
    learning: dict[str, TraderLearning]
    pool: tuple[str, ...]
    pairs: dict[tuple[str, str], PairCorrelation]
    rho0: float
    hold: dict[str, HoldEstimate]


@dataclass(frozen=True, slots=True)
class Seen:
    """One assessment and the addresses that agreed."""

    assessment: Assessment
    agreeing: tuple[str, ...]


def know_market(source: WorldSource, params: Params = _DEFAULTS) -> Market:
    """Volatility, stops of the past and regimes from hourly candles."""
    now_ms = source.now_ms
    names = [asset.coin for asset in source.assets]
    bars = {coin: [bar for bar in source.candles(coin, HOUR_MS, 0, now_ms) if bar.close_ms <= now_ms] for coin in names}
    return Market(
        stops={coin: stop_fraction_series(coin, bars[coin], params.volatility) for coin in names},
        volatility={coin: estimate_volatility(coin, bars[coin], now_ms, params.volatility) for coin in names},
        regime={coin: estimate_regime(coin, bars[coin], now_ms, params.regime) for coin in names},
        sz_decimals={asset.coin: asset.sz_decimals for asset in source.assets},
        computed_at_ms=now_ms,
    )


def all_fills(source: WorldSource, user: str, since_ms: int = 0) -> list[Fill]:
    """Fills and slices of time-weighted orders of an account in order of execution."""
    slices = [entry.fill for entry in source.twap_slices(user, since_ms, source.now_ms)]
    fills = source.fills(user, since_ms, source.now_ms)
    return sorted([*fills, *slices], key=lambda fill: fill.time_ms) if slices else list(fills)


@dataclass(frozen=True, slots=True)
class TraderHistory:
    """All fills and closed episodes of one account."""

    fills: list[Fill]
    episodes: tuple[Episode, ...]


def history_of(source: WorldSource, user: str, market: Market) -> TraderHistory:
    """Fills and closed episodes of an account until now, funding included."""
    fills = all_fills(source, user)
    history = build_history(
        fills,
        sz_decimals=market.sz_decimals,
        stop_at=market.stop_at,
        funding=source.funding_payments(user, 0, source.now_ms),
        until_ms=source.now_ms,
    )
    return TraderHistory(fills, history.episodes)


def learn_from(
    source: WorldSource,
    params: Params = _DEFAULTS,
    version: int = 1,
    known: Mapping[str, TraderHistory] | None = None,
) -> Learned:
    """Filters, episodes, posteriors, pool and correlations as of now, of all that pass the leaderboard's filters.

    `known` histories, made as of now, are not made again.
    """
    now_ms = source.now_ms
    market = know_market(source, params)
    rows = [row for row in source.leaderboard() if evaluate(row).leaderboard_verdict is Verdict.PASS]
    filters: dict[str, FilterResult] = {}
    histories: dict[str, TraderHistory] = {}
    for row in rows:
        user = row.address
        history = (known or {}).get(user)
        fills = history.fills if history else all_fills(source, user)
        filters[user] = evaluate(row, facts_of(fills, bool(source.sub_accounts(user))))
        if filters[user].verdict is Verdict.PASS:
            histories[user] = history or history_of(source, user, market)
    learning = {user: learn(history.episodes, now_ms, params.posterior) for user, history in histories.items()}
    candidates = [candidate_of(filters[user], learning[user], is_alive=True) for user in histories]
    date = dt.datetime.fromtimestamp(now_ms / 1000, dt.UTC).date()
    pool = tuple(drawn.address for drawn in choose_pool(candidates, date, version, params.bandit).pool)
    pairs = correlate(pool, histories, now_ms, params)
    hold = {coin: _hold(coin, pool, histories, now_ms, params) for coin in market.stops}
    episodes = {user: history.episodes for user, history in histories.items()}
    rho0 = default_rho(pairs.values(), params.correlation).value
    return Learned(now_ms, market, filters, episodes, learning, pool, pairs, rho0, hold)


def correlate(
    addresses: Sequence[str], histories: Mapping[str, TraderHistory], now_ms: int, params: Params = _DEFAULTS
) -> dict[tuple[str, str], PairCorrelation]:
    """Correlations of all pairs of the addresses."""
    rows = [
        (fill.user, fill.coin, fill.time_ms, float(fill.px * fill.signed_size))
        for address in addresses
        for fill in histories[address].fills
    ]
    if not rows:
        return {}
    user, coin, time_ms, notional = zip(*rows, strict=True)
    table = correlation_table(user, coin, time_ms, notional, addresses, now_ms, params.correlation)
    return by_pair(table.pairs())


def _hold(
    coin: str, pool: Sequence[str], histories: Mapping[str, TraderHistory], now_ms: int, params: Params
) -> HoldEstimate:
    since_ms = now_ms - params.costs.hold_lookback_days * DAY_MS
    hours = [
        episode.hold_ms / HOUR_MS
        for address in pool
        for episode in histories[address].episodes
        if episode.coin == coin and episode.closed_at_ms >= since_ms
    ]
    return expected_hold_hours(hours, params.costs)


@dataclass
class Watch:
    """Follows a source second by second and assesses an asset whenever its set of votes changes."""

    source: WorldSource
    learned: Learned
    params: Params = _DEFAULTS
    _positions: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    _states: dict[tuple[str, str], votes.TraderState] = field(default_factory=dict)
    _sets: dict[str, votes.VoteSet] = field(default_factory=dict)
    _risk: RiskState = field(default_factory=RiskState)

    def __post_init__(self) -> None:
        self._pool = frozenset(self.learned.pool)
        self._market = self.learned.market
        for user in self.learned.pool:
            for position in self.source.account(user).positions:
                self._positions[user, position.coin] = position.size

    def run(self, seconds: int) -> list[Seen]:
        """Every assessment of the next seconds, in order; several per asset when its votes change within a second."""
        seen: list[Seen] = []
        for _ in range(seconds):
            seen += self.second()
        return seen

    def second(self) -> list[Seen]:
        """One second further."""
        now_ms = self.source.now_ms + 1000
        if now_ms - self._market.computed_at_ms >= REFRESH_MS:
            self._market = know_market(self.source, self.params)
        changed: set[str] = set()
        for trade in self.source.advance(now_ms):
            for fill in fills_of_trade(trade):
                if fill.user in self._pool and self._on_fill(fill):
                    changed.add(fill.coin)
        for coin, held in list(self._sets.items()):
            self._sets[coin], gone = votes.advance(held, now_ms, self._life_ms(coin))
            if gone:
                changed.add(coin)
        return [self._assess(coin, now_ms) for coin in sorted(changed) if self._sets[coin].votes]

    def _on_fill(self, fill: Fill) -> bool:
        """Whether the fill changed the votes of its coin."""
        key = (fill.user, fill.coin)
        before = self._positions.get(key, ZERO)
        self._positions[key] = after = before + fill.signed_size
        state, change = votes.on_fill(
            self._states.get(key, votes.TraderState()), fill, before, after, self.params.consensus
        )
        self._states[key] = state
        if change is None:
            return False
        held = self._sets.get(fill.coin, votes.VoteSet(fill.coin))
        self._sets[fill.coin] = held.with_vote(fill.user, state.vote)
        return True

    def _life_ms(self, coin: str) -> int:
        return votes.life_ms(self._market.volatility[coin].percentile, self.params.consensus)

    def _assess(self, coin: str, now_ms: int) -> Seen:
        inputs = self._inputs(coin, now_ms)
        assessment = assess(inputs, self.params)
        if assessment.decision_type is DecisionType.SIGNAL:
            self._risk = steps.on_signal(self._risk, coin, now_ms, self.params.risk)
        agreeing = tuple(v.address for v in inputs.voters if v.direction is assessment.direction)
        return Seen(assessment, agreeing)

    def _inputs(self, coin: str, now_ms: int) -> DecisionInputs:
        learned = self.learned
        voters = tuple(self._voter(vote) for vote in self._sets[coin].ordered())
        names = sorted(voter.address for voter in voters)
        pairs = [learned.pairs.get((a, b)) for i, a in enumerate(names) for b in names[i + 1 :]]
        account = RiskAccount(now_ms, self.params.risk.paper_equity_usd, 0.0)
        self._risk = steps.on_account(self._risk, account, now_ms, self.params.risk)
        return DecisionInputs(
            asset=coin,
            now_ms=now_ms,
            trigger_event_id=f"{coin}:{now_ms}",
            mode="demo",
            snapshot_version=1,
            snapshot_hash="",
            settings_hash="",
            voters=voters,
            pairs=tuple(pair for pair in pairs if pair is not None),
            rho0=learned.rho0,
            book=self.source.book(coin),
            venue_clock_offset_ms=0,
            feed_last_frame_ms=now_ms,
            volatility=self._market.volatility[coin],
            regime=self._market.regime[coin],
            funding_rate_hourly=self.source.context(coin).funding_rate,
            costs_as_of_ms=now_ms,
            hold=learned.hold[coin],
            posterior_as_of_ms=learned.as_of_ms,
            correlation_as_of_ms=learned.as_of_ms,
            leaderboard_as_of_ms=learned.as_of_ms,
            risk=self._risk,
        )

    def _voter(self, vote: votes.Vote) -> Voter:
        learning = self.learned.learning[vote.user]
        p = learning.posterior
        return Voter(
            vote.user, vote.direction, vote.voted_at_ms, vote.price, vote.notional, vote.fill_ids,
            p.m, p.kappa, p.alpha, p.beta, learning.n_episodes,
        )  # fmt: skip
