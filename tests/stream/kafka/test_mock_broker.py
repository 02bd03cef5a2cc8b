"""Workers in a real consumer group on librdkafka's in-process broker: the group is divided anew while events flow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from confluent_kafka import Producer
from kafka_world import hashes, publish_model, traffic
from test_seat import undisturbed
from worker_fleet import Fleet, feeding, until_done

from benchmarks.traffic import Load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PARTITIONS = 4
"""What the mock broker gives every topic."""
LOAD = Load(900, 0.3, voters=60, order_ms=40)


@pytest.fixture
def mock_url() -> Iterator[str]:
    """The mock broker lives as long as the client that made it. It drops silently beyond 5 MB a partition."""
    owner = Producer({"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": 1})
    (broker,) = owner.list_topics(timeout=20).brokers.values()
    yield f"kafka://{broker.host}:{broker.port}"
    assert len(owner) == 0


def url_of(database: sa.Engine) -> str:
    return database.url.render_as_string(hide_password=False)


async def test_the_group_is_divided_anew_while_events_flow_and_nothing_is_lost_or_doubled(
    mock_url: str, new_database: Callable[[], sa.Engine], tmp_path: Path
) -> None:
    reference, database = new_database(), new_database()
    model = publish_model(reference, LOAD)
    publish_model(database, LOAD)
    given = traffic(LOAD, PARTITIONS, model)
    await undisturbed(reference, given)
    fleet = Fleet(tmp_path, url_of(database), mock_url, PARTITIONS, checkpoint_s=1.0, for_mock=True)
    messages = list(given.in_turn())
    quarter = -(-len(messages) // 4)
    first = fleet.start()
    async with feeding(mock_url) as send:
        try:
            flowing = asyncio.create_task(send(messages[:quarter]))
            await fleet.until_taken(first)
            await flowing
            flowing = asyncio.create_task(send(messages[quarter : 2 * quarter]))
            second = fleet.start()
            await fleet.until_taken(second)
            await flowing
            flowing = asyncio.create_task(send(messages[2 * quarter :]))
            # no third member: once one has left, this broker never lets another in
            assert await asyncio.to_thread(fleet.stop, first) == 0, fleet.log_of(first)
            await flowing
            await until_done(database, given.last_seqs, fleet, 120)
        finally:
            fleet.close()
    assert hashes(database) == hashes(reference)
