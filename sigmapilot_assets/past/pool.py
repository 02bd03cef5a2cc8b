"""Learning, skill test, draw and rows of traders as of the end of a past day; live draws made again (spec 1.5, 1.6)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

from sigmapilot_assets.metadata import preview_table
from sigmapilot_assets.model.pool import recorded_users
from sigmapilot_assets.past.days import DAYS, ONE_RUN, days_of
from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import as_of_store
from sigmapilot_core.adapters.postgres.as_of_store import NothingKnownError
from sigmapilot_core.domain.traders.day import AS_OF_VERSION

_SHOWN = 20


@dg.asset(
    name="model_traders__pool_asof",
    group_name="model",
    owners=["team:research"],
    kinds={"python", "numpy", "postgres"},
    partitions_def=DAYS,
    backfill_policy=ONE_RUN,
    deps=["core_traders__filters_asof", "core_traders__episodes", "stream_episodes", "model_traders__pool"],
    check_specs=[
        dg.AssetCheckSpec("draws_repeat_from_their_keys", asset="model_traders__pool_asof"),
        dg.AssetCheckSpec("equals_the_run_of_that_day", asset="model_traders__pool_asof"),
    ],
)
def pool_asof(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """The day evaluated from what was known when it ended, and compared with every run that was made of it.

    A day follows from the rows of the day before: days still missing are evaluated first. What is stored stays as it
    is, the live selection above all: a past day has selection version 0, which is never published.
    """
    days = days_of(context, platform)
    recorded = recorded_users(platform)
    made = _evaluate_until(context, platform, days[-1], recorded)
    found = [_compared(platform, day, recorded, is_new=day in made) for day in days]
    newest = found[-1]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(sum(day.events.values()) for day in found),
            "days": len(days),
            "newest_day": str(days[-1]),
            "days_evaluated": len(made),
            "live_draws_made_again": sum(day.live_again for day in found),
            **{f"traders_{name}": count for name, count in newest.events.items()},
            "draws": preview_table(
                ["version", "as of", "key", "eligible", "note"],
                [
                    [row[name] for name in ("selection_version", "drawn_at", "philox_key", "eligible_count", "reason")]
                    for row in newest.draws
                ],
            ),
        },
        check_results=[
            _check(
                "draws_repeat_from_their_keys",
                [difference for day in found for difference in day.of_keys],
                sum(len(day.draws) for day in found),
            ),
            _check(
                "equals_the_run_of_that_day",
                [difference for day in found for difference in day.of_runs],
                sum(day.again for day in found),
            ),
        ],
    )


@dataclass(frozen=True, slots=True)
class _Compared:
    """A day against every run that was made of it; `again` draws were made again, `live_again` of them live ones."""

    draws: Sequence[Mapping[str, Any]]
    again: int
    live_again: int
    of_keys: Sequence[str]
    of_runs: Sequence[str]
    events: Mapping[str, int]


def _compared(platform: Platform, day: date, recorded: Collection[str] | None, *, is_new: bool) -> _Compared:
    """Repeat the draws of a day; one that this run has made is not compared with itself."""
    with platform.transaction() as connection:
        draws = as_of_store.selections_of(connection, day)
        again = [row for row in draws if row["selection_version"] != AS_OF_VERSION or not is_new]
        return _Compared(
            draws=draws,
            again=len(again),
            live_again=sum(row["selection_version"] != AS_OF_VERSION for row in again),
            of_keys=[d for row in draws for d in as_of_store.key_differences(connection, row, platform.params)],
            of_runs=[d for row in again for d in as_of_store.differences(connection, row, recorded, platform.params)],
            events=as_of_store.events_of(connection, day),
        )


def _evaluate_until(
    context: dg.AssetExecutionContext, platform: Platform, day: date, recorded: Collection[str] | None
) -> set[date]:
    """Evaluate the days up to this one that are missing, each in a transaction of its own: a restart goes on."""
    made = set()
    try:
        with platform.transaction() as connection:
            missing = as_of_store.missing_days(connection, day)
        for done, earlier in enumerate(missing, start=1):
            with platform.transaction() as connection:
                found = as_of_store.evaluate_whole_day(
                    connection, earlier, platform.pool_flavour, recorded, platform.params
                )
            if found is not None:
                made.add(earlier)
            if done % 10 == 0 or done == len(missing):
                context.log.info("days evaluated: %d of %d, up to %s", done, len(missing), earlier)
    except NothingKnownError as error:
        raise dg.Failure(str(error)) from error
    return made


def _check(name: str, found: list[str], compared: int) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        passed=not found,
        metadata={"draws_compared": compared, "differences": len(found), "first": "; ".join(found[:_SHOWN]) or "none"},
        description=found[0] if found else f"{compared} draws compared, not a byte differs",
    )
