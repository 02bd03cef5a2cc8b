"""Frames as bytes to committed decisions: journal, decoding, engine, and Postgres in one transaction a batch.

The embedded server is a real and durable one. Sustained: frames wait in the channel, as many as are there travel in one
batch. Paced: frames come at 1x and 10x of the recorded exchange's peak rate, and what has come when the last batch was
committed is the next one; latency is from the arrival of a frame to the commit of the decision it led to.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from benchmarks.figures import Figure
from benchmarks.stream_step import record_of
from benchmarks.traffic import Load, fills_of, opening, trading
from sigmapilot_core.adapters.journal.writer import JournalWriter
from sigmapilot_core.adapters.postgres.databases import ensure_database, prepare_database
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.paths import ServerPaths
from sigmapilot_core.adapters.postgres.server import EmbeddedServer
from sigmapilot_core.domain.engine.events import Event, TradesReceived
from sigmapilot_stream.records import InputRecord
from sigmapilot_stream.worker import Worker

GOAL_FILLS_PER_S, GOAL_P99_MS = 50_000, 10.0
PEAK_FILLS_PER_S = 256
"""Busiest second of the recorded 81 seconds of the whole exchange (7,282 fills, 89 a second in the mean)."""
BATCH = 400
PACED_S = 20.0


@dataclass
class Way:
    """The way of an input from the wire to the disk; seconds spent on each stretch."""

    database: sa.Engine
    journal: JournalWriter
    worker: Worker
    spent_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("journal", "step", "commit"), 0.0))

    def carry(self, records: Sequence[InputRecord]) -> int:
        """Journal, apply and commit one batch; returns how many decisions are durable now."""
        started = time.perf_counter()
        self.journal.append_batch([(r.kind, r.received_ms, r.payload) for r in records])
        journalled = time.perf_counter()
        effects, _ = self.worker.handle(records)
        applied = time.perf_counter()
        with self.database.begin() as connection:
            written = effects.commit(connection)
        for name, seconds in (("journal", journalled - started), ("step", applied - journalled),
                              ("commit", time.perf_counter() - applied)):  # fmt: skip
            self.spent_s[name] += seconds
        return len(written.decisions)


@contextmanager
def server() -> Iterator[EmbeddedServer]:
    """A durable server of our own, removed with all its data at the end."""
    # a folder that the account that runs Postgres for root may enter
    root = Path(tempfile.mkdtemp(prefix="sp-bench-"))
    found = EmbeddedServer(ServerPaths(root), copies=Path(tempfile.gettempdir(), "sp-pg-binaries"))
    try:
        found.start()
        yield found
    finally:
        found.stop()
        shutil.rmtree(root)


@contextmanager
def way(of: EmbeddedServer, name: str, start: Sequence[InputRecord]) -> Iterator[Way]:
    """A fresh database, journal and engine, with model and accounts in place."""
    url = of.paths.url(name, driver="psycopg")
    ensure_database(url)
    prepare_database(url, "demo")
    database = create_engine(url)
    with tempfile.TemporaryDirectory() as folder, JournalWriter(Path(folder), "0", time.monotonic) as journal:
        found = Way(database, journal, Worker("0", lambda: 0))
        found.carry(start)
        found.spent_s = dict.fromkeys(found.spent_s, 0.0)
        yield found
    database.dispose()


def inputs_of(load: Load) -> tuple[list[InputRecord], list[InputRecord], list[Event]]:
    """(inputs before the first trade, inputs of the market, the events the latter are made of)."""
    before, events = opening(load), trading(load)
    start = [record_of(event, seq) for seq, event in enumerate(before)]
    return start, [record_of(event, seq) for seq, event in enumerate(events, len(start))], events


def sustained(of: EmbeddedServer, words: str, name: str, load: Load, goal: float | None) -> Figure:
    """Fills a second while there is always a batch waiting."""
    start, records, events = inputs_of(load)
    with way(of, name, start) as path:
        began = time.perf_counter()
        decisions = sum(path.carry(records[at : at + BATCH]) for at in range(0, len(records), BATCH))
        seconds = time.perf_counter() - began
    shares = ", ".join(f"{stretch} {100 * spent / seconds:.0f} %" for stretch, spent in path.spent_s.items())
    note = f"{fills_of(events):,} fills, {decisions:,} decisions; {shares}; batches of {BATCH} inputs"
    return Figure(words, fills_of(events) / seconds, "fills/s", goal, note=note)


def paced(of: EmbeddedServer, times: int) -> list[Figure]:
    """Latency from a frame's arrival to its durable decision, with frames that come as they do on the exchange."""
    # two fills a trade, four trades an order
    order_ms = max(1, round(1000 * 8 / (PEAK_FILLS_PER_S * times)))
    load = Load(round(PACED_S * 1000 / order_ms), 0.10, order_ms=order_ms)
    start, records, events = inputs_of(load)
    arrivals = np.array([event.now_ms for event in events], dtype=np.float64)
    arrivals = (arrivals - arrivals[0]) / 1000
    is_frame = [isinstance(event, TradesReceived) for event in events]
    latencies: list[float] = []
    with way(of, f"paced_{times}", start) as path:
        began, at = time.perf_counter(), 0
        while at < len(records):
            time.sleep(max(0.0, began + arrivals[at] - time.perf_counter()))
            until = max(at + 1, int(np.searchsorted(arrivals, time.perf_counter() - began, side="right")))
            if path.carry(records[at:until]):
                committed = time.perf_counter() - began
                latencies += [committed - arrivals[i] for i in range(at, until) if is_frame[i]]
            at = until
    name, note = f"frame to durable decision at {times}x", f"{len(latencies):,} frames in batches with a decision, "
    note += f"{fills_of(events) / PACED_S:,.0f} fills/s"
    p50, p99 = (float(np.percentile(latencies, q)) * 1000 for q in (50, 99))
    return [
        Figure(f"{name}, p50", p50, "ms", note=note),
        Figure(f"{name}, p99", p99, "ms", GOAL_P99_MS, is_ceiling=True, note=note),
    ]


def run() -> list[Figure]:
    """Sustained rate by share of followed traders, and latencies at the recorded peak and ten times it."""
    crowd = Load(8_000, 0.10, voters=50, tracked=10_000, coins=200)
    with server() as found:
        return [
            sustained(found, "10 % of fills by 200 tracked traders", "few", Load(8_000, 0.10), GOAL_FILLS_PER_S),
            sustained(found, "10 % of fills by 10,000 tracked traders in 200 coins", "crowd", crowd, GOAL_FILLS_PER_S),
            *paced(found, 1),
            *paced(found, 10),
        ]
