"""One worker over a real Kafka broker: fills from the topic to the committed decision, and how long a frame takes.

The broker is that of the tests (Apache Kafka from Maven's artifacts), Postgres the embedded one with durable commits,
the worker a process of its own as `sigmapilot up` starts it. The account, books and votes are part of the traffic.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil
import sqlalchemy as sa

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "stream" / "kafka"))

import kafka_broker  # noqa: E402 - helpers of the tests, whose folder has to be known first
import kafka_world  # noqa: E402
from worker_fleet import Fleet, progress  # noqa: E402

from benchmarks.figures import Figure  # noqa: E402
from benchmarks.frame_to_commit import PEAK_FILLS_PER_S  # noqa: E402
from benchmarks.own_postgres import migrated, own_server  # noqa: E402
from benchmarks.traffic import Load, fills_of, trading  # noqa: E402
from sigmapilot_core.adapters.postgres.engine import create_engine  # noqa: E402
from sigmapilot_core.adapters.postgres.server import EmbeddedServer  # noqa: E402
from sigmapilot_stream import topics  # noqa: E402
from sigmapilot_stream.decode import CANARY  # noqa: E402
from sigmapilot_stream.kafka import links  # noqa: E402
from sigmapilot_stream.records import InputBatch, InputRecord  # noqa: E402

PARTITIONS = 4
FRAMES_PER_MESSAGE, PACED_FRAMES = 50, 10
PACED_S = 15.0
DEADLINE_S = 240.0


def run(orders: int = 12_000) -> list[Figure]:
    """Sustained throughput, then latency at one and ten times the rate."""
    with own_server(durable=True) as server, tempfile.TemporaryDirectory(prefix="sp-kafka-bench-") as name:
        folder = Path(name)
        class_path = kafka_broker.jars(folder / "jars")
        figures = [_in_world(folder, server, class_path, "sustained", orders, None)]
        for times in (1, 10):
            count = int(PEAK_FILLS_PER_S * times * PACED_S / 8)
            figures += [_in_world(folder, server, class_path, f"paced{times}", count, PEAK_FILLS_PER_S * times)]
        return [figure for found in figures for figure in found]


def _in_world(
    folder: Path, server: EmbeddedServer, class_path: str, name: str, orders: int, rate: float | None
) -> list[Figure]:
    """A fresh broker, a fresh database and one worker."""
    home = folder / name
    home.mkdir()
    url = migrated(server, f"bench_{name}")
    database = create_engine(url)
    with kafka_broker.running(home, class_path) as broker_url:
        fleet = Fleet(home, url, broker_url, PARTITIONS, checkpoint_s=15.0)
        try:
            return asyncio.run(_measured(database, broker_url, fleet, orders, rate))
        finally:
            fleet.close()
            database.dispose()


async def _measured(
    database: sa.Engine, broker_url: str, fleet: Fleet, orders: int, rate: float | None
) -> list[Figure]:
    load = Load(orders, 0.10, order_ms=10)
    frames = FRAMES_PER_MESSAGE if rate is None else PACED_FRAMES
    given = _signed(kafka_world.traffic(load, PARTITIONS, kafka_world.publish_model(database, load), frames))
    fills = fills_of(trading(load))
    await links.declare(broker_url, PARTITIONS)
    link = links.producer(broker_url, "bench")
    await link.start()
    try:
        messages = list(given.in_turn())
        if rate is None:
            await _send(link, messages)
            name = fleet.start()
            return await _sustained(database, given, fills, psutil.Process(fleet.processes[name].pid))
        name = fleet.start()
        await fleet.until_alive(name)
        await _paced(link, messages, fills / rate)
        await _until(database, given)
        return _latencies(database, rate)
    finally:
        await link.stop()


def _signed(given: kafka_world.Traffic) -> kafka_world.Traffic:
    """A canary behind the last input of each partition: progress that brings no effect is committed once a second only,
    and with the next input."""

    def sign(part: Sequence[InputBatch]) -> InputBatch:
        last = part[-1].records[-1]
        return InputBatch(part[-1].partition, (InputRecord(last.seq + 1, CANARY, last.received_ms, b"1"),))

    return kafka_world.Traffic(given.shares, tuple((*part, sign(part)) for part in given.messages))


async def _send(link: Any, messages: Sequence[tuple[int, InputBatch]]) -> None:
    sent = [await link.send(topics.FILLS.name, topics.FILLS.encode(batch), partition=at) for at, batch in messages]
    await asyncio.gather(*sent)


async def _paced(link: Any, messages: Sequence[tuple[int, InputBatch]], seconds: float) -> None:
    """Evenly, each input stamped with the moment it is sent."""
    began = time.monotonic()
    for number, (at, batch) in enumerate(messages):
        await asyncio.sleep(max(0.0, began + seconds * number / len(messages) - time.monotonic()))
        now = int(time.time() * 1000)
        stamped = tuple(msgspec.structs.replace(record, received_ms=now) for record in batch.records)
        await link.send_and_wait(
            topics.FILLS.name, topics.FILLS.encode(InputBatch(batch.partition, stamped)), partition=at
        )


async def _sustained(
    database: sa.Engine, given: kafka_world.Traffic, fills: int, worker: psutil.Process
) -> list[Figure]:
    """From the first committed batch to the last: by the clock, and by the worker's own processor time."""
    while not any(seq >= 0 for seq in progress(database).values()):
        await asyncio.sleep(0.01)
    began, spent = time.monotonic(), sum(worker.cpu_times()[:2])
    await _until(database, given)
    seconds, processor = time.monotonic() - began, sum(worker.cpu_times()[:2]) - spent
    note = f"{fills:,} fills, {FRAMES_PER_MESSAGE} frames a message, {PARTITIONS} partitions"
    return [
        Figure("frame to committed decision, one worker", fills / seconds, "fills/s", goal=20_000, note=note),
        Figure(
            "the same by the worker's processor time", fills / processor, "fills/s", note="without Postgres and broker"
        ),
    ]


async def _until(database: sa.Engine, given: kafka_world.Traffic) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not given.last_seqs.items() <= progress(database).items():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not done within {DEADLINE_S:g} s: {progress(database)} of {given.last_seqs}")
        await asyncio.sleep(0.05)


def _latencies(database: sa.Engine, rate: float) -> list[Figure]:
    query = "SELECT latency_ms FROM decision_logs WHERE latency_ms BETWEEN 0 AND 60000 ORDER BY 1"
    with database.connect() as connection:
        found = list(connection.execute(sa.text(query)).scalars())
    p50, p99 = found[len(found) // 2], found[int(len(found) * 0.99)]
    note = f"{len(found):,} decisions"
    return [
        Figure(f"frame to decision at {rate:,.0f} fills/s, p50", p50, "ms", note=note),
        Figure(f"frame to decision at {rate:,.0f} fills/s, p99", p99, "ms", goal=150, is_ceiling=True, note=note),
    ]
