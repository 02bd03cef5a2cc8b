"""Drives the agents of the stream with a journal instead of a feed, and with its receive times instead of a clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from prometheus_client import CollectorRegistry

from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.adapters.postgres import execution_store, stream_store
from sigmapilot_core.domain.codec import from_json
from sigmapilot_core.domain.engine.share import share_of
from sigmapilot_core.domain.execution.desk import PaperDesk
from sigmapilot_stream import app as faust_app
from sigmapilot_stream.agents.decide import Channels, Decide
from sigmapilot_stream.agents.execute import execute
from sigmapilot_stream.course import NOTHING, Course, Stretch, begin
from sigmapilot_stream.decode import STARTED
from sigmapilot_stream.executor import Executor
from sigmapilot_stream.observe import Observer
from sigmapilot_stream.records import InputBatch, IntentRecord
from sigmapilot_stream.started import Started
from sigmapilot_stream.worker import Worker

BATCHES = 16
INTENTS = 10_000
POLL_S = 0.005
SEARCHED_FOR_START = 5_000

log = structlog.get_logger(__name__)


class NotPlayableError(RuntimeError):
    """The journal cannot be played from there; one sentence."""


@dataclass(frozen=True, slots=True)
class Played:
    """What was played: the inputs `first_seq` to `last_seq`, how long they took then and now. `first_cause` is the
    first input that can have caused a decision. `is_whole` tells that the journal was played from its first input into
    an empty database."""

    first_seq: int
    first_cause: int
    last_seq: int
    virtual_s: float
    wall_s: float
    is_whole: bool

    @property
    def count(self) -> int:
        """Number of inputs."""
        return max(0, self.last_seq - self.first_seq + 1)

    @property
    def speed(self) -> float:
        """Against real time."""
        return self.virtual_s / self.wall_s if self.wall_s > 0 else 0.0


class Player:
    """One replay of one partition. `speed` is a multiple of real time, None as fast as it goes.

    A database that already holds a part of this replay is gone on with: effects happen once.
    """

    def __init__(self, course: Course, database: sa.Engine, scratch: Path, partition: str, speed: float | None) -> None:
        self._course = course
        self._database = database
        self._partition = partition
        self._speed = speed
        self._clock = FeedClock(0)
        self._intended = 0
        self.app = faust_app.local_app(scratch)
        self._batches = faust_app.local_channel(self.app, BATCHES)
        self._intents = faust_app.local_channel(self.app, INTENTS)
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        started, metrics = started_of(course), Metrics(CollectorRegistry())
        self.worker = Worker(partition, self._clock.now_ms, share_of(partition))
        self.executor = self._executor(started, metrics)
        channels = Channels(_nobody, _nobody, self._intend)
        observer = Observer(metrics, started.params)
        self.decide = Decide(self.worker, database, channels, observer, started.account, lambda _: None)
        self.decide.is_live = True

    async def play(self, from_seq: int | None = None) -> Played:
        """Play everything there is, or from the last state that is kept at or before an input.

        Raises:
            NotPlayableError: there is no state to begin with.
            JournalDamaged: inputs are missing.
        """
        last, is_anew = await asyncio.to_thread(self._begin, from_seq)
        faust_app.local_agent(self.app, self._batches, "decide", self.decide.consume, self._failed)
        faust_app.local_agent(self.app, self._intents, "execute", self._execute, self._failed)
        await faust_app.start(self.app)
        started = time.monotonic()
        try:
            last_played, began_ms = await self._feed(last)
            await self._idle(last_played)
            await self.decide.finish()
        finally:
            await faust_app.stop(self.app)
        virtual_ms = 0 if began_ms is None else self._clock.now_ms() - began_ms
        first_cause, wall_s = last + (not is_anew), time.monotonic() - started
        return Played(last + 1, first_cause, last_played, virtual_ms / 1000, wall_s, last == NOTHING)

    def _begin(self, from_seq: int | None) -> tuple[int, bool]:
        """Give the worker the state to begin with: (the input it stands behind, whether a process began anew there)."""
        with self._database.connect() as connection:
            progress = stream_store.read_progress(connection, self._partition)
        if progress > NOTHING:
            if not self._course.bring_to(self.worker, progress):
                raise NotPlayableError(f"the journal does not lead to input {progress}, up to which the database is.")
            self.decide.handled_seq = progress
            return progress, False
        first = self._course.reader.first_seq()
        if first is None:
            raise NotPlayableError("the journal is empty.")
        if first == 0 and from_seq is None:
            return NOTHING, False
        found = self._course.checkpoints
        state = found.first(first - 1) if from_seq is None else found.newest(from_seq - 1, first - 1)
        if state is None:
            where = f"at or after input {first}" if from_seq is None else f"between input {first} and {from_seq}"
            raise NotPlayableError(f"no state of this version of the code is kept {where}.")
        effects = begin(self.worker, state)
        if effects is not None:
            with self._database.begin() as connection:
                effects.commit(connection)
        return state.seq, effects is not None

    async def _feed(self, last: int) -> tuple[int, int | None]:
        """Send everything on, paced; gives the last input and the instant of the first."""
        began_ms: int | None = None
        wall = time.monotonic()
        stretches = self._course.stretches(last + 1)
        while (stretch := await asyncio.to_thread(_next, stretches)) is not None and not self._failure.done():
            if stretch.start is not None:
                await self._begin_anew(stretch, last)
            if not stretch.records:
                continue
            if began_ms is None:
                began_ms = stretch.records[0].received_ms
            newest_ms = max(record.received_ms for record in stretch.records)
            if self._speed is not None:
                ahead = (newest_ms - began_ms) / 1000 / self._speed - (time.monotonic() - wall)
                await asyncio.sleep(max(0.0, ahead))
            self._clock.advance_to(newest_ms)
            await self._batches.send(value=InputBatch(self._partition, stretch.records))
            last = stretch.records[-1].seq
        return last, began_ms

    async def _begin_anew(self, stretch: Stretch, last: int) -> None:
        """As the process did that could not go on exactly."""
        assert stretch.start is not None
        await self._idle(last)
        effects = begin(self.worker, stretch.start)
        if effects is not None:
            await self.decide.commit(effects)

    async def _idle(self, seq: int) -> None:
        """Until everything up to an input is decided, written and executed. Raises what made an agent fail."""
        while not self._failure.done() and (self.decide.handled_seq < seq or self.executor.handled < self._intended):
            await asyncio.sleep(POLL_S)
        if self._failure.done():
            self._failure.result()

    def _executor(self, started: Started, metrics: Metrics) -> Executor:
        """A paper account of its own; what it would tell the decision step stands in the journal already."""
        params = started.params
        with self._database.connect() as connection:
            state = execution_store.read_desk(connection, Decimal(str(params.risk.paper_equity_usd)))
            risk = execution_store.read_risk(connection)
        desk = PaperDesk({asset.coin: asset for asset in started.assets}, params.costs.taker_fee_bps, state)
        return Executor(self._database, desk, risk, params, None, _nobody, metrics)  # type: ignore[arg-type]

    async def _intend(self, intent: IntentRecord) -> None:
        await self._intents.send(value=intent)
        self._intended += 1

    async def _execute(self, stream: Any) -> None:
        await execute(self.executor, stream)

    async def _failed(self, _agent: Any, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)


def started_of(course: Course) -> Started:
    """Settings and assets of the first process of the journal that says them. NotPlayableError if none does."""
    first = course.reader.first_seq() or 0
    for record in course.reader.read():
        if record.kind == STARTED:
            return from_json(Started, record.payload.decode(), "started")
        if record.seq > first + SEARCHED_FOR_START:
            break
    for checkpoint in map(course.checkpoints.read, course.checkpoints.seqs()):
        if checkpoint is not None and checkpoint.state.started is not None:
            return from_json(Started, checkpoint.state.started.decode(), "started")
    raise NotPlayableError("the journal does not say with which settings it was written.")


def _next(stretches: Iterator[Stretch]) -> Stretch | None:
    return next(stretches, None)


async def _nobody(_: object) -> None:
    """Nobody listens in a replay."""
