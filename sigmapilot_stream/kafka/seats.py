"""The partitions this process was assigned: reads their batches, hands them to the agents, gives them up when asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from sigmapilot_core.adapters.postgres.partition_store import FencedError
from sigmapilot_core.domain.engine.share import Share
from sigmapilot_stream import topics
from sigmapilot_stream.kafka.links import place
from sigmapilot_stream.kafka.seat import Place, Seat
from sigmapilot_stream.records import InputBatch, InputRecord

MAX_RECORDS = 2_000
"""Inputs decided in one transaction when the worker is behind."""
POLL_MS = 200
LEAVE_S = 10.0
"""For all partitions that are given up at once: within `REBALANCE_TIMEOUT_MS`, after which the group goes on without
the member, and well within what a process may take to end."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A batch for a seat; the group may go on from `next_offset` once the state behind it is kept. `sent_ms` is when
    the feed sent its last message."""

    seat: Seat
    batch: InputBatch
    next_offset: int
    sent_ms: int | None = None


class Seats(ConsumerRebalanceListener):  # type: ignore[misc]
    """Owns the seats of the assigned partitions. `deliver` hands a batch to the agent of its partition and waits while
    that is busy, so that a slow database slows the reader."""

    def __init__(
        self,
        link: AIOKafkaConsumer,
        shares: Sequence[Share],
        where: Place,
        deliver: Callable[[int, Delivery], Awaitable[object]],
    ) -> None:
        self._link = link
        self._shares = shares
        self._where = where
        self._deliver = deliver
        self._decode = topics.FILLS.decoder()
        self._seats: dict[int, Seat] = {}

    @property
    def seats(self) -> Mapping[int, Seat]:
        """Seats by partition."""
        return self._seats

    async def run(self) -> None:
        """Read until cancelled."""
        self._link.subscribe([topics.FILLS.name], listener=self)
        while True:
            found = await self._link.getmany(timeout_ms=POLL_MS)
            # no turn of the loop between reading and this: a seat given up meanwhile gets nothing of the next owner's
            held = dict(self._seats)
            for at, messages in found.items():
                seat = held.get(at.partition)
                if seat is not None:
                    await self._hand_over(seat, messages)

    async def handle(self, delivery: Delivery) -> None:
        """What the agent of a partition does with a batch."""
        seat = delivery.seat
        if seat.is_left:
            return
        is_kept = await seat.handle(delivery.batch, delivery.next_offset)
        seat.sent_ms = delivery.sent_ms
        if is_kept:
            await self._commit({seat.share.index: delivery.next_offset})

    async def leave(self) -> None:
        """Give everything up, in order."""
        await self._give_up(sorted(self._seats))

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        """The group divides anew: finish, keep the state, say how far it goes."""
        await self._give_up(sorted(at.partition for at in revoked))

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        """Partitions that are this process's from now on; each is taken over with its first batch."""
        for at in assigned:
            self._seats[at.partition] = Seat(self._shares[at.partition], self._where)
        log.info("partitions assigned", partitions=sorted(at.partition for at in assigned))

    async def _hand_over(self, seat: Seat, messages: Sequence[Any]) -> None:
        """Batches of one partition in order, small ones together."""
        records: list[InputRecord] = []
        name, offset, sent_ms = seat.share.name, 0, None
        for message in messages:
            batch = self._read(message)
            if records and (len(records) + len(batch.records) > MAX_RECORDS or batch.partition != name):
                await self._send(Delivery(seat, InputBatch(name, tuple(records)), offset, sent_ms))
                records = []
            name, offset, sent_ms = batch.partition, message.offset + 1, message.timestamp
            records += batch.records
        if records:
            await self._send(Delivery(seat, InputBatch(name, tuple(records)), offset, sent_ms))

    async def _send(self, delivery: Delivery) -> None:
        if not delivery.seat.is_left:
            await self._deliver(delivery.seat.share.index, delivery)

    def _read(self, message: Any) -> InputBatch:
        try:
            batch: InputBatch = self._decode(message.value)
        except msgspec.MsgspecError as error:
            where = f"{message.topic} partition {message.partition} offset {message.offset}"
            raise UnreadableMessageError(f"{where} holds no batch of inputs: {error}") from error
        return batch

    async def _give_up(self, partitions: Sequence[int]) -> None:
        """All at once, so that one whose state cannot be kept holds up no other."""
        given_up = [(partition, seat) for partition in partitions if (seat := self._seats.pop(partition, None))]
        for _, seat in given_up:
            # before anything is awaited: what waits for their agents is not decided any more
            seat.refuse()
        offsets = await asyncio.gather(*(self._left(seat) for _, seat in given_up))
        moved = {at: offset for (at, _), offset in zip(given_up, offsets, strict=True) if offset is not None}
        if moved:
            await self._commit(moved)

    async def _left(self, seat: Seat) -> int | None:
        """The offset that the next owner of a partition goes on from; None where it is not moved."""
        try:
            async with asyncio.timeout(LEAVE_S):
                return await seat.leave()
        except (TimeoutError, FencedError) as error:
            # the next owner goes on from what was committed last: nothing is lost, it only takes longer
            log.warning("partition left without its state", partition=seat.share.name, reason=str(error))
            return None

    async def _commit(self, offsets: Mapping[int, int]) -> None:
        """Tell the group how far it need not go back. That fails where the group is being divided anew: the same
        messages come again, and their inputs are known by their numbers."""
        try:
            await self._link.commit({place(topics.FILLS, partition): offset for partition, offset in offsets.items()})
        except KafkaError as error:
            log.info("offsets not committed", partitions=sorted(offsets), reason=type(error).__name__)


class UnreadableMessageError(RuntimeError):
    """A message on the topic of inputs is not one: somebody else writes to it, or it is of another version."""
