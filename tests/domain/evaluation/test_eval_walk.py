"""Walk-forward sees nothing of the future, and a leak would be seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmapilot_core.domain.evaluation.day_model import Learner
from sigmapilot_core.domain.evaluation.record import VenueRecord
from sigmapilot_core.domain.evaluation.replay import Judged
from sigmapilot_core.domain.evaluation.walk_forward import FoldRules, folds_of, walk
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, Params

RULES = FoldRules(learn_days=26, warm_up_days=29, test_days=3, gap_days=2)


def decided(learner: Learner, until_ms: int) -> list[Judged]:
    """Decisions before an instant."""
    return [one for one in walk(learner, Params(), RULES).judged if one.decided_at_ms < until_ms]


@pytest.fixture(scope="module")
def until_ms(record: VenueRecord) -> int:
    """Four hours into the second test day."""
    return record.start_ms + 30 * DAY_MS + 4 * HOUR_MS


@pytest.fixture(scope="module")
def decisions(learner: Learner, until_ms: int) -> list[Judged]:
    """What was decided before it, knowing all days."""
    return decided(learner, until_ms)


@pytest.mark.slow
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_another_future_does_not_change_past_decisions(
    seed: int, record: VenueRecord, until_ms: int, decisions: list[Judged]
) -> None:
    assert any(one.passed_gates for one in decisions)
    assert decided(Learner.of(_another_future(record, until_ms, seed), Params()), until_ms) == decisions


def _another_future(record: VenueRecord, until_ms: int, seed: int) -> VenueRecord:
    """The record with prices, sizes and minutes after an instant drawn anew, and leaderboards turned round."""
    rng = np.random.default_rng(seed)
    fills = record.fills.copy()
    late = fills["t"] >= until_ms
    fills["px"][late] = (fills["px"][late] * rng.uniform(0.5, 2.0)).astype(np.int64)
    minutes = record.minutes
    row = (until_ms - minutes.start_ms) // 60_000
    shaken = {}
    for name in ("open", "high", "low", "close"):
        values = getattr(minutes, name).copy()
        values[row:] *= rng.uniform(0.5, 2.0)
        shaken[name] = values
    hours = tuple(
        tuple(
            bar if bar.close_ms <= until_ms else replace(bar, high=bar.high * 1.5, close=bar.close * 1.2)
            for bar in bars
        )
        for bars in record.hours
    )
    rates = np.where(record.funding_times[:, None] >= until_ms, 0.01, record.funding_rates)
    return replace(
        record,
        fills=fills,
        minutes=replace(minutes, **shaken),
        hours=hours,
        funding_rates=rates,
        board=lambda at_ms: record.board(at_ms) if at_ms < until_ms else (record.board(at_ms) or ())[::-1],
    )


def test_a_record_cut_short_decides_the_same(record: VenueRecord, until_ms: int, decisions: list[Judged]) -> None:
    cut = record.until(until_ms + 20 * HOUR_MS)
    assert decided(Learner.of(cut, Params()), until_ms) == decisions


def test_a_planted_leak_is_caught(record: VenueRecord, until_ms: int, decisions: list[Judged]) -> None:
    leaking = Learner.of(record, Params())
    early = {name: getattr(leaking.episodes, name) - 3 * DAY_MS for name in ("opened_ms", "closed_ms")}
    known_early = replace(leaking.episodes, **early)
    assert decided(replace_episodes(leaking, known_early), until_ms) != decisions


def replace_episodes(learner: Learner, episodes: object) -> Learner:
    """The learner with episodes that are known before they end."""
    return Learner(learner.record, learner.market, episodes, learner.params)  # type: ignore[arg-type]


def test_folds_follow_one_another_with_a_gap_before_each() -> None:
    rules = FoldRules(learn_days=10, warm_up_days=20, test_days=15, gap_days=7)
    folds = folds_of(5 * DAY_MS + 1, 60 * DAY_MS, rules)
    assert [(fold.start_ms // DAY_MS, fold.end_ms // DAY_MS) for fold in folds] == [(26, 41), (41, 56), (56, 60)]
    assert all(fold.start_ms - fold.fit_until_ms == 7 * DAY_MS for fold in folds)


def test_a_record_without_a_test_day_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has 20\.0 days; more than 60 are needed"):
        folds_of(0, 20 * DAY_MS, FoldRules())
    with pytest.raises(ValueError, match="learn_days"):
        folds_of(0, 200 * DAY_MS, FoldRules(learn_days=55))


@pytest.mark.slow
def test_maps_are_fitted_on_what_was_known_before_the_gap(learner: Learner) -> None:
    found = walk(learner, Params(), RULES)
    assert len(found.maps) == len(found.folds) == 2
    assert all(maps.probability.is_identity for maps in found.maps[:1])
    assert {fold.index for one in found.tested() if (fold := found.fold_of(one.judged.decided_at_ms))} <= {0, 1}
