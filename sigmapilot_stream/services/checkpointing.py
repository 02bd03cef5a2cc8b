"""Keeps the state of the decision step beside the journal now and then, so that a restart goes on exactly."""

from __future__ import annotations

import asyncio
import time

import structlog

from sigmapilot_core.adapters.journal.checkpoints import Checkpoint, CheckpointStore, Use, dumped
from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.domain.params import DAY_MS
from sigmapilot_stream.worker import Worker

EVERY_S = 60.0
SHARE_OF_TIME = 0.005
"""The decision step waits while its state is copied: with a large state checkpoints are further apart."""

log = structlog.get_logger(__name__)


class Checkpointing:
    """Copies the state between two batches, and packs and writes the copy in a thread. The first of each day stays, so
    that what retention leaves of the journal can be replayed."""

    def __init__(self, store: CheckpointStore, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._due_at = time.monotonic() + EVERY_S
        self._day: int | None = None
        self._writing: asyncio.Task[None] | None = None

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next one, and the one before is written."""
        return time.monotonic() >= self._due_at and (self._writing is None or self._writing.done())

    async def take(self, worker: Worker, seq: int, at_ms: int | None = None) -> None:
        """Keep the state after an input whose effects are committed."""
        await self.written()
        started = time.monotonic()
        plain = dumped(Checkpoint(seq, self._store.code, worker.state))
        spent = time.monotonic() - started
        self._metrics.sigmapilot_checkpoint_pause_seconds.set(spent)
        self._metrics.sigmapilot_checkpoint_bytes.set(len(plain))
        self._due_at = started + max(EVERY_S, spent / SHARE_OF_TIME)
        day = None if at_ms is None else at_ms // DAY_MS
        use = Use.PASSING if day in (None, self._day) else Use.DAY
        self._day = self._day if day is None else day
        self._writing = asyncio.create_task(self._write(seq, plain, use), name="checkpoint")

    async def written(self) -> None:
        """Wait for the copy under way."""
        if self._writing is not None:
            await self._writing

    async def _write(self, seq: int, plain: bytes, use: Use) -> None:
        try:
            await asyncio.to_thread(self._store.write_bytes, seq, plain, use=use)
        except OSError as error:
            # a cache: without it the next start takes longer or begins from Postgres
            log.warning("no checkpoint could be written", seq=seq, reason=str(error))
