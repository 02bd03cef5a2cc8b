"""Is the feed complete? Fills of sampled traders, asked from the venue, against what the feed stored of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from sigmapilot_assets.metadata import preview_table
from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import completeness_store, history_store
from sigmapilot_core.adapters.postgres.completeness_store import Sample
from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.params import DAY_MS
from sigmapilot_core.domain.traders import completeness as measure
from sigmapilot_core.domain.traders.completeness import Comparison, CompletenessParams, Tally
from sigmapilot_core.ports import VenueReader, VenueUnavailableError

ASSET = "report_feed__completeness"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked next: the window, the key and who was drawn, with the day each is followed from."""

    id: int
    from_ms: int
    to_ms: int
    key: int
    population: int
    since: Mapping[str, int]


@dataclass(slots=True)
class Answers:
    """Fills the venue lists per trader, within the window."""

    fills: dict[str, Sequence[Fill]] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)
    truncated: list[str] = field(default_factory=list)


@dg.asset(
    name=ASSET,
    group_name="report",
    owners=["team:operations"],
    kinds={"python", "postgres"},
    deps=["stream_fills"],
    check_specs=[dg.AssetCheckSpec("feed_is_complete", asset=ASSET)],
)
def completeness(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Compare a drawn sample of tracked traders with the venue, fill by fill; the draw can be repeated from its key.

    Traders with a fill that was missed or is wrong are primed anew by the stream, and their fills of the window are
    stored as fetched history. Windows follow one another without overlap.
    """
    if platform.pool_flavour == "recording":
        return _nothing("a recording has no later answer to compare with", Tally(), platform.completeness)
    with platform.transaction() as connection:
        plan = plan_of(
            platform, completeness_store.last_sample(connection), completeness_store.tracked_since(connection)
        )
    if plan is None:
        with platform.transaction() as connection:
            before = completeness_store.tally_since(connection, platform.clock.now_ms() - DAY_MS)
        return _nothing("the window is too young, or nobody is tracked yet", before, platform.completeness)
    with platform.open_venue() as venue:
        answers = ask(venue, plan, platform.completeness)
    sample, found, day = judge(platform, plan, answers)
    context.log.info(
        "%d traders, %d fills compared", len(sample.addresses), measure.total(measure.tallies(found).values()).compared
    )
    return dg.MaterializeResult(metadata=_metadata(sample, found), check_results=[_check(day, platform.completeness)])


def plan_of(platform: Platform, last: tuple[int, int] | None, tracked: Mapping[str, int]) -> Plan | None:
    """The next window and the draw in it; None while there is nothing to compare."""
    params = platform.completeness
    if not tracked:
        return None
    window = measure.window_of(last[1] if last else None, min(tracked.values()), platform.clock.now_ms(), params)
    if window is None:
        return None
    key = measure.sample_key(*window)
    drawn = measure.draw_sample(tracked, params.sample_size, key)
    since = {user: tracked[user] for user in drawn}
    return Plan((last[0] if last else 0) + 1, *window, key, len(tracked), since)


def ask(venue: VenueReader, plan: Plan, params: CompletenessParams) -> Answers:
    """What the venue lists of everybody drawn; with more fills than fit, those from the first fetched instant on."""
    answers = Answers()
    for user in plan.since:
        try:
            listed = venue.fill_history(user, plan.from_ms, plan.to_ms - 1, params.max_fills)
        except VenueUnavailableError:
            answers.unanswered.append(user)
            continue
        if len(listed) >= params.max_fills:
            answers.truncated.append(user)
        answers.fills[user] = [fill for fill in listed if plan.from_ms <= fill.time_ms < plan.to_ms]
    return answers


def judge(platform: Platform, plan: Plan, answers: Answers) -> tuple[Sample, list[Comparison], Tally]:
    """Compare and store; returns the sample, every verdict, and the counts of the last 24 hours."""
    params, now = platform.completeness, platform.now()
    found: list[Comparison] = []
    with platform.transaction() as connection:
        asked = {user: plan.since[user] for user in answers.fills}
        records = completeness_store.feed_records(connection, asked, plan.from_ms, plan.to_ms)
        gaps = completeness_store.known_gaps(connection, plan.from_ms, plan.to_ms)
        for user, listed in answers.fills.items():
            record = records[user]
            if user in answers.truncated:
                listed, record = _from_first_whole_instant(listed, record)
            found += measure.compare(user, listed, record, gaps, params)
        sample = Sample(
            plan.id, plan.from_ms, plan.to_ms, now, plan.key, plan.population, tuple(answers.fills),
            len(answers.unanswered), len(answers.truncated),
        )  # fmt: skip
        completeness_store.store(connection, sample, found)
        for user in sorted(completeness_store.users_with_faults(found)):
            history_store.store_fills(connection, answers.fills[user], platform.clock.now_ms())
        day = completeness_store.tally_since(connection, platform.clock.now_ms() - DAY_MS)
    return sample, found, day


def _from_first_whole_instant(
    listed: Sequence[Fill], record: measure.FeedRecord
) -> tuple[Sequence[Fill], measure.FeedRecord]:
    """Without the first instant, which may have been cut, and without what the feed has of before."""
    first = listed[0].time_ms if listed else 0
    stored = {key: fill for key, fill in record.stored.items() if key[0] > first}
    kept = [fill for fill in listed if fill.time_ms > first]
    return kept, measure.FeedRecord(stored, record.heard_ms, record.tracked_since_ms)


def _nothing(reason: str, day: Tally, params: CompletenessParams) -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"reason": reason}, check_results=[_check(day, params)])


def _check(day: Tally, params: CompletenessParams) -> dg.AssetCheckResult:
    """Over 24 hours: a single sample is small. Without anything to compare the share is unknown, which never passes."""
    share = day.share_present
    verdict = "unknown" if share is None else "pass" if share >= params.min_share else "fail"
    return dg.AssetCheckResult(
        check_name="feed_is_complete",
        passed=verdict == "pass",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "verdict": verdict,
            "share_present_24h": "unknown" if share is None else share,
            "least_share": params.min_share,
            "compared_24h": day.compared,
            "missing_24h": day.missing,
            "wrong_24h": day.wrong,
        },
    )


def _metadata(sample: Sample, found: Sequence[Comparison]) -> dict[str, Any]:
    cells = measure.tallies(found)
    tally = measure.total(cells.values())
    shown = sorted(cells.items(), key=lambda cell: (-cell[1].missing, -cell[1].wrong, cell[0]))[:20]
    columns = ["coin", "hour", "compared", "share", "late", "wrong", "missing known", "missing silent"]
    return {
        "dagster/row_count": tally.compared,
        "share_present": "unknown" if tally.share_present is None else tally.share_present,
        "from": str(history_store.at(sample.from_ms)),
        "to": str(history_store.at(sample.to_ms)),
        "philox_key": f"{sample.philox_key:032x}",
        "traders": len(sample.addresses),
        "population": sample.population,
        "unanswered": sample.unanswered,
        "truncated": sample.truncated,
        **{name: getattr(tally, name) for name in completeness_store.COUNTS},
        "cells": preview_table(
            columns,
            [
                [
                    coin,
                    str(history_store.at(hour)),
                    t.compared,
                    t.share_present,
                    t.late,
                    t.wrong,
                    t.missing_known,
                    t.missing_silent,
                ]
                for (coin, hour), t in shown
            ],
        ),
    }
