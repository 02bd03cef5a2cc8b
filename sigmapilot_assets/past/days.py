"""Daily partitions: which day a run is for, and that it is over."""

from __future__ import annotations

from datetime import date

import dagster as dg

from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres.as_of_store import end_of

# a day can be asked for once it is over, in UTC, whatever the clock of the machine shows
DAYS = dg.DailyPartitionsDefinition(start_date="2025-01-01", timezone="UTC")


def day_of(context: dg.AssetExecutionContext, platform: Platform) -> date:
    """The day of the run's partition.

    Raises:
        Failure: there is none, or the day is not over by the platform's clock, which in a recording is the recording's.
    """
    if not context.has_partition_key:
        raise dg.Failure("the run names no day; launch it with a partition: --partition YYYY-MM-DD")
    day = date.fromisoformat(context.partition_key)
    if platform.now() < end_of(day):
        raise dg.Failure(
            f"partition {day} is not over: it is {platform.now():%Y-%m-%d %H:%M} UTC, and a day is evaluated as of its "
            "end; allowed are days before today"
        )
    return day
