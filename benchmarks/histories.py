"""Stored fills read and folded into episodes by the asset's own processes, from a Postgres of its own."""

from __future__ import annotations

import os
import time

import sqlalchemy as sa

from benchmarks import many_fills
from benchmarks.figures import Figure
from benchmarks.own_postgres import migrated, own_server
from sigmapilot_assets.core.histories_fold import FoldRules, folded_histories
from sigmapilot_assets.market_data import StopSeries
from sigmapilot_core.adapters.postgres import history_store
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.domain.params import EpisodeParams

FILLS = 1_000_000
_STORED_AT_ONCE = 50  # traders
GOAL_S_OF_10_MILLION = 60.0


def run(n_fills: int = FILLS) -> list[Figure]:
    """Seconds by the clock from the first read to the last episode; starting the processes is a part of it."""
    with own_server(durable=False) as server:
        engine = create_engine(migrated(server, "histories"))
        _store(engine, n_fills)
        figures = _measured(engine, n_fills)
        engine.dispose()
        return figures


def _store(engine: sa.Engine, n_fills: int) -> None:
    n_traders = n_fills // many_fills.FILLS_PER_TRADER
    for first in range(0, n_traders, _STORED_AT_ONCE):
        some = range(first, min(first + _STORED_AT_ONCE, n_traders))
        fills = [fill for trader in some for fill in many_fills.fills_of_trader(trader)]
        with engine.begin() as connection:
            history_store.store_fills(connection, fills, many_fills.BEGIN_MS)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE history_fills"))


def _measured(engine: sa.Engine, n_fills: int) -> list[Figure]:
    rules = FoldRules({"BTC": 5}, StopSeries({}, {}, {}), many_fills.BEGIN_MS, EpisodeParams())
    started, before = time.perf_counter(), _processor_s()
    with engine.connect() as connection:
        n_closed = sum(len(found.episodes) for found in folded_histories(connection, rules))
    seconds, processor_s = time.perf_counter() - started, _processor_s() - before
    note = f"{len(os.sched_getaffinity(0))} processes; {n_closed:,} episodes closed"
    words = f"{n_fills / 1e6:g} million stored fills read and folded"
    goal = GOAL_S_OF_10_MILLION * n_fills / 1e7
    return [
        Figure(words, seconds, "s", goal, is_ceiling=True, note=f"by the clock, {note}"),
        Figure(f"{words}, processor time", processor_s, "s", note="of all processes together, without Postgres"),
    ]


def _processor_s() -> float:
    """Processor time of this process and of those it started that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
