"""A day of selection as of an instant: filters, learning, skill test, draw and one row a trader (spec 1.2-1.6).

Everything here is a function of `Knowledge`: what was known at the instant, and nothing later. The daily draw, a
repetition of it and the evaluation of a past day are the same call.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.traders import filters
from sigmapilot_core.domain.traders.filters import FilterResult, TraderFacts, recording_pool
from sigmapilot_core.domain.traders.learning import LearnableEpisodes, TraderLearning, learnings, nothing_learnt
from sigmapilot_core.domain.traders.skill import SkillTest, fdr_qualified, skill_test
from sigmapilot_core.domain.traders.status import DailyStatus, DeathCause, TraderDay, TraderStatus, is_alive, status_of
from sigmapilot_core.domain.traders.thompson import Candidate, Drawn, Selection, candidate_of, choose_pool
from sigmapilot_core.domain.venue import LeaderboardRow

AS_OF_VERSION = 0
"""Selection version of the evaluation of a whole day after its end; live draws count from 1."""


@dataclass(frozen=True, slots=True)
class Before:
    """A trader's row before this one."""

    status: DailyStatus
    death: DeathCause | None
    was_selected: bool


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Everything known of traders at `as_of_ms`.

    `rows` is the leaderboard in force, stored for `leaderboard_day`; `peak_usd` the highest account value stored of
    each of its traders; `last_fill_ms` the newest fill known. `before` is the chain of daily rows that this day
    follows.
    """

    as_of_ms: int
    leaderboard_day: dt.date
    rows: Sequence[LeaderboardRow]
    facts: Mapping[str, TraderFacts]
    episodes: LearnableEpisodes
    peak_usd: Mapping[str, float]
    liquidated: frozenset[str]
    last_fill_ms: Mapping[str, int]
    before: Mapping[str, Before]


@dataclass(frozen=True, slots=True)
class TraderRow:
    """A trader's day, named like the columns of `trader_snapshots`; None is unknown."""

    snapshot_date: dt.date
    address: str
    selection_version: int
    event_type: str
    death_type: str | None
    censor_type: str | None
    account_value: float | None
    peak_account_value: float | None
    pnl_30d: float | None
    roi_30d: float | None
    week_volume: float | None
    orders_per_day: float | None
    episode_count: int
    avg_r_gross: float | None
    avg_r_net: float | None
    nig_m: float | None
    nig_kappa: float | None
    nig_alpha: float | None
    nig_beta: float | None
    thompson_draw: float | None
    selection_rank: int | None
    draw_group: str | None
    is_eligible: bool
    is_selected: bool
    skill_p_value: float | None
    fdr_qualified: bool | None


@dataclass(frozen=True, slots=True)
class Day:
    """What a day comes to. `learning_count` is the number of eligible traders with enough episodes to be exploited."""

    selection: Selection
    rows: tuple[TraderRow, ...]
    skill: Mapping[str, SkillTest]
    learning_count: int


def evaluate_day(
    known: Knowledge,
    selection_date: dt.date,
    version: int,
    params: Params,
    recorded: Collection[str] | None = None,
) -> Day:
    """Filters, posteriors, skill test, draw and rows of one day.

    `recorded` restricts the choice to traders that occur in a recording and pass filters 1-4, as its venue cannot
    answer 5-7. A trader whose death stands in the chain is not eligible again.
    """
    results = [filters.evaluate(row, known.facts.get(row.address), params.filters) for row in known.rows]
    learnt = learnings(known.episodes, known.as_of_ms, params.posterior, params.episodes.r_clamp)
    candidates = [
        _candidate(result, row, known, learnt, params) for result, row in zip(results, known.rows, strict=True)
    ]
    if recorded is not None:
        chosen = frozenset(recording_pool(results, recorded))
        candidates = [candidate for candidate in candidates if candidate.address in chosen]
    selection = choose_pool(candidates, selection_date, version, params.bandit)
    tests = skill_tests(known.episodes, params)
    return Day(
        selection=selection,
        rows=_rows(known, selection, learnt, tests, params),
        skill=tests,
        learning_count=sum(
            drawn.address in learnt and learnt[drawn.address].n_eff >= params.bandit.min_episodes
            for drawn in selection.drawn
        ),
    )


