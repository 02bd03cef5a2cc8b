"""Walk-forward: fit on the past, leave a gap, test on days nobody fitted on; fold by fold (spec 8).

What is learnt from day to day as live (posteriors, pool, correlations) is as of each day's start. What is fitted
(the calibration maps) rests on outcomes that had closed a gap of days before the fold begins: no decision of the
fitting period is still open in the gap, so none of them shares a bar with the test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sigmapilot_core.domain.consensus.expected_value import CalibrationMaps
from sigmapilot_core.domain.evaluation.calibration import Estimate, fit_maps
from sigmapilot_core.domain.evaluation.day_model import DayModel, Learner
from sigmapilot_core.domain.evaluation.replay import Judged, Replay
from sigmapilot_core.domain.evaluation.scoring import Scored, score
from sigmapilot_core.domain.params import DAY_MS, Params
from sigmapilot_core.domain.traders.thompson import Score

MIN_DAYS = 20

Progress = Callable[[int, int], None]
"""(days done, days in all)."""


@dataclass(frozen=True, slots=True)
class FoldRules:
    """`warm_up_days` from the record's start to the first test; decisions to fit on are made from `learn_days` on."""

    learn_days: int = 30
    warm_up_days: int = 60
    test_days: int = 30
    gap_days: int = 7


def rules_for(days: int) -> FoldRules:
    """The specification's folds where one of them fits; a younger history teaches for half its days and is tested in
    two folds.

    Errors: ValueError for a history with no room for the gap between fitting and testing.
    """
    rules = FoldRules()
    if days >= rules.warm_up_days + rules.test_days:
        return rules
    if days < MIN_DAYS:
        raise ValueError(f"the range has {days} days; at least {MIN_DAYS} are needed for one fold with its gap")
    warm_up = days // 2
    return FoldRules(min(days // 3, warm_up - rules.gap_days - 1), warm_up, -(-(days - warm_up) // 2), rules.gap_days)


@dataclass(frozen=True, slots=True)
class Fold:
    """Test days [start, end); everything fitted is of outcomes known before `fit_until_ms`."""

    index: int
    fit_until_ms: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Walk:
    """All decisions of a walk, and those of the tests apart.

    `judged` and `scored` (those that passed all gates) hold the fitting days too; `models` by the day's start; `maps`
    by fold.
    """

    folds: tuple[Fold, ...]
    models: dict[int, DayModel]
    maps: tuple[CalibrationMaps, ...]
    judged: tuple[Judged, ...]
    scored: tuple[Scored, ...]

    def fold_of(self, time_ms: int) -> Fold | None:
        """The fold that tests an instant."""
        return next((fold for fold in self.folds if fold.start_ms <= time_ms < fold.end_ms), None)

    def judged_in_tests(self) -> tuple[Judged, ...]:
        """All written decisions of test days."""
        return tuple(one for one in self.judged if self.fold_of(one.decided_at_ms) is not None)

    def tested(self) -> tuple[Scored, ...]:
        """Decisions of test days whose end is known."""
        return tuple(
            one for one in self.scored if one.gross_r is not None and self.fold_of(one.judged.decided_at_ms) is not None
        )


def folds_of(start_ms: int, end_ms: int, rules: FoldRules) -> tuple[Fold, ...]:
    """Folds that follow one another from the warm-up to the end, none overlapping; the last one may be shorter.

    Errors: ValueError for rules that leave nothing to fit on, or a record too short for a test day.
    """
    if not 0 < rules.learn_days + rules.gap_days < rules.warm_up_days or min(rules.test_days, rules.gap_days) < 1:
        raise ValueError(f"learn_days + gap_days must be below warm_up_days and all above 0, got {rules}")
    first = -(-start_ms // DAY_MS) * DAY_MS + rules.warm_up_days * DAY_MS
    last = end_ms // DAY_MS * DAY_MS
    if first >= last:
        days = (end_ms - start_ms) / DAY_MS
        raise ValueError(f"the record has {days:.1f} days; more than {rules.warm_up_days} are needed")
    length = rules.test_days * DAY_MS
    return tuple(
        Fold(index, begin - rules.gap_days * DAY_MS, begin, min(begin + length, last))
        for index, begin in enumerate(range(first, last, length))
    )


def walk(
    learner: Learner,
    params: Params,
    rules: FoldRules | None = None,
    *,
    rank: Score | None = None,
    fits_maps: bool = True,
    only_tests: bool = False,
    maps: Sequence[CalibrationMaps] | None = None,
    until_ms: int | None = None,
    progress: Progress | None = None,
) -> Walk:
    """Decide every day from `learn_days` on, each with the snapshot of its start and the maps of its fold.

    `rank` replaces Thompson's draws. `only_tests` leaves the fitting days out: the maps are then identities. `maps`,
    one a fold, are taken as published, and no fitting days are walked. `until_ms` ends the tests earlier than the
    record, whose rest then only tells how decisions ended. Days without a leaderboard have no decisions, nor have the
    days of the first gap.
    """
    rules = rules or FoldRules()
    record = learner.record
    folds = folds_of(record.start_ms, min(record.end_ms, until_ms or record.end_ms), rules)
    replay = Replay(record, learner.market, params)
    first = folds[0].fit_until_ms
    only_tests = only_tests or maps is not None
    lead_in = first - (0 if only_tests else (rules.warm_up_days - rules.learn_days - rules.gap_days) * DAY_MS)
    days: list[tuple[Fold | None, int]] = [(None, day) for day in range(lead_in, first, DAY_MS)]
    days += [(fold, day) for fold in folds for day in range(fold.start_ms, fold.end_ms, DAY_MS)]
    judged: list[Judged] = []
    models: dict[int, DayModel] = {}
    used: list[CalibrationMaps] = []
    for done, (fold, day) in enumerate(days, start=1):
        if fold is not None and len(used) == fold.index:
            if maps is not None:
                used.append(maps[fold.index])
            else:
                fits = fits_maps and not only_tests
                used.append(_fitted(learner, judged, params, fold) if fits else CalibrationMaps())
        standing = learner.standing(day)
        if standing is not None:
            models[day] = learner.model(standing, rank)
            judged += replay.day(models[day], used[-1] if used else None)
        if progress is not None:
            progress(done, len(days))
    passed = [one for one in judged if one.passed_gates]
    scored = score(record.minutes, passed, params.outcome)
    return Walk(folds, models, tuple(used), tuple(judged), tuple(scored))


def estimates_of(scored: list[Scored] | tuple[Scored, ...]) -> list[Estimate]:
    """What the maps are fitted on: raw estimates and outcomes of the decisions that ended."""
    return [
        Estimate(one.closed_ms, one.judged.p_raw, one.judged.win_r, one.judged.loss_r, one.gross_r)
        for one in scored
        if one.closed_ms is not None
        and one.gross_r is not None
        and one.judged.p_raw is not None
        and one.judged.win_r is not None
        and one.judged.loss_r is not None
    ]


def _fitted(learner: Learner, judged: list[Judged], params: Params, fold: Fold) -> CalibrationMaps:
    passed = [one for one in judged if one.passed_gates]
    known = estimates_of(score(learner.record.minutes, passed, params.outcome))
    return fit_maps(known, params.probability, fold.fit_until_ms)
