"""Past days of the demo's world evaluated from what was known then: one, sixty, and all of them again."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import sqlalchemy as sa

from benchmarks.figures import Figure
from benchmarks.own_postgres import migrated, own_server
from benchmarks.simulated_venue import SimulatedVenue
from sigmapilot_assets.core.episodes import episodes
from sigmapilot_assets.platform import Platform
from sigmapilot_assets.raw.fills_history import fills_history
from sigmapilot_assets.raw.leaderboard import raw_leaderboard
from sigmapilot_assets.raw.market import candles, market
from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.postgres import as_of_store
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.simulation.settings import WorldSettings

EPOCH_MS = 1_760_000_000_000  # 2025-10-09T08:53:20Z; which day it is does not matter
DAYS = 60


class NotTheSameError(RuntimeError):
    """A day evaluated again differs."""


def run(traders: int = 300, days: int = DAYS) -> list[Figure]:
    """Seconds of the days in order, of one alone, and of all of them made again and compared."""
    with learnt_world(traders, days) as platform:
        wanted = [platform.today() - timedelta(days=back) for back in range(days, 0, -1)]
        started = time.perf_counter()
        rows = evaluate(platform, wanted)
        in_order = time.perf_counter() - started
        started = time.perf_counter()
        compare(platform, wanted[-1:])
        one = time.perf_counter() - started
        started = time.perf_counter()
        compare(platform, wanted)
        again = time.perf_counter() - started
    return [
        Figure(f"{days} days of {traders} traders, stored", in_order, "s", note=f"{rows:,} rows of traders"),
        Figure("one day made again and compared", one, "s"),
        Figure(f"{days} days made again and compared", again, "s", note="not a value differs"),
    ]


def evaluate(platform: Platform, days: list[date]) -> int:
    """Evaluate and store days in order; how many rows of traders that were."""
    rows = 0
    for day in days:
        with platform.transaction() as connection:
            found = as_of_store.evaluate_whole_day(connection, day, "normal", None, platform.params)
        rows += 0 if found is None else len(found.rows)
    return rows


def compare(platform: Platform, days: list[date]) -> None:
    """Make days again from what was known then.

    Raises:
        NotTheSameError: a value differs from what is stored.
    """
    with platform.transaction() as connection:
        for day in days:
            for draw in as_of_store.selections_of(connection, day):
                for difference in as_of_store.differences(connection, draw, None, platform.params):
                    raise NotTheSameError(difference)


@contextmanager
def learnt_world(traders: int, days: int) -> Iterator[Platform]:
    """A database of its own in which the demo's histories are stored and built into episodes; removed at the end."""
    with own_server(durable=False) as server, tempfile.TemporaryDirectory(prefix="sp-past-") as home:
        engine = create_engine(migrated(server, "past_days"))
        venue = SimulatedVenue(WorldSettings(7, EPOCH_MS, traders=traders, history_days=days))
        yield _learnt(engine, Path(home), venue)
        engine.dispose()


def _learnt(engine: sa.Engine, root: Path, venue: SimulatedVenue) -> Platform:
    clock = FeedClock(venue.now_ms)
    platform = Platform("demo", "normal", Params(), engine, clock, lambda: venue, venue, root)
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(
            [raw_leaderboard, market, candles, fills_history, episodes],
            instance=instance,
            resources={"platform": platform},
        )
    return platform
