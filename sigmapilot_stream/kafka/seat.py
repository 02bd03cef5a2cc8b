"""One partition in the hands of this process: taken over, decided on, given up."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec
import orjson
import sqlalchemy as sa
import structlog

from sigmapilot_core.adapters.journal.checkpoints import Checkpoint, dumped, loaded
from sigmapilot_core.adapters.postgres import partition_store, snapshot_store
from sigmapilot_core.adapters.postgres.partition_store import Claim, Stored
from sigmapilot_core.domain.engine.share import Share
from sigmapilot_core.domain.snapshot import to_json
from sigmapilot_stream.agents.decide import Channels, Decide
from sigmapilot_stream.decode import SNAPSHOT
from sigmapilot_stream.effects import Effects, Written
from sigmapilot_stream.kafka.anew import rebuild
from sigmapilot_stream.kafka.shared_inputs import SNAPSHOT_VERSION
from sigmapilot_stream.observe import Observer
from sigmapilot_stream.records import InputBatch, InputRecord, IntentRecord
from sigmapilot_stream.retrying import until_written
from sigmapilot_stream.worker import Worker

CHECKPOINT_EVERY_S = 15.0
SHARE_OF_TIME = 0.02
"""Deciding waits while the state is copied: with a large state checkpoints are further apart."""
ORDERS_PER_INPUT = 1_000

log = structlog.get_logger(__name__)


class HoleError(RuntimeError):
    """Inputs of the partition are missing on the broker: what follows must not be decided on the wrong state."""


@dataclass(frozen=True, slots=True)
class Place:
    """What all partitions of a process share. `code` is the version of the code that states are read back by."""

    database: sa.Engine
    channels: Channels
    observer: Observer
    account: str
    owner: str
    code: str
    now_ms: Callable[[], int]
    checkpoint_every_s: float = CHECKPOINT_EVERY_S


class FencedDecide(Decide):
    """Decides for one partition; its transactions count only while the claim holds."""

    claim: Claim

    def _write(self, effects: Effects) -> Written:
        with self._database.begin() as connection:
            if partition_store.is_committed(connection, self.claim, effects.last_seq):
                # the answer to this very transaction was lost with the connection: everything in it is new
                written = Written(frozenset(made.decision.id for made in effects.decisions))
                moved = replace(self.claim, seq=effects.last_seq)
            else:
                moved = partition_store.advance(connection, self.claim, effects.last_seq)
                written = effects.commit(connection)
        self.claim = moved
        return written

    async def again(self, records: Sequence[InputRecord]) -> None:
        """Inputs whose effects are committed: they move the state, and the executor is told again what they led to, in
        case whoever committed them did not come to it."""
        effects, _ = self.worker.handle(records)
        for made in effects.decisions:
            await self._decided(made)


class Seat:
    """Holds the engine of a partition from its first batch to the moment it is given up."""

    def __init__(self, share: Share, place: Place) -> None:
        self.share = share
        self.seq = -1
        self.offset: int | None = None
        self.sent_ms: int | None = None
        self.is_left = False
        self.is_rebuilt = False
        self._place = place
        self._turn = asyncio.Lock()
        self._intent_seq, self._intents = -1, 0
        self._kept_at = time.monotonic()
        self._every_s = place.checkpoint_every_s
        self._is_taken = False
        self._disagreed: set[str] = set()
        self.worker = Worker(share.name, place.now_ms, share)
        channels = replace(place.channels, intents=self._intend)
        self.decide = FencedDecide(self.worker, place.database, channels, place.observer, place.account, lambda _: None,
                                   self._note_disagreement)  # fmt: skip
        self.decide.is_live = True

    async def handle(self, batch: InputBatch, next_offset: int) -> bool:
        """Decide a batch; True if the state was kept behind it, so that the group may go on from `next_offset`.

        Raises:
            FencedError: another process owns the partition.
            HoleError: inputs are missing before this batch.
        """
        async with self._turn:
            if self.is_left:
                return False
            if not self._is_taken:
                await self._take()
            if batch.partition != self.share.name:
                raise HoleError(f"partition {self.share.name} got inputs of {batch.partition}")
            await self._handle(tuple(record for record in batch.records if record.seq > self.seq))
            self.offset = next_offset
            if time.monotonic() - self._kept_at < self._every_s:
                return False
            await self._keep()
            return True

    async def leave(self) -> int | None:
        """Give the partition up: the batch under way ends, the state is kept. The offset the next owner goes on from,
        None where it is not moved."""
        self.refuse()
        async with self._turn:
            if not self._is_taken or self.offset is None:
                return None
            await self._keep()
            return self.offset

    def refuse(self) -> None:
        """Take no batch any more."""
        self.is_left = True

    @property
    def is_taken(self) -> bool:
        """Whether the state is here."""
        return self._is_taken

    def disagreed(self) -> list[str]:
        """Accounts whose ledger the venue has contradicted since this was asked last."""
        found, self._disagreed = sorted(self._disagreed), set()
        return found

    def _note_disagreement(self, user: str) -> None:
        self._disagreed.add(user)

    @property
    def epoch(self) -> int:
        """How often the partition was taken over, this time included."""
        return self.decide.claim.epoch if self._is_taken else 0

    async def _handle(self, records: tuple[InputRecord, ...]) -> None:
        if not records:
            return
        if records[0].seq != self.seq + 1:
            raise HoleError(f"partition {self.share.name} waits for input {self.seq + 1}, got {records[0].seq}")
        whole = [await self._whole(record) for record in records]
        committed = self.decide.claim.seq
        before = [record for record in whole if record.seq <= committed]
        after = tuple(whole[len(before) :])
        if before:
            await self.decide.again(before)
            self.seq = before[-1].seq
        if after:
            await self.decide.handle(InputBatch(self.share.name, after))
            self.seq = after[-1].seq

    async def _whole(self, record: InputRecord) -> InputRecord:
        """A snapshot travels by its version."""
        if record.kind != SNAPSHOT_VERSION:
            return record
        version = int(orjson.loads(record.payload)["version"])
        payload = await until_written(lambda: self._snapshot(version), "snapshot")
        return InputRecord(record.seq, SNAPSHOT, record.received_ms, payload)

    def _snapshot(self, version: int) -> bytes:
        with self._place.database.connect() as connection:
            return to_json(snapshot_store.read_snapshot(connection, version)).encode()

    async def _take(self) -> None:
        """Claim the partition, then go on from its state: the stored one, or what the tables hold."""
        claim, stored = await until_written(self._claimed, "claim")
        self.decide.claim = claim
        found = None
        if stored is not None and stored.code == self._place.code and stored.seq <= claim.seq:
            found = loaded(zlib.decompress(stored.state), self._place.code)
        if found is not None:
            self.worker.go_on_from(found.state)
            self.seq = found.seq
        else:
            await until_written(
                lambda: rebuild(self._place.database, self.worker, self.share, claim.seq, self._place.now_ms()), "state"
            )
            self.seq, self.is_rebuilt = claim.seq, claim.seq >= 0
            # who takes over from here, before the next state is kept, begins with the same
            await self._keep()
        self._is_taken = True
        self._kept_at = time.monotonic()
        log.info("partition taken", partition=self.share.name, epoch=claim.epoch, seq=claim.seq, state=self.seq)

    def _claimed(self) -> tuple[Claim, Stored | None]:
        with self._place.database.begin() as connection:
            claim = partition_store.claim(connection, self.share.name, self._place.owner)
            return claim, partition_store.read_checkpoint(connection, self.share.name)

    async def _keep(self) -> None:
        started = time.monotonic()
        plain = dumped(Checkpoint(self.seq, self._place.code, self.worker.state))
        self._every_s = max(self._place.checkpoint_every_s, (time.monotonic() - started) / SHARE_OF_TIME)
        self.decide.claim = await until_written(lambda: self._stored(plain), "state of a partition")
        self._kept_at = time.monotonic()

    def _stored(self, plain: bytes) -> Claim:
        packed = Stored(self.seq, self._place.code, zlib.compress(plain, 1))
        with self._place.database.begin() as connection:
            held = self.decide.claim
            if partition_store.is_committed(connection, held, self.seq):
                held = replace(held, seq=self.seq)
            # the state may still be behind what an owner before has committed
            moved = partition_store.advance(connection, held, max(self.seq, held.seq))
            partition_store.store_checkpoint(connection, moved, packed)
        return moved

    async def _intend(self, intent: IntentRecord) -> None:
        """Send work to the executor, numbered so that it is done once however often it is told."""
        self._intents = self._intents + 1 if intent.seq == self._intent_seq else 0
        self._intent_seq = intent.seq
        order = intent.seq * ORDERS_PER_INPUT + self._intents
        await self._place.channels.intents(msgspec.structs.replace(intent, source=self.share.name, order=order))
