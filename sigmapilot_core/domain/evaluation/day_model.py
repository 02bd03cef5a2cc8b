"""What the pipeline knows on the morning of a day: filters, posteriors, pool, correlations, holding times (spec 1).

Everything is a function of fills, bars and leaderboards before that instant. Each rule is the pipeline's own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.evaluation.episode_columns import EpisodeColumns, episode_columns
from sigmapilot_core.domain.evaluation.market_view import MarketView
from sigmapilot_core.domain.evaluation.record import NO_ORDER, VenueRecord
from sigmapilot_core.domain.events import Verdict
from sigmapilot_core.domain.market.costs import HoldEstimate, expected_hold_hours
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, MAJORS, MINUTE_MS, Params
from sigmapilot_core.domain.traders.correlation import (
    PairCorrelation,
    correlation_table,
    default_rho,
    window_ms,
)
from sigmapilot_core.domain.traders.effective_k import by_pair
from sigmapilot_core.domain.traders.filters import LEADERBOARD_FILTERS, TraderFacts, combined, evaluate
from sigmapilot_core.domain.traders.learning import LearningTable, known_or_none, learn_many
from sigmapilot_core.domain.traders.posterior import Posterior
from sigmapilot_core.domain.traders.status import is_alive
from sigmapilot_core.domain.traders.thompson import Candidate, Score, Selection, choose_pool, group_of

HISTORY_DAYS = 60
"""How far back the pipeline asks for a trader's fills (spec 1.2)."""
SELECTION_VERSION = 1


@dataclass(frozen=True, slots=True)
class Standing:
    """Everybody's standing as of an instant: the candidates, and what was learnt, by position of the address."""

    as_of_ms: int
    listed: tuple[int, ...]
    candidates: tuple[Candidate, ...]
    learning: LearningTable

    def eligible(self, params: Params) -> tuple[int, ...]:
        """Positions in `candidates` of those who may be drawn."""
        return tuple(i for i, one in enumerate(self.candidates) if group_of(one, params.bandit)[0] is not None)


@dataclass(frozen=True, slots=True)
class DayModel:
    """One day's snapshot. `pool` are positions of addresses; `votable` coins pass the volume floor."""

    as_of_ms: int
    pool: tuple[int, ...]
    posteriors: dict[int, Posterior]
    n_episodes: dict[int, int]
    pairs: dict[tuple[str, str], PairCorrelation]
    rho0: float
    hold: tuple[HoldEstimate, ...]
    votable: frozenset[int]
    selection: Selection


