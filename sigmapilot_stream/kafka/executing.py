"""Brings what was decided to the executor of the trading account: in order by partition, each piece of work once.

The topic has one partition per account, so that the group gives it to one process; the epoch in the database keeps out
one that was taken for dead. How far each source got is written in the transaction of its effects: what is told again is
recognised by its place, and what was told and not done is told again.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import sqlalchemy as sa
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from sigmapilot_core.adapters.postgres import partition_store, stream_store
from sigmapilot_core.adapters.postgres.partition_store import Claim
from sigmapilot_stream import topics
from sigmapilot_stream.executor import Executor
from sigmapilot_stream.kafka.links import place
from sigmapilot_stream.records import IntentRecord
from sigmapilot_stream.retrying import until_written
from sigmapilot_stream.services.silence import Counted

POLL_MS = 200
COMMIT_EVERY_S = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Work:
    """An intent and where the topic goes on behind it."""

    intent: IntentRecord
    next_offset: int


class Executing:
    """Reads the intents of one account and has them executed."""

    def __init__(
        self,
        link: AIOKafkaConsumer,
        executor: Executor,
        database: sa.Engine,
        account: str,
        owner: str,
        deliver: Callable[[Work], Awaitable[object]],
    ) -> None:
        self._link = link
        self._executor = executor
        self._database = database
        self._name = f"exec-{account}"
        self._owner = owner
        self._deliver = deliver
        self._decode = topics.INTENTS.decoder()
        self._claim: Claim | None = None
        self._current: IntentRecord | None = None
        self._marks: dict[str, int] = {}
        self._committed_at = 0.0
        self.skipped = 0
        self.counted = Counted("execute")
        executor.within = self._within

    async def take(self) -> None:
        """Become the account's executor; whoever was it before cannot write any more."""
        claim, self._marks = await until_written(self._claimed, "claim of the account")
        self._claim = claim
        log.info("account taken", account=self._name, epoch=claim.epoch)

    async def run(self) -> None:
        """Read until cancelled."""
        self._link.subscribe([topics.INTENTS.name])
        while True:
            for messages in (await self._link.getmany(timeout_ms=POLL_MS)).values():
                for message in messages:
                    await self._deliver(Work(self._decode(message.value), message.offset + 1))
                    self.counted.given += 1

    async def handle(self, work: Work) -> None:
        """Execute one piece of work unless it was done before.

        Raises:
            FencedError: another process executes for the account now.
        """
        intent = work.intent
        if intent.source and intent.order <= self._marks.get(intent.source, -1):
            self.skipped += 1
        else:
            self._current = intent
            await self._executor.handle(intent)
            if intent.source:
                self._marks[intent.source] = intent.order
        if time.monotonic() - self._committed_at >= COMMIT_EVERY_S:
            await self._commit(work.next_offset)
        self.counted.done += 1

    async def _commit(self, offset: int) -> None:
        self._committed_at = time.monotonic()
        try:
            await self._link.commit({place(topics.INTENTS, 0): offset})
        except KafkaError as error:
            log.info("offset of the intents not committed", reason=type(error).__name__)

    def _claimed(self) -> tuple[Claim, dict[str, int]]:
        with self._database.begin() as connection:
            claim = partition_store.claim(connection, self._name, self._owner)
            rows = partition_store.read_progress(connection)
        prefix = f"{self._name}:"
        return claim, {name.removeprefix(prefix): seq for name, seq in rows.items() if name.startswith(prefix)}

    def _within(self, connection: sa.Connection) -> None:
        """Part of the executor's transaction: only the account's owner writes, and what was done is noted with it."""
        assert self._claim is not None, "the account was not taken"
        partition_store.hold(connection, self._claim)
        if self._current is not None and self._current.source:
            stream_store.store_progress(connection, f"{self._name}:{self._current.source}", self._current.order)
