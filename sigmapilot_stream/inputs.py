"""The one way into the decision step: journal first, then the channel, in the same order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from sigmapilot_core.adapters.journal.writer import Entry, JournalWriter
from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_stream.records import InputBatch, InputRecord

Send = Callable[[InputBatch], Awaitable[object]]


class Submits(Protocol):
    """Whoever takes inputs, for one partition or for many."""

    @property
    def sent_seq(self) -> int:
        """The last input that was sent; of several partitions the sum of theirs."""

    @property
    def sent_seqs(self) -> tuple[int, ...]:
        """The last input of each partition."""

    async def submit(self, entries: Sequence[Entry]) -> object:
        """Journal and send inputs."""


class Inputs:
    """Numbers inputs, journals them and sends them on; a full channel makes the caller wait.

    `sent_seq` is the last input that was sent; one that was only journalled is read again at the next start.
    """

    def __init__(self, partition: str, journal: JournalWriter, send: Send, metrics: Metrics) -> None:
        self.sent_seq = -1
        self._partition = partition
        self._journal = journal
        self._send = send
        self._bytes = metrics.sigmapilot_journal_bytes_total
        self._journalling = metrics.hl_stream_fills_publish_seconds.labels("journal")
        self._sending = metrics.hl_stream_fills_publish_seconds.labels("send")
        # order in the journal must be the order in the channel, whoever submits
        self._turn = asyncio.Lock()

    @property
    def sent_seqs(self) -> tuple[int, ...]:
        """The last input of the one partition."""
        return (self.sent_seq,)

    async def submit(self, entries: Sequence[Entry]) -> int:
        """Journal and send inputs; returns the sequence number of the first."""
        if not entries:
            return self._journal.next_seq
        async with self._turn:
            with self._journalling.time():
                first = self._journal.append_batch(entries)
            self._bytes.inc(sum(len(payload) for _, _, payload in entries))
            await self._send_on([InputRecord(first + i, *entry) for i, entry in enumerate(entries)])
        return first

    async def resend(self, records: Sequence[InputRecord]) -> None:
        """Send inputs that were journalled before a restart but not yet committed."""
        async with self._turn:
            await self._send_on(records)

    async def _send_on(self, records: Sequence[InputRecord]) -> None:
        with self._sending.time():
            await self._send(InputBatch(self._partition, tuple(records)))
        self.sent_seq = records[-1].seq
