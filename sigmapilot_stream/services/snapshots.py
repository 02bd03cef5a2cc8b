"""Notices new model snapshots and hands them to the decision step, whole, so that a replay needs nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import sqlalchemy as sa
import structlog

from sigmapilot_core.adapters.postgres import pinned_store, snapshot_store
from sigmapilot_core.domain.snapshot import ModelSnapshot, to_json
from sigmapilot_core.ports import Clock
from sigmapilot_stream.decode import SNAPSHOT
from sigmapilot_stream.inputs import Submits
from sigmapilot_stream.retrying import unless_down
from sigmapilot_stream.together import repeat

POLL_S = 1.0

log = structlog.get_logger(__name__)


class WrongSnapshotError(RuntimeError):
    """A snapshot of another mode stands in this database."""


class SnapshotService:
    """Polls the newest version; `on_new` is told of each snapshot before it is submitted."""

    def __init__(
        self,
        database: sa.Engine,
        mode: str,
        clock: Clock,
        inputs: Submits,
        on_new: Callable[[ModelSnapshot], Awaitable[None]],
    ) -> None:
        self._database = database
        self._mode = mode
        self._clock = clock
        self._inputs = inputs
        self._on_new = on_new
        self.newest: ModelSnapshot | None = None
        self.pinned: tuple[str, ...] = ()

    @property
    def version(self) -> int | None:
        """Version of the newest snapshot that was submitted."""
        return None if self.newest is None else self.newest.version

    async def run(self) -> None:
        """Watch until cancelled."""
        await repeat(self.look, POLL_S)

    async def look(self) -> None:
        """Submit the newest snapshot if it is not in force yet. Errors: `WrongSnapshotError`; ValueError for content
        that does not match its hash."""
        found = await unless_down(self._newer, "the snapshot in force stays")
        if found is not None:
            await self.submit(found)

    async def submit(self, snapshot: ModelSnapshot) -> None:
        """Hand a snapshot to the decision step."""
        await self._on_new(snapshot)
        await self._inputs.submit([(SNAPSHOT, self._clock.now_ms(), to_json(snapshot).encode())])
        self.newest = snapshot
        sizes = {"pool": len(snapshot.slow.pool), "tracked": len(snapshot.slow.tracked)}
        log.info("snapshot submitted", version=snapshot.version, **sizes)

    def _newer(self) -> ModelSnapshot | None:
        with self._database.connect() as connection:
            newest = snapshot_store.newest_version(connection)
            if newest is None or newest == self.version:
                return None
            snapshot = snapshot_store.read_snapshot(connection, newest)
            self.pinned = tuple(pinned_store.pinned_addresses(connection))
        if snapshot.mode != self._mode:
            raise WrongSnapshotError(f"snapshot {newest} is of mode {snapshot.mode!r}, this stream runs {self._mode!r}")
        return snapshot
