"""Notices new model snapshots and hands them to the decision step, whole, so that a replay needs nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError

from sigmapilot_core.adapters.postgres import snapshot_store
from sigmapilot_core.domain.snapshot import ModelSnapshot, to_json
from sigmapilot_core.ports import Clock
from sigmapilot_stream.decode import SNAPSHOT
from sigmapilot_stream.inputs import Inputs

POLL_S = 1.0

log = structlog.get_logger(__name__)


class WrongSnapshotError(RuntimeError):
    """A snapshot of another mode stands in this database."""


class SnapshotService:
    """Polls the newest version; `on_new` is told of each snapshot before it is submitted."""

    def __init__(
        self, engine: sa.Engine, mode: str, clock: Clock, inputs: Inputs, on_new: Callable[[ModelSnapshot], None]
    ) -> None:
        self._database = engine
        self._mode = mode
        self._clock = clock
        self._inputs = inputs
        self._on_new = on_new
        self.version: int | None = None
        self.published_at_ms: int | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(POLL_S)

    async def look(self) -> None:
        """Activate the newest snapshot if it is not active yet."""
        try:
            found = await asyncio.to_thread(self._newer)
        except DBAPIError as error:
            log.warning("database does not answer; the snapshot in force stays", reason=str(error.orig))
            return
        if found is None:
            return
        self._on_new(found)
        await self._inputs.submit([(SNAPSHOT, self._clock.now_ms(), to_json(found).encode())])
        self.note(found)
        log.info(
            "snapshot submitted", version=found.version, pool=len(found.slow.pool), tracked=len(found.slow.tracked)
        )

    def note(self, snapshot: ModelSnapshot) -> None:
        """This snapshot is in force."""
        self.version, self.published_at_ms = snapshot.version, snapshot.published_at_ms

    def _newer(self) -> ModelSnapshot | None:
        with self._database.connect() as connection:
            newest = snapshot_store.newest_version(connection)
            if newest is None or newest == self.version:
                return None
            snapshot = snapshot_store.read_snapshot(connection, newest)
        if snapshot.mode != self._mode:
            raise WrongSnapshotError(f"snapshot {newest} is of mode {snapshot.mode!r}, this stream runs {self._mode!r}")
        return snapshot
