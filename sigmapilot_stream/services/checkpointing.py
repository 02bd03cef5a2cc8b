"""Keeps the state of the decision step beside the journal now and then, so that a restart goes on exactly."""

from __future__ import annotations

import asyncio
import time

import structlog

from sigmapilot_core.adapters.forked import CAN_FORK, Forked
from sigmapilot_core.adapters.journal.checkpoints import Checkpoint, CheckpointStore, Use, dumped
from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.domain.params import DAY_MS
from sigmapilot_stream.worker import Worker

EVERY_S = 60.0
AGAIN_S = 1.0
"""A restart applies what came behind the checkpoint again. What took so much processor time calls for the next one
before its time is up; otherwise a process that is killed again and again would have more to do at each start."""
APART_S = 5.0
"""Between two of them at least: everything before a checkpoint is written first, which a full stream would feel."""
SHARE_OF_TIME = 0.005
"""The decision step waits while its state is copied: where that takes long checkpoints are further apart."""
SHARE_OF_CORE = 0.05
"""Writing a large state takes a core for seconds: checkpoints are so far apart that it is no more than this."""
WRITTEN_WITHIN_S = 120.0

log = structlog.get_logger(__name__)


class Checkpointing:
    """Writes the state between two batches in a forked copy of the process, whose memory stays as it was, so that
    deciding goes on at once. The first of each day stays, so that what retention leaves of the journal can be replayed.
    """

    def __init__(self, store: CheckpointStore, metrics: Metrics, *, in_a_copy: bool = CAN_FORK) -> None:
        self._store = store
        self._metrics = metrics
        self._in_a_copy = in_a_copy
        self._began_at = time.monotonic()
        self._apart_s = 0.0
        self._applied_s = 0.0
        self._day: int | None = None
        self._writing: asyncio.Task[None] | None = None

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next one, or enough was applied since, and the one before is written."""
        since_s = time.monotonic() - self._began_at
        is_time = since_s >= self._apart_s and (since_s >= EVERY_S or self._applied_s >= AGAIN_S)
        return is_time and (self._writing is None or self._writing.done())

    def applied(self, seconds: float) -> None:
        """Inputs took so much processor time, and would take it again."""
        self._applied_s += seconds

    async def take(self, worker: Worker, seq: int, at_ms: int | None = None) -> None:
        """Keep the state after an input whose effects are committed."""
        await self.written()
        day = None if at_ms is None else at_ms // DAY_MS
        use = Use.PASSING if day in (None, self._day) else Use.DAY
        self._day = self._day if day is None else day
        checkpoint, started = Checkpoint(seq, self._store.code, worker.state), time.monotonic()
        try:
            if self._in_a_copy:
                writing = self._written_in(Forked(lambda: self._store.write(checkpoint, use=use)), seq, started)
            else:
                writing = self._written_from(dumped(checkpoint), seq, use, started)
        except OSError as error:
            self._failed(seq, error)
            return
        paused_s = time.monotonic() - started
        self._metrics.sigmapilot_checkpoint_pause_seconds.set(paused_s)
        self._began_at, self._apart_s, self._applied_s = started, max(APART_S, paused_s / SHARE_OF_TIME), 0.0
        self._writing = asyncio.create_task(writing, name="checkpoint")

    async def written(self) -> None:
        """Wait for the copy under way."""
        if self._writing is not None:
            await self._writing

    async def _written_in(self, copy: Forked, seq: int, started: float) -> None:
        try:
            self._note(await copy.result(WRITTEN_WITHIN_S), started)
        except OSError as error:
            self._failed(seq, error)

    async def _written_from(self, plain: bytes, seq: int, use: Use, started: float) -> None:
        try:
            self._note(await asyncio.to_thread(self._store.write_bytes, seq, plain, use=use), started)
        except OSError as error:
            self._failed(seq, error)

    def _note(self, size: int, started: float) -> None:
        self._metrics.sigmapilot_checkpoint_bytes.set(size)
        self._apart_s = max(self._apart_s, (time.monotonic() - started) / SHARE_OF_CORE)

    def _failed(self, seq: int, error: OSError) -> None:
        # a cache: without it the next start takes longer or begins from Postgres
        self._began_at, self._apart_s = time.monotonic(), EVERY_S
        log.warning("no checkpoint could be written", seq=seq, reason=str(error))
