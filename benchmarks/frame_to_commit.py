"""Frames as bytes to committed decisions: journal, decoding, engine, and Postgres, by the agent of the stream itself.

The embedded server is a real and durable one. Sustained: there is always a batch waiting. Paced: frames come at 1x and
10x of the recorded exchange's peak rate, and what has come when the agent asks is the next batch; latency is from the
arrival of a frame to the commit of the decision it led to, over all frames of a transaction that holds one.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from prometheus_client import CollectorRegistry

from benchmarks.figures import Figure
from benchmarks.own_postgres import own_server
from benchmarks.stream_step import record_of
from benchmarks.traffic import Load, fills_of, opening, trading
from sigmapilot_core.adapters.journal.writer import JournalWriter
from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.adapters.postgres.databases import ensure_database, prepare_database
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.server import EmbeddedServer
from sigmapilot_core.domain.engine.events import Event, TradesReceived
from sigmapilot_core.domain.engine.outputs import Output
from sigmapilot_core.domain.params import Params
from sigmapilot_stream.agents.decide import Channels, Decide
from sigmapilot_stream.effects import Effects, Written
from sigmapilot_stream.observe import Observer
from sigmapilot_stream.records import InputBatch, InputRecord
from sigmapilot_stream.worker import Worker

GOAL_FILLS_PER_S, GOAL_P99_MS = 50_000, 10.0
PEAK_FILLS_PER_S = 256
"""Busiest second of the recorded 81 seconds of the whole exchange (7,282 fills, 89 a second in the mean)."""
BATCH = 400
PACED_S = 20.0


class TimedWorker(Worker):
    """The decision step, and how long it took altogether."""

    spent_s = 0.0

    def handle_into(self, effects: Effects, *given: Any) -> list[Output]:
        """As the worker does, timed."""
        began = time.perf_counter()
        heard = super().handle_into(effects, *given)
        self.spent_s += time.perf_counter() - began
        return heard


@dataclass(frozen=True, slots=True)
class Transaction:
    """When it was committed, the inputs it goes up to, its decisions, and how long it took."""

    at: float
    last_seq: int
    decisions: int
    seconds: float


class Witness(Observer):
    """Notes every transaction."""

    def __init__(self) -> None:
        super().__init__(Metrics(CollectorRegistry()), Params())
        self.seen: list[Transaction] = []

    def committed(self, effects: Effects, written: Written, seconds: float) -> None:
        """A transaction is durable."""
        at = time.perf_counter()
        self.seen.append(Transaction(at, effects.last_seq, len(written.decisions), seconds))
        super().committed(effects, written, seconds)


@dataclass
class Way:
    """The way of an input from the wire to the disk."""

    runner: asyncio.Runner
    journal: JournalWriter
    worker: TimedWorker
    witness: Witness
    agent: Decide
    journalled_s: float = 0.0

    def carry(self, batches: AsyncIterator[Sequence[InputRecord]]) -> float:
        """Journal, apply and commit all batches; gives the seconds it took."""
        self.witness.seen.clear()
        self.journalled_s = self.worker.spent_s = 0.0
        began = time.perf_counter()
        self.runner.run(self.agent.consume(self._journalled(batches)))
        return time.perf_counter() - began

    async def _journalled(self, batches: AsyncIterator[Sequence[InputRecord]]) -> AsyncIterator[InputBatch]:
        async for records in batches:
            began = time.perf_counter()
            self.journal.append_batch([(r.kind, r.received_ms, r.payload) for r in records])
            self.journalled_s += time.perf_counter() - began
            yield InputBatch("0", tuple(records))


async def nobody(_: object) -> None:
    """Nobody listens."""


async def in_batches(records: Sequence[InputRecord], size: int) -> AsyncIterator[Sequence[InputRecord]]:
    """All of them, as quickly as they are taken."""
    for at in range(0, len(records), size):
        yield records[at : at + size]


@contextmanager
def way(of: EmbeddedServer, name: str, start: Sequence[InputRecord]) -> Iterator[Way]:
    """A fresh database, journal and engine, with model and accounts in place."""
    url = of.paths.url(name, driver="psycopg")
    ensure_database(url)
    prepare_database(url, "demo")
    database = create_engine(url)
    with (
        tempfile.TemporaryDirectory() as folder,
        JournalWriter(Path(folder), "0", time.monotonic) as journal,
        asyncio.Runner() as runner,
    ):
        worker, witness = TimedWorker("0", lambda: 0), Witness()
        told = Channels(nobody, nobody, nobody)
        found = Way(runner, journal, worker, witness, Decide(worker, database, told, witness, "paper", lambda _: None))
        found.carry(in_batches(start, len(start)))
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
        began = time.process_time()
        seconds = path.carry(in_batches(records, BATCH))
        own_s = time.process_time() - began
        decisions = sum(one.decisions for one in path.witness.seen)
        spent = {"journal": path.journalled_s, "step": path.worker.spent_s,
                 "commit": sum(one.seconds for one in path.witness.seen)}  # fmt: skip
    shares = ", ".join(f"{stretch} {100 * spent_s / seconds:.0f} %" for stretch, spent_s in spent.items())
    note = f"{fills_of(events):,} fills, {decisions:,} decisions; {shares} of the time, step and commit at once; "
    note += f"{1e6 * own_s / fills_of(events):.0f} microseconds of own processor time a fill; batches of {BATCH} inputs"
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
    first_seq, began = len(start), 0.0

    async def as_they_come() -> AsyncIterator[Sequence[InputRecord]]:
        nonlocal began
        at, began = 0, time.perf_counter()
        while at < len(records):
            await asyncio.sleep(max(0.0, began + arrivals[at] - time.perf_counter()))
            until = max(at + 1, int(np.searchsorted(arrivals, time.perf_counter() - began, side="right")))
            yield records[at:until]
            at = until

    with way(of, f"paced_{times}", start) as path:
        path.carry(as_they_come())
        latencies, at = [], 0
        for one in path.witness.seen:
            until = one.last_seq - first_seq + 1
            if one.decisions:
                latencies += [one.at - began - arrivals[i] for i in range(at, until) if is_frame[i]]
            at = until
    name, note = (
        f"frame to durable decision at {times}x",
        f"{len(latencies):,} frames in transactions with a decision, ",
    )
    note += f"{fills_of(events) / PACED_S:,.0f} fills/s"
    p50, p99 = (float(np.percentile(latencies, q)) * 1000 for q in (50, 99))
    return [
        Figure(f"{name}, p50", p50, "ms", note=note),
        Figure(f"{name}, p99", p99, "ms", GOAL_P99_MS, is_ceiling=True, note=note),
    ]


def run() -> list[Figure]:
    """Sustained rate by share of followed traders, and latencies at the recorded peak and ten times it."""
    # figures go to standard output, where every decision would be told as well
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    crowd = Load(8_000, 0.10, voters=50, tracked=10_000, coins=200)
    with own_server(durable=True) as found:
        return [
            sustained(found, "10 % of fills by 200 tracked traders", "few", Load(8_000, 0.10), GOAL_FILLS_PER_S),
            sustained(found, "10 % of fills by 10,000 tracked traders in 200 coins", "crowd", crowd, GOAL_FILLS_PER_S),
            *paced(found, 1),
            *paced(found, 10),
        ]
