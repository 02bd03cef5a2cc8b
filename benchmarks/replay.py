"""A journal played again, a state kept and taken up again, and what following 10,000 traders takes."""

from __future__ import annotations

import asyncio
import gc
import logging
import tempfile
import time
from pathlib import Path

import psutil
import structlog

from benchmarks.figures import Figure
from benchmarks.frame_to_commit import PEAK_FILLS_PER_S
from benchmarks.own_postgres import own_server
from benchmarks.stream_step import record_of
from benchmarks.traffic import Load, fills_of, opening, trading
from sigmapilot_core.adapters.forked import Forked
from sigmapilot_core.adapters.journal.checkpoints import Checkpoint, dumped
from sigmapilot_core.adapters.journal.writer import JournalWriter
from sigmapilot_core.adapters.postgres.databases import ensure_database, prepare_database
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.venue import AssetSpec
from sigmapilot_stream.course import Course
from sigmapilot_stream.decode import STARTED
from sigmapilot_stream.records import InputRecord
from sigmapilot_stream.replaying.player import Played, Player
from sigmapilot_stream.started import Started
from sigmapilot_stream.worker import Worker
from tests.domain.engine.engine_builders import T0

TRADERS = 10_000
GOAL_RESTART_S = 10.0


def run() -> list[Figure]:
    """Replay, restart and memory."""
    # figures go to standard output, where every decision would be told as well
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    return [*_replayed(), *_followed()]


def _journal(folder: Path, load: Load) -> int:
    """A journal of the load; gives the number of its fills."""
    events = trading(load)
    started = Started("demo", "paper", Params(), tuple(AssetSpec(coin, 5, 50) for coin in load.names))
    with JournalWriter(folder, "0", time.monotonic) as journal:
        journal.append(STARTED, T0, canonical_json(started).encode())
        for record in (record_of(event, 0) for event in (*opening(load), *events)):
            journal.append(record.kind, record.received_ms, record.payload)
    return fills_of(events)


def _replayed() -> list[Figure]:
    """At the recorded peak of the exchange, into a durable database: an order of four trades is eight fills."""
    load = Load(4_000, 0.10, order_ms=round(8 * 1000 / PEAK_FILLS_PER_S))
    with tempfile.TemporaryDirectory() as name, own_server(durable=True) as postgres:
        folder = Path(name)
        fills = _journal(folder / "journal", load)
        url = postgres.paths.url("replay", driver="psycopg")
        ensure_database(url)
        prepare_database(url, "replay of demo")
        engine = create_engine(url)
        played = asyncio.run(_play(folder, engine))
        engine.dispose()
        worker, began = Worker("0", lambda: 0), time.process_time()
        assert Course(folder / "journal", "0").bring_to(worker, played.last_seq)
        again_s = time.process_time() - began
    note = f"{played.count:,} inputs with {fills:,} fills, at the peak of {PEAK_FILLS_PER_S} fills/s, committed"
    return [
        Figure("replay against real time", played.speed, "x", note=note),
        Figure("inputs replayed and committed", played.count / played.wall_s, "inputs/s"),
        Figure("inputs applied again at a restart", played.count / again_s, "inputs/s", note="processor time"),
    ]


async def _play(folder: Path, engine: object) -> Played:
    return await Player(Course(folder / "journal", "0"), engine, folder / "scratch", "0", None).play()  # type: ignore[arg-type]


def _followed() -> list[Figure]:
    """10,000 traders followed, each with fills in the window of 20 minutes."""
    load = Load(12_000, 1.0, tracked=TRADERS)
    gc.collect()
    before = psutil.Process().memory_info().rss
    worker = Worker("0", lambda: 0)
    for seq, event in enumerate((*opening(load), *trading(load))):
        record: InputRecord = record_of(event, seq)
        worker.handle([record])
    gc.collect()
    grown = (psutil.Process().memory_info().rss - before) / 1e6
    seats = sum(len(trader.seats) for trader in worker.engine.traders.values())
    checkpoint = Checkpoint(0, "bench", worker.state)
    began = time.process_time()
    copy = Forked(lambda: len(dumped(checkpoint)))
    pause_s = time.process_time() - began
    size = asyncio.run(copy.result(timeout_s=300))
    began = time.process_time()
    dumped(checkpoint)
    encoding_s = time.process_time() - began
    note = f"{seats:,} positions, {worker.engine.counters.fills:,} fills of the last minutes"
    return [
        Figure("memory for 10,000 followed traders", grown, "MB", note=note),
        Figure("a checkpoint of them: decisions wait", pause_s, "s", note="for the fork; processor time"),
        Figure("a checkpoint of them: encoded in the copy", encoding_s, "s", note="processor time"),
        Figure("size of that state", size / 1e6, "MB", note="before packing"),
    ]
