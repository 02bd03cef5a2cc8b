"""Keeps the journal small: closed files are packed, old ones removed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from sigmapilot_core.adapters.journal.keeper import KeeperParams, tidy
from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.ports import Clock
from sigmapilot_stream.together import repeat

EVERY_S = 300.0

log = structlog.get_logger(__name__)


class JournalService:
    """Tends the files beside the one that is being written, in a thread, so that nobody waits."""

    def __init__(self, folder: Path, params: KeeperParams, clock: Clock, metrics: Metrics) -> None:
        self._folder = folder
        self._params = params
        self._clock = clock
        self._metrics = metrics

    async def run(self) -> None:
        """Tidy until cancelled."""
        await repeat(self._tidy, EVERY_S)

    async def _tidy(self) -> None:
        done = await asyncio.to_thread(tidy, self._folder, self._clock.now_ms(), self._params)
        self._metrics.sigmapilot_journal_disk_bytes.set(done.bytes_kept)
        if done.removed or done.over_ceiling:
            log.info("journal tidied", packed=done.packed, removed=done.removed, is_over_ceiling=done.over_ceiling)