def skill_tests(episodes: LearnableEpisodes, params: Params) -> dict[str, SkillTest]:
    """The skill test of every trader with a learnable episode."""
    if not episodes.address.size:
        return {}
    names, starts = np.unique(episodes.address, return_index=True)
    ends = np.append(starts[1:], episodes.address.size)
    return {
        str(name): skill_test(episodes.closed_at_ms[start:end], episodes.result_r[start:end], params.skill)
        for name, start, end in zip(names, starts.tolist(), ends.tolist(), strict=True)
    }


def _candidate(
    result: FilterResult,
    row: LeaderboardRow,
    known: Knowledge,
    learnt: Mapping[str, TraderLearning],
    params: Params,
) -> Candidate:
    before = known.before.get(row.address)
    alive = is_alive(
        row.account_value_usd, known.peak_usd.get(row.address), row.address in known.liquidated, params.skill
    )
    if before is not None and before.status is DailyStatus.DEATH:
        alive = False
    learning = learnt.get(row.address) or nothing_learnt(known.as_of_ms, params.posterior)
    return candidate_of(result, learning, alive)


def _rows(
    known: Knowledge,
    selection: Selection,
    learnt: Mapping[str, TraderLearning],
    tests: Mapping[str, SkillTest],
    params: Params,
) -> tuple[TraderRow, ...]:
    """A row for everyone who was ever asked, learnt of, eligible, or has a row already: nobody drops out."""
    labels = fdr_qualified(tests, params.skill)
    listed = {row.address: row for row in known.rows}
    drawn = {row.address: row for row in selection.drawn}
    found = []
    for address in sorted({*known.facts, *learnt, *known.before, *drawn}):
        row, place = listed.get(address), drawn.get(address)
        status = _status(address, row, place, known, params)
        test = tests.get(address)
        made = _row(address, row, place, status, learnt.get(address), known, selection)
        found.append(replace(made, skill_p_value=test.p_value if test else None, fdr_qualified=labels.get(address)))
    return tuple(found)


def _row(
    address: str,
    row: LeaderboardRow | None,
    place: Drawn | None,
    status: TraderStatus,
    learnt: TraderLearning | None,
    known: Knowledge,
    selection: Selection,
) -> TraderRow:
    month, week = (row.windows.get("month"), row.windows.get("week")) if row else (None, None)
    posterior, facts = learnt.posterior if learnt else None, known.facts.get(address)
    return TraderRow(
        snapshot_date=selection.selection_date,
        address=address,
        selection_version=selection.version,
        event_type=status.status.value,
        death_type=status.death.value if status.death else None,
        censor_type=status.censor.value if status.censor else None,
        account_value=row.account_value_usd if row else None,
        peak_account_value=known.peak_usd.get(address),
        pnl_30d=month.pnl_usd if month else None,
        roi_30d=month.roi if month else None,
        week_volume=week.volume_usd if week else None,
        orders_per_day=facts.orders_per_day if facts else None,
        episode_count=learnt.n_episodes if learnt else 0,
        avg_r_gross=learnt.mean_gross_unclamped if learnt else None,
        avg_r_net=learnt.mean_r if learnt else None,
        nig_m=posterior.m if posterior else None,
        nig_kappa=posterior.kappa if posterior else None,
        nig_alpha=posterior.alpha if posterior else None,
        nig_beta=posterior.beta if posterior else None,
        thompson_draw=place.draw if place else None,
        selection_rank=place.rank if place else None,
        draw_group=place.group.value if place else None,
        is_eligible=place is not None,
        is_selected=place is not None and place.slot is not None,
        skill_p_value=None,
        fdr_qualified=None,
    )


def _status(
    address: str, row: LeaderboardRow | None, place: Drawn | None, known: Knowledge, params: Params
) -> TraderStatus:
    before = known.before.get(address)
    day = TraderDay(
        equity_usd=row.account_value_usd if row else None,
        peak_equity_usd=known.peak_usd.get(address),
        was_liquidated=address in known.liquidated,
        last_fill_ms=known.last_fill_ms.get(address),
        is_observed=row is not None,
        in_pool=place is not None and place.slot is not None,
        was_in_pool=before is not None and before.was_selected,
        previous=before.status if before else None,
        previous_death=before.death if before else None,
    )
    return status_of(day, known.as_of_ms, params.skill)
