"""The one way into the decision step: journal first, then the channel, in the same order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from sigmapilot_core.adapters.journal.writer import JournalWriter
from sigmapilot_stream.records import InputBatch, InputRecord

Entry = tuple[str, int, bytes]
"""(kind, receive time in ms, payload)."""

Send = Callable[[InputBatch], Awaitable[object]]


class Inputs:
    """Numbers inputs, journals them and sends them on; a full channel makes the caller wait."""

    def __init__(self, partition: str, journal: JournalWriter, send: Send) -> None:
        self._partition = partition
        self._journal = journal
        self._send = send
        # order in the journal must be the order in the channel, whoever submits
        self._turn = asyncio.Lock()
        self.last_received_ms = 0
        self.sent_seq = -1

    async def submit(self, entries: Sequence[Entry]) -> int:
        """Journal and send inputs; returns the sequence number of the first."""
        async with self._turn:
            first = self._journal.append_batch(entries)
            self.last_received_ms = max([self.last_received_ms, *(received for _, received, _ in entries)])
            records = tuple(
                InputRecord(first + i, kind, received, payload) for i, (kind, received, payload) in enumerate(entries)
            )
            await self._pass_on(records)
        return first

    async def resend(self, records: Sequence[InputRecord]) -> None:
        """Send inputs that were journalled before a restart but not yet committed."""
        async with self._turn:
            await self._pass_on(tuple(records))

    async def _pass_on(self, records: tuple[InputRecord, ...]) -> None:
        await self._send(InputBatch(self._partition, records))
        self.sent_seq = records[-1].seq
