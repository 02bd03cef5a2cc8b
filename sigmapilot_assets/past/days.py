"""Daily partitions: which day a run is for, and that it is over."""

from __future__ import annotations

from datetime import date

import dagster as dg

from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres.as_of_store import end_of

# a day can be asked for once it is over, in UTC, whatever the clock of the machine shows
DAYS = dg.DailyPartitionsDefinition(start_date="2025-01-01", timezone="UTC")


# a backfill of many days is one run: a day follows from the one before, and a run of its own costs seconds
ONE_RUN = dg.BackfillPolicy.single_run()


def days_of(context: dg.AssetExecutionContext, platform: Platform) -> list[date]:
    """The days of the run's partitions, oldest first.

    Raises:
        Failure: there is none, or one is not over by the platform's clock, which in a recording is the recording's.
    """
    if not (context.has_partition_key or context.has_partition_key_range):
        raise dg.Failure("the run names no day; launch it with a partition: --partition YYYY-MM-DD")
    days = sorted(date.fromisoformat(key) for key in context.partition_keys)
    if platform.now() < end_of(days[-1]):
        raise dg.Failure(
            f"partition {days[-1]} is not over: it is {platform.now():%Y-%m-%d %H:%M} UTC, and a day is evaluated as "
            "of its end; allowed are days before today"
        )
    return days
