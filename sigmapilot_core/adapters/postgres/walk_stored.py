"""Walk-forward over the stored history, as one report: command and asset call this and store the same row."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date, datetime

from sigmapilot_core.adapters.postgres import science_store
from sigmapilot_core.adapters.postgres.stored_record import Connect, Missing, read_learner, stored_range
from sigmapilot_core.domain.evaluation.summary import Evaluation, evaluate
from sigmapilot_core.domain.evaluation.walk_forward import FoldRules, Progress, rules_for
from sigmapilot_core.domain.params import Params

SEED = 1
"""Of the resampled days and of the random pool."""


class BadRangeError(ValueError):
    """The days asked for cannot be walked over; one sentence says why."""


class IncompleteHistoryError(LookupError):
    """The range lacks something the walk rests on; one sentence says what."""


@dataclass(frozen=True, slots=True)
class WalkReport:
    """The walk over [first, last): under which fold rules, of how many traders and fills, lacking what."""

    first: date
    last: date
    rules: FoldRules
    traders: int
    fills: int
    coins: tuple[str, ...]
    missing: Missing
    slippage: str
    seed: int
    evaluation: Evaluation


def span_of(connect: Connect, first: date | None, last: date | None) -> tuple[date, date, FoldRules]:
    """The days to walk over, those stored where none are given, and the folds they allow.

    Raises:
        BadRangeError: from is not before to, outside what is stored, or too short for a fold.
        NoHistoryError: nothing is stored.
    """
    if first is not None and last is not None and first >= last:
        raise BadRangeError(f"--from {first} is not before --to {last}")
    with connect() as connection:
        known_first, known_last = stored_range(connection)
    begin, end = first or known_first, last or known_last
    if begin < known_first or end > known_last:
        raise BadRangeError(f"{begin} to {end} is not stored: history reaches from {known_first} to {known_last}")
    days = (end - begin).days
    try:
        return begin, end, rules_for(days)
    except ValueError as error:
        raise BadRangeError(f"{begin} to {end} is too short: {error}") from error


def walk_stored(
    connect: Connect,
    first: date | None,
    last: date | None,
    params: Params,
    *,
    compares: bool = True,
    accepts_gaps: bool = False,
    progress: Progress | None = None,
) -> WalkReport:
    """Walk over the stored days and compare with the baselines.

    Raises:
        BadRangeError, NoHistoryError: see `span_of`.
        IncompleteHistoryError: something is missing and `accepts_gaps` is not set.
    """
    begin, end, rules = span_of(connect, first, last)
    stored = read_learner(connect, begin, end, params)
    said = stored.missing.sentence()
    if said is not None and not accepts_gaps:
        raise IncompleteHistoryError(f"{begin} to {end}: {said}")
    record = stored.learner.record
    found = evaluate(stored.learner, params, rules, seed=SEED, compares=compares, progress=progress)
    return WalkReport(
        first=begin,
        last=end,
        rules=rules,
        traders=len(record.addresses),
        fills=len(record.fills),
        coins=record.coins,
        missing=stored.missing,
        slippage="static: books are not stored",
        seed=SEED,
        evaluation=found,
    )


def store_walk(connect: Connect, report: WalkReport, computed_at: datetime) -> None:
    """Append the report to the others."""
    content = json.dumps(asdict(report), default=str, allow_nan=False)
    with connect() as connection:
        science_store.store_report(connection, science_store.Report(science_store.WALK_FORWARD, computed_at, content))
