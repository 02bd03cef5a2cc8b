"""Two workers on a real Apache Kafka broker, killed at random moments while tens of thousands of fills flow."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from executor_desk import executing, orders
from kafka_world import hashes, publish_model, traffic
from test_seat import undisturbed
from worker_fleet import Fleet, feeding, progress, until_done

from benchmarks.traffic import Load
from sigmapilot_core.adapters.postgres import decision_store
from sigmapilot_core.domain.consensus.chain import CHAIN_COUNT
from sigmapilot_stream.kafka import links

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(1_800)]

PARTITIONS = 4
FILLS_PER_ORDER = 8


def url_of(database: sa.Engine) -> str:
    return database.url.render_as_string(hide_password=False)


async def test_workers_killed_at_random_moments_leave_what_an_undisturbed_run_leaves(
    broker_url: str, new_database: Callable[[], sa.Engine], tmp_path: Path, kafka_fills: int, kafka_kills: int
) -> None:
    load = Load(kafka_fills // FILLS_PER_ORDER, 0.2, voters=60, order_ms=20)
    reference, database = new_database(), new_database()
    model = publish_model(reference, load)
    publish_model(database, load)
    given = traffic(load, PARTITIONS, model, frames_per_message=10)
    await undisturbed(reference, given)
    await links.declare(broker_url, PARTITIONS)
    fleet = Fleet(tmp_path, url_of(database), broker_url, PARTITIONS)
    rng, messages = random.Random(11), list(given.in_turn())
    try:
        async with executing(database, broker_url) as desk, feeding(broker_url, pause_s=0.005) as send:
            for name in (fleet.start(), fleet.start()):
                await fleet.until_alive(name)
            part = -(-len(messages) // (kafka_kills + 1))
            for begin in range(0, len(messages), part):
                flowing = asyncio.create_task(send(messages[begin : begin + part]))
                if begin:
                    # anywhere between a batch read and its state kept: where, is up to chance
                    await fleet.until_moved(database, rng.randint(1, 40))
                    fleet.kill(rng.choice(sorted(fleet.processes)))
                    await fleet.until_alive(fleet.start())
                await flowing
            await until_done(database, given.last_seqs, fleet, 600)
            await desk.until_told(database)
            assert fleet.started == 2 + kafka_kills, "no worker ended by itself"
            for name in sorted(fleet.processes):
                assert await asyncio.to_thread(fleet.stop, name) == 0, fleet.log_of(name)[-4_000:]
    finally:
        fleet.close()
    assert hashes(database) == hashes(reference)
    assert hashes(database)["fills"][0] > kafka_fills // 8
    entered = orders(database)
    assert sorted(entered) == sorted(signals(reference)), "one entry for each signal"
    with database.connect() as connection:
        for log in (decision_store.DECISIONS, decision_store.OUTCOMES):
            for number in range(CHAIN_COUNT):
                assert decision_store.verify_chain(connection, log, number).finding is None
    assert set(given.last_seqs.items()) <= set(progress(database).items())


def signals(database: sa.Engine) -> list[str]:
    with database.connect() as connection:
        return [str(row.id) for row in connection.execute(sa.text("SELECT id FROM consensus_signals"))]


async def test_workers_that_come_before_the_feed_find_their_partitions(
    broker_url: str, new_database: Callable[[], sa.Engine], tmp_path: Path
) -> None:
    fleet = Fleet(tmp_path, url_of(new_database()), broker_url, PARTITIONS)
    try:
        first, second = fleet.start(), fleet.start()
        for name in (first, second):
            await fleet.until_alive(name)
        assert await asyncio.to_thread(fleet.stop, first) == 0, fleet.log_of(first)
        await fleet.until_said(second, "partitions=[0, 1, 2, 3]")
    finally:
        fleet.close()


async def test_topics_are_declared_once_and_another_division_is_refused(broker_url: str) -> None:
    await links.declare(broker_url, PARTITIONS)
    await links.declare(broker_url, PARTITIONS)
    with pytest.raises(links.WrongTopicError, match=r"c\.fills\.v1 has 4 partitions; .* asks for 8"):
        await links.declare(broker_url, 8)
