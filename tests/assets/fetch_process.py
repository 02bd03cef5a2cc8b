"""A run that fetches histories, in a process of its own, so that it can be killed.

Arguments: URL of the database, of the venue, now, folder of the budgets.
"""

from __future__ import annotations

import sys
from pathlib import Path

import dagster as dg

from sigmapilot_assets.platform import Platform
from sigmapilot_assets.raw.fills_history import fills_history
from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.hyperliquid.reader import HttpVenueReader
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.domain.params import Params

from .asset_venue import FakeVenue

WEIGHT_PER_MINUTE = 600_000


def fetch(database: str, venue: str, now_ms: int, budget_dir: Path) -> dict[str, object]:
    """One run; returns the metadata of the materialisation."""
    engine = create_engine(database)
    clock = FeedClock(now_ms)
    platform = Platform(
        "live",
        "normal",
        Params(),
        engine,
        clock,
        lambda: HttpVenueReader(venue, WEIGHT_PER_MINUTE, clock.now_ms, budget_dir),
        FakeVenue({}, []),
        Path(),
    )
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            done = dg.materialize([fills_history], instance=instance, resources={"platform": platform})
    finally:
        engine.dispose()
    (event,) = done.get_asset_materialization_events()
    metadata = event.step_materialization_data.materialization.metadata
    return {name: found.value for name, found in metadata.items()}


if __name__ == "__main__":
    fetch(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