@dataclass
class Learner:
    """Makes standings and day models of one record. Leaderboards of earlier days are remembered for their peaks."""

    record: VenueRecord
    market: MarketView
    episodes: EpisodeColumns
    params: Params
    _index: dict[str, int] = field(init=False)
    _rows: tuple[NDArray[np.int64], NDArray[np.int64]] = field(init=False)
    _acts: NDArray[np.void] = field(init=False)
    _peaks: dict[int, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._index = self.record.index_of
        user = self.record.fills["user"]
        order = np.argsort(user, kind="stable")
        self._rows = (order, np.searchsorted(user[order], np.arange(len(self.record.addresses) + 1)))
        self._acts = _acts(self.record, self.params.correlation.bucket_minutes)

    @classmethod
    def of(cls, record: VenueRecord, params: Params) -> Learner:
        """A learner with the market and the episodes of the record."""
        market = MarketView(record, params)
        return cls(record, market, episode_columns(record, market, params.episodes), params)

    def standing(self, as_of_ms: int) -> Standing | None:
        """Candidates as of an instant; None where no leaderboard is known."""
        rows = self.record.board(as_of_ms)
        if rows is None:
            return None
        table = self.learning(as_of_ms)
        peaks = self._peaks_until(as_of_ms)
        dead = self.liquidated(as_of_ms)
        candidates, listed = [], []
        for row in rows:
            user = self._index.get(row.address)
            if user is None:
                continue
            first = evaluate(row, None, self.params.filters)
            facts = self.facts(user, as_of_ms) if first.leaderboard_verdict is Verdict.PASS else None
            checks = evaluate(row, facts, self.params.filters).checks
            listed.append(user)
            candidates.append(
                Candidate(
                    address=row.address,
                    leaderboard=first.leaderboard_verdict,
                    requests=combined(check.verdict for check in checks[len(LEADERBOARD_FILTERS) :]),
                    is_alive=is_alive(row.account_value_usd, peaks.get(row.address), user in dead, self.params.skill),
                    posterior=self.posterior(table, user),
                    n_eff=float(table.n_eff[user]),
                    mean_gross_unclamped=known_or_none(table.mean_gross_unclamped[user]),
                    n_eff_attainable=known_or_none(table.n_eff_attainable[user]),
                )
            )
        return Standing(as_of_ms, tuple(listed), tuple(candidates), table)

    def learning(self, as_of_ms: int) -> LearningTable:
        """Posteriors of all addresses from episodes closed before an instant."""
        known = self.episodes.closed_before(as_of_ms)
        return learn_many(
            self.episodes.user[known],
            self.episodes.closed_ms[known],
            self.episodes.r_unclamped[known],
            len(self.record.addresses),
            as_of_ms,
            self.params.posterior,
            self.params.episodes.r_clamp,
        )

    def posterior(self, table: LearningTable, user: int) -> Posterior:
        """One row of the table."""
        return Posterior(*(float(getattr(table, name)[user]) for name in ("m", "kappa", "alpha", "beta")))

    def facts(self, user: int, as_of_ms: int) -> TraderFacts | None:
        """Order rate, sub-accounts and a major's fill: the stored answer, or from the fills of the last 60 days."""
        if self.record.answers is not None:
            return self.record.answers(user, as_of_ms)
        order, starts = self._rows
        rows = order[starts[user] : starts[user + 1]]
        fills = self.record.fills[rows]
        low, high = np.searchsorted(fills["t"], [as_of_ms - HISTORY_DAYS * DAY_MS, as_of_ms])
        fills = fills[low:high]
        is_master = user in self.record.masters
        if not len(fills):
            return TraderFacts(None, is_master, None)
        known = fills[fills["oid"] != NO_ORDER]
        per_day = None
        if len(known):
            span = (int(known["t"][-1]) - int(known["t"][0])) / DAY_MS
            per_day = np.unique(known["oid"]).size / max(span, 1.0)
        majors = [c for c, name in enumerate(self.record.coins) if name in MAJORS]
        return TraderFacts(per_day, is_master, bool(np.isin(fills["coin"], majors).any()))

    def select(self, standing: Standing, score: Score | None = None) -> Selection:
        """Draw the pool of the day, or rank it by `score`."""
        date = dt.datetime.fromtimestamp(standing.as_of_ms / 1000, dt.UTC).date()
        return choose_pool(standing.candidates, date, SELECTION_VERSION, self.params.bandit, score)

    def model(self, standing: Standing, score: Score | None = None) -> DayModel:
        """Draw the pool of the day and measure what the decisions on it need."""
        as_of_ms = standing.as_of_ms
        selection = self.select(standing, score)
        pool = tuple(self._index[drawn.address] for drawn in selection.pool)
        pairs = self.correlate(pool, as_of_ms)
        table = standing.learning
        return DayModel(
            as_of_ms=as_of_ms,
            pool=pool,
            posteriors={user: self.posterior(table, user) for user in pool},
            n_episodes={user: int(table.n_episodes[user]) for user in pool},
            pairs=pairs,
            rho0=default_rho(pairs.values(), self.params.correlation).value,
            hold=self._holds(pool, as_of_ms),
            votable=frozenset(c for c in range(len(self.record.coins)) if self._is_votable(c, as_of_ms)),
            selection=selection,
        )

    def correlate(self, pool: Sequence[int], as_of_ms: int) -> dict[tuple[str, str], PairCorrelation]:
        """Correlations of all pairs over the look-back."""
        rules = self.params.correlation
        start_ms, end_ms = window_ms(as_of_ms, rules)
        acts = self._acts[np.searchsorted(self._acts["t"], start_ms) : np.searchsorted(self._acts["t"], end_ms)]
        acts = acts[np.isin(acts["user"], pool) & (acts["known"] <= as_of_ms)]
        names, coins = np.array(self.record.addresses), np.array(self.record.coins)
        table = correlation_table(
            names[acts["user"]], coins[acts["coin"]], acts["t"], acts["usd"],
            [self.record.addresses[user] for user in pool], as_of_ms, rules,
        )  # fmt: skip
        return by_pair(table.pairs())

    def _holds(self, pool: Sequence[int], as_of_ms: int) -> tuple[HoldEstimate, ...]:
        closed, opened = self.episodes.closed_ms, self.episodes.opened_ms
        rules = self.params.costs
        chosen = (closed < as_of_ms) & (closed >= as_of_ms - rules.hold_lookback_days * DAY_MS)
        chosen &= self.episodes.known_by(as_of_ms)
        rows = np.flatnonzero(chosen)
        rows = rows[np.isin(self.episodes.user[rows], pool)]
        hours = (closed[rows] - opened[rows]) / HOUR_MS
        coin = self.episodes.coin[rows]
        return tuple(
            expected_hold_hours(hours[coin == index].tolist(), rules) for index in range(len(self.record.coins))
        )

    def _is_votable(self, coin: int, as_of_ms: int) -> bool:
        volume = self.record.day_volume_usd(coin, as_of_ms)
        floor = self.params.consensus.min_day_volume_usd
        return self.record.coins[coin] in MAJORS or (volume is not None and volume >= floor)

    def liquidated(self, as_of_ms: int) -> frozenset[int]:
        """Whoever is known to have been liquidated before an instant, by position."""
        stop = self.record.rows_until(as_of_ms)
        fills = self.record.fills[:stop]
        is_liquidation = fills["is_liquidation"]
        if self.record.known_ms is not None:
            is_liquidation = is_liquidation & (self.record.known_ms[:stop] <= as_of_ms)
        return frozenset(np.unique(fills["user"][is_liquidation]).tolist())

    def _peaks_until(self, as_of_ms: int) -> dict[str, float]:
        """Largest account value of each address on the daily leaderboards up to an instant."""
        if as_of_ms not in self._peaks:
            before = as_of_ms - DAY_MS
            known = before >= self.record.start_ms and self.record.board(before) is not None
            peaks = dict(self._peaks_until(before)) if known else {}
            for row in self.record.board(as_of_ms) or ():
                if row.account_value_usd is not None:
                    peaks[row.address] = max(peaks.get(row.address, row.account_value_usd), row.account_value_usd)
            self._peaks[as_of_ms] = peaks
        return self._peaks[as_of_ms]


ACT = np.dtype([("t", "i8"), ("user", "i4"), ("coin", "i2"), ("usd", "f8"), ("known", "i8")])


def _acts(record: VenueRecord, bucket_minutes: int) -> NDArray[np.void]:
    """Net signed notional by (trader, coin, bucket), by the bucket's start: summed exactly in micro-USD.

    `known` is since when all its fills are known.
    """
    fills, bucket_ms = record.fills, bucket_minutes * MINUTE_MS
    users, coins = len(record.addresses), len(record.coins)
    bucket = fills["t"] // bucket_ms
    first = int(bucket.min()) if len(fills) else 0
    cell = ((bucket - first) * users + fills["user"]) * coins + fills["coin"]
    cells, at = np.unique(cell, return_inverse=True)
    net = np.zeros(cells.size, dtype=np.int64)
    np.add.at(net, at, fills["px"] * fills["lots"])
    acts = np.zeros(cells.size, dtype=ACT)
    acts["t"] = (cells // (users * coins) + first) * bucket_ms
    acts["user"], acts["coin"] = cells // coins % users, cells % coins
    acts["usd"] = net / 1e6
    if record.known_ms is not None:
        np.maximum.at(acts["known"], at, record.known_ms)
    return acts
