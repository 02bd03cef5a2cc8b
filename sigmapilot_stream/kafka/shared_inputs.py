"""The one way into the decision step where several workers share the coins: journal first, then the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

import orjson

from sigmapilot_core.adapters.journal.writer import Entry, JournalWriter
from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.domain.engine.share import Share
from sigmapilot_stream.decode import SNAPSHOT
from sigmapilot_stream.records import InputBatch, InputRecord
from sigmapilot_stream.routing import partitions_of

SNAPSHOT_VERSION = "snapshot_version"
"""A snapshot as it travels: its version. Whoever decides reads it from the database, where it stands unchangeable."""
MAX_BATCH_BYTES = 512 * 1024
MAX_BATCH_RECORDS = 1_000

Send = Callable[[int, InputBatch], Awaitable[Awaitable[object]]]
Heard = Callable[[Sequence[Entry], tuple[int, ...]], None]


class SharedInputs:
    """Numbers inputs by partition, journals them and sends them on; returns when the broker has them.

    The journal holds every input whole and in order, by partition. What a process journalled and did not send any more
    is sent by the next one; what is sent twice has the same number and counts once.
    """

    def __init__(
        self,
        shares: Sequence[Share],
        journals: Sequence[JournalWriter],
        send: Send,
        metrics: Metrics,
        heard: Heard = lambda _entries, _seqs: None,
    ) -> None:
        self.shares = shares
        self._journals = journals
        self._send = send
        self._heard = heard
        self._bytes = metrics.sigmapilot_journal_bytes_total
        self._journalling = metrics.hl_stream_fills_publish_seconds.labels("journal")
        self._sending = metrics.hl_stream_fills_publish_seconds.labels("send")
        # order in the journal must be the order in the partition, whoever submits
        self._turn = asyncio.Lock()

    @property
    def sent_seq(self) -> int:
        """Inputs sent to all partitions, less one."""
        return sum(journal.next_seq for journal in self._journals) - 1

    @property
    def sent_seqs(self) -> tuple[int, ...]:
        """The last input of each partition."""
        return tuple(journal.next_seq - 1 for journal in self._journals)

    async def submit(self, entries: Sequence[Entry]) -> None:
        """Journal and send inputs to the partitions they concern."""
        if not entries:
            return
        async with self._turn:
            with self._journalling.time():
                parts = self._journalled(entries)
            await self._send_on(parts)
            self._heard(entries, self.sent_seqs)

    async def resend(self, partition: int, records: Sequence[InputRecord]) -> None:
        """Send inputs that were journalled before a restart but not yet committed."""
        async with self._turn:
            await self._send_on([(partition, list(records))])

    def _journalled(self, entries: Sequence[Entry]) -> list[tuple[int, list[InputRecord]]]:
        by_partition: dict[int, list[Entry]] = {}
        for entry in entries:
            for partition in partitions_of(entry[0], entry[2], len(self.shares)):
                by_partition.setdefault(partition, []).append(entry)
        found = []
        for partition, part in sorted(by_partition.items()):
            first = self._journals[partition].append_batch(part)
            self._bytes.inc(sum(len(payload) for _, _, payload in part))
            found.append((partition, [InputRecord(first + i, *entry) for i, entry in enumerate(part)]))
        return found

    async def _send_on(self, parts: Sequence[tuple[int, list[InputRecord]]]) -> None:
        with self._sending.time():
            confirmed = [
                await self._send(partition, InputBatch(self.shares[partition].name, tuple(chunk)))
                for partition, records in parts
                for chunk in chunks([travelling(record) for record in records])
            ]
            for one in confirmed:
                await one


def travelling(record: InputRecord) -> InputRecord:
    """The record as it is sent: of a snapshot only the version."""
    if record.kind != SNAPSHOT:
        return record
    version = orjson.loads(record.payload)["version"]
    return InputRecord(record.seq, SNAPSHOT_VERSION, record.received_ms, orjson.dumps({"version": version}))


def chunks(records: Sequence[InputRecord]) -> Iterator[list[InputRecord]]:
    """Records in order, in messages of bounded size; one that is larger by itself travels alone."""
    held: list[InputRecord] = []
    size = 0
    for record in records:
        if held and (size + len(record.payload) > MAX_BATCH_BYTES or len(held) >= MAX_BATCH_RECORDS):
            yield held
            held, size = [], 0
        held.append(record)
        size += len(record.payload)
    if held:
        yield held
