"""Connections to the broker. What decides how long a dead worker holds its partitions is set here, explicitly."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import TopicAlreadyExistsError, for_code

from sigmapilot_stream import topics
from sigmapilot_stream.topics import Topic

SESSION_TIMEOUT_MS = 6_000
"""The shortest that a broker grants unless it is told otherwise: a killed worker's partitions move after it."""
HEARTBEAT_MS = 1_500
REBALANCE_TIMEOUT_MS = 15_000
MAX_POLL_INTERVAL_MS = 900_000
"""A worker that waits for the database keeps its partitions: nobody else could commit either."""
METADATA_MS = 10_000
"""A topic that was missing when a member joined is seen after this time; the library's own is five minutes."""
FETCH_WAIT_MS = 100
FETCH_BYTES = 4 * 1024 * 1024
DEFAULT_PORT = 9092


class WrongTopicError(RuntimeError):
    """A topic stands on the broker with another number of partitions: coins would change their places."""


def servers(url: str) -> list[str]:
    """`host:port` of each broker in a `kafka://host[:port][,host[:port]...]` URL."""
    places = urlsplit(url).netloc.rpartition("@")[2].split(",")
    return [place if ":" in place else f"{place}:{DEFAULT_PORT}" for place in places if place]


def consumer(url: str, group: str, client: str) -> AIOKafkaConsumer:
    """A member of a group that reads from the last committed offset, or from the first; offsets are committed by hand.

    The broker's `group.min.session.timeout.ms` must not be above `SESSION_TIMEOUT_MS`.
    """
    return AIOKafkaConsumer(
        bootstrap_servers=servers(url),
        group_id=group,
        client_id=client,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        partition_assignment_strategy=(RoundRobinPartitionAssignor,),
        session_timeout_ms=SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=HEARTBEAT_MS,
        rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
        max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
        metadata_max_age_ms=METADATA_MS,
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_partition_fetch_bytes=max(FETCH_BYTES, topics.MAX_MESSAGE_BYTES),
    )


def producer(url: str, client: str) -> AIOKafkaProducer:
    """Sends in order and once: all replicas confirm, and what is sent again is recognised by the broker."""
    return AIOKafkaProducer(
        bootstrap_servers=servers(url),
        client_id=client,
        acks="all",
        enable_idempotence=True,
        max_batch_size=256 * 1024,
        max_request_size=topics.MAX_MESSAGE_BYTES,
        linger_ms=0,
    )


async def declare(url: str, shares: int, replicas: int = 1) -> None:
    """Create the topics that are missing, each with its partitions and retention.

    Raises:
        WrongTopicError: one exists with another number of partitions.
        KafkaError: the broker cannot be reached or refuses.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=servers(url), client_id="sigmapilot-declare")
    await admin.start()
    try:
        await _create(admin, shares, replicas)
        await _check(admin, shares)
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, shares: int, replicas: int) -> None:
    standing = set(await admin.list_topics())
    missing = [topic for topic in topics.ALL if topic.name not in standing]
    if not missing:
        return
    wanted = [NewTopic(t.name, t.partitions(shares), replicas, topic_configs=t.config) for t in missing]
    answer: Any = await admin.create_topics(wanted)
    for name, code, *detail in answer.topic_errors:
        fault = for_code(code)
        if code and fault is not TopicAlreadyExistsError:
            raise fault(f"topic {name}: {detail[0] if detail else ''}")


async def _check(admin: AIOKafkaAdminClient, shares: int) -> None:
    found = await admin.describe_topics([topic.name for topic in topics.ALL])
    counts = {row["topic"]: len(row["partitions"]) for row in found}
    for topic in topics.ALL:
        count, wanted = counts.get(topic.name, 0), topic.partitions(shares)
        if count not in (0, wanted):
            raise WrongTopicError(
                f"topic {topic.name} has {count} partitions; SIGMAPILOT_STREAM_PARTITIONS asks for {wanted}"
            )


class Publisher:
    """Sends records to their topics, keyed so that what belongs together stays in order."""

    def __init__(self, link: AIOKafkaProducer) -> None:
        self._link = link

    async def __call__(self, record: msgspec.Struct) -> None:
        """Send one record and wait until the broker has it."""
        topic = topics.topic_of(record)
        key = str(getattr(record, topic.key)).encode()
        await self._link.send_and_wait(topic.name, topic.encode(record), key=key)

    async def to_partition(self, topic: Topic, partition: int, record: msgspec.Struct) -> Awaitable[object]:
        """Send a record to one partition; what is returned can be awaited until the broker has it."""
        sent: Awaitable[object] = await self._link.send(topic.name, topic.encode(record), partition=partition)
        return sent


def place(topic: Topic, partition: int) -> TopicPartition:
    """One partition of a topic."""
    return TopicPartition(topic.name, partition)
