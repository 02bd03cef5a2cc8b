"""Worker processes of a test: begun, killed, replaced and ended, none left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import partition_store
from sigmapilot_stream import topics
from sigmapilot_stream.kafka import links
from sigmapilot_stream.records import InputBatch

SCRIPT = Path(__file__).with_name("worker_process.py")
STOP_S = 30.0
Message = tuple[int, InputBatch]


@dataclass
class Fleet:
    """Workers that share a broker and a database."""

    home: Path
    database_url: str
    broker_url: str
    partitions: int
    checkpoint_s: float = 2.0
    for_mock: bool = False
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    started: int = 0

    def start(self) -> str:
        """One more worker; its name."""
        self.started += 1
        self._begin(f"w{self.started}")
        return f"w{self.started}"

    def _begin(self, name: str) -> None:
        more = ["--for-mock"] if self.for_mock else []
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, str(SCRIPT), name, "0", str(self.checkpoint_s), *more],
                env=self._environment(), stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def kill(self, name: str) -> None:
        """SIGKILL, at whatever it is doing."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait(STOP_S)

    def stop(self, name: str) -> int:
        """SIGTERM; the exit code."""
        process = self.processes.pop(name)
        process.terminate()
        return process.wait(STOP_S)

    def replace_dead(self) -> int:
        """Start a worker for each that has ended by itself, as `sigmapilot up` does; how many had."""
        dead = [name for name, process in self.processes.items() if process.poll() is not None]
        for name in dead:
            self.processes.pop(name)
            self.start()
        return len(dead)

    async def until_taken(self, name: str, seconds: float = 60.0) -> None:
        """Until a worker has taken a partition over; one that ends by itself meanwhile is begun again by its name."""
        deadline = time.monotonic() + seconds
        while "partition taken" not in self.log_of(name):
            assert time.monotonic() < deadline, f"{name} took nothing within {seconds:g} s: {self.log_of(name)[-2000:]}"
            if self.processes[name].poll() is not None:
                self._begin(name)
            await asyncio.sleep(0.1)

    async def until_alive(self, name: str, seconds: float = 60.0) -> None:
        """Until a worker is a member of the group, with or without partitions."""
        deadline = time.monotonic() + seconds
        while "partitions assigned" not in self.log_of(name):
            assert time.monotonic() < deadline, f"{name} is no member after {seconds:g} s: {self.log_of(name)[-2000:]}"
            assert self.processes[name].poll() is None, self.log_of(name)[-4000:]
            await asyncio.sleep(0.05)

    async def until_said(self, name: str, words: str, seconds: float = 60.0) -> None:
        """Until a worker's log has these words."""
        deadline = time.monotonic() + seconds
        while words not in self.log_of(name):
            assert time.monotonic() < deadline, f"{name} did not say {words!r}: {self.log_of(name)[-2000:]}"
            await asyncio.sleep(0.05)

    async def until_moved(self, database: sa.Engine, inputs: int, seconds: float = 60.0) -> None:
        """Until so many inputs more are committed: a moment for a kill."""
        deadline, begin = time.monotonic() + seconds, sum(progress(database).values())
        while sum(progress(database).values()) < begin + inputs and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    def close(self) -> None:
        """End whatever still runs."""
        for process in self.processes.values():
            process.kill()
            process.wait(STOP_S)

    def log_of(self, name: str) -> str:
        """What a worker said."""
        return (self.home / f"{name}.log").read_text(errors="replace")

    def _environment(self) -> dict[str, str]:
        mine = {name: text for name, text in os.environ.items() if not name.startswith("SIGMAPILOT_")}
        root = Path(__file__).parents[3]
        return mine | {
            "SIGMAPILOT_HOME": str(self.home),
            "SIGMAPILOT_MODE": "demo",
            "SIGMAPILOT_DATABASE_URL": self.database_url.replace("postgresql+psycopg", "postgresql"),
            "SIGMAPILOT_BROKER_URL": self.broker_url,
            "SIGMAPILOT_STREAM_PARTITIONS": str(self.partitions),
            "PYTHONPATH": str(root),
        }


@asynccontextmanager
async def feeding(
    broker_url: str, pause_s: float = 0.02
) -> AsyncIterator[Callable[[Sequence[Message]], Awaitable[None]]]:
    """Sends messages one after the other, at an even pace, each once the broker has the one before."""
    link = links.producer(broker_url, "test-feed")
    await link.start()
    publisher = links.Publisher(link)

    async def send(messages: Sequence[Message]) -> None:
        for partition, batch in messages:
            await (await publisher.to_partition(topics.FILLS, partition, batch))
            await asyncio.sleep(pause_s)

    try:
        yield send
    finally:
        await link.stop()


def progress(database: sa.Engine) -> dict[str, int]:
    """Last committed input of each partition."""
    with database.connect() as connection:
        return partition_store.read_progress(connection)


async def until_done(database: sa.Engine, wanted: Mapping[str, int], fleet: Fleet, seconds: float) -> None:
    """Until every partition is committed up to its last input; fails with how far each got."""
    deadline = time.monotonic() + seconds
    while True:
        found = {name: seq for name, seq in progress(database).items() if name in wanted}
        if found == dict(wanted):
            return
        fleet.replace_dead()
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {found} of {dict(wanted)}"
        await asyncio.sleep(0.2)
