"""A partition goes from owner to owner: nothing is lost or doubled, and who was taken for dead writes nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa
from kafka_world import Traffic, hashes, publish_model, traffic
from prometheus_client import CollectorRegistry

from benchmarks.traffic import Load
from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.adapters.postgres import decision_store, partition_store
from sigmapilot_core.adapters.postgres.partition_store import FencedError
from sigmapilot_core.domain.consensus.chain import CHAIN_COUNT
from sigmapilot_core.domain.params import Params
from sigmapilot_stream.agents.decide import Channels
from sigmapilot_stream.kafka.seat import HoleError, Place, Seat
from sigmapilot_stream.observe import Observer
from sigmapilot_stream.records import InputBatch, IntentRecord

LOAD = Load(500, 0.3, voters=60, order_ms=40)


@dataclass
class Heard:
    """What was told on the channels."""

    records: list[Any] = field(default_factory=list)

    async def __call__(self, record: Any) -> None:
        self.records.append(record)

    @property
    def work(self) -> list[IntentRecord]:
        """Entries and exits, without markets and time."""
        return [r for r in self.records if isinstance(r, IntentRecord) and r.kind in ("enter", "opposite")]


def place(database: sa.Engine, heard: Heard, owner: str = "a", every_s: float = 1e9, code: str = "code") -> Place:
    observer = Observer(Metrics(CollectorRegistry()), Params())
    return Place(database, Channels(heard, heard, heard), observer, "paper", owner, code, lambda: 0, every_s)


async def undisturbed(database: sa.Engine, given: Traffic) -> Heard:
    """All partitions by one owner, message by message."""
    heard = Heard()
    for share, messages in zip(given.shares, given.messages, strict=True):
        seat = Seat(share, place(database, heard))
        for offset, batch in enumerate(messages, start=1):
            await seat.handle(batch, offset)
        await seat.leave()
    return heard


@pytest.fixture
def engine(new_database: Callable[[], sa.Engine]) -> sa.Engine:
    return new_database()


@pytest.mark.slow
async def test_owners_that_die_anywhere_leave_what_one_owner_leaves(new_database: Callable[[], sa.Engine]) -> None:
    reference, disturbed = new_database(), new_database()
    model = publish_model(reference, LOAD)
    assert publish_model(disturbed, LOAD) == model
    given = traffic(LOAD, 2, model)
    expected = await undisturbed(reference, given)
    rng, heard = random.Random(5), Heard()
    for share, messages in zip(given.shares, given.messages, strict=True):
        offset, deaths = 0, 0
        while offset < len(messages):
            seat = Seat(share, place(disturbed, heard, f"owner-{deaths}", every_s=0 if rng.random() < 0.3 else 1e9))
            end, is_killed = min(len(messages), offset + rng.randint(1, 12)), rng.random() < 0.7
            for at in range(offset, end):
                if await seat.handle(messages[at], at + 1):
                    offset = at + 1
            # what was not kept is read again by the next owner, from the last offset the group knows
            offset = offset if is_killed else await seat.leave() or offset
            deaths += is_killed
        assert deaths > 5
    assert hashes(disturbed) == hashes(reference)
    assert hashes(reference)["decision_logs"][0] > 20
    told = {(intent.source, intent.order): intent for intent in heard.work}
    assert sorted(told) == sorted((intent.source, intent.order) for intent in expected.work)
    with reference.connect() as connection:
        for number in range(CHAIN_COUNT):
            assert decision_store.verify_chain(connection, decision_store.DECISIONS, number).finding is None


async def test_a_zombie_is_refused_and_the_owner_is_not_disturbed(engine: sa.Engine) -> None:
    given = traffic(LOAD, 1, publish_model(engine, LOAD))
    (messages,), (share,) = given.messages, given.shares
    zombie, owner = Seat(share, place(engine, Heard(), "zombie")), Seat(share, place(engine, Heard(), "owner"))
    for at in range(6):
        await zombie.handle(messages[at], at + 1)
    for at in range(6):
        await owner.handle(messages[at], at + 1)
    before = hashes(engine)
    with pytest.raises(FencedError, match="epoch 1 of zombie"):
        await zombie.handle(InputBatch(share.name, sum((batch.records for batch in messages[6:12]), ())), 12)
    assert hashes(engine) == before
    with pytest.raises(FencedError):
        await zombie.leave()
    for at in range(6, 12):
        await owner.handle(messages[at], at + 1)
    with engine.connect() as connection:
        assert partition_store.read_progress(connection)[share.name] == messages[11].records[-1].seq


async def test_what_is_sent_twice_counts_once(new_database: Callable[[], sa.Engine]) -> None:
    reference, doubled = new_database(), new_database()
    given = traffic(LOAD, 1, publish_model(reference, LOAD))
    publish_model(doubled, LOAD)
    await undisturbed(reference, given)
    (messages,), (share,) = given.messages, given.shares
    seat = Seat(share, place(doubled, Heard()))
    for at in range(len(messages)):
        for again in range(max(0, at - 2), at + 1):
            await seat.handle(messages[again], again + 1)
    await seat.leave()
    assert hashes(doubled) == hashes(reference)


async def test_a_hole_is_an_error_that_names_it(engine: sa.Engine) -> None:
    given = traffic(LOAD, 1, publish_model(engine, LOAD))
    (messages,), (share,) = given.messages, given.shares
    seat = Seat(share, place(engine, Heard()))
    await seat.handle(messages[0], 1)
    missing = messages[0].records[-1].seq + 1
    with pytest.raises(HoleError, match=f"waits for input {missing}, got {messages[2].records[0].seq}"):
        await seat.handle(messages[2], 3)
    with pytest.raises(HoleError, match="got inputs of 3-of-4"):
        await seat.handle(InputBatch("3-of-4", messages[1].records), 2)


async def test_a_state_of_other_code_is_not_believed_and_nobody_counts_until_he_is_asked_again(
    engine: sa.Engine,
) -> None:
    given = traffic(LOAD, 1, publish_model(engine, LOAD))
    (messages,), (share,) = given.messages, given.shares
    seat = Seat(share, place(engine, Heard(), every_s=0))
    for at in range(40):
        await seat.handle(messages[at], at + 1)
    held = {key: s.state for key, s in seats_of(seat).items()}
    other = Seat(share, place(engine, Heard(), "b", code="newer"))
    await other.handle(messages[40], 41)
    assert other.is_rebuilt
    assert len(other.worker.engine.unprimed) == len(other.worker.engine.traders) == 200
    assert {key: s.state for key, s in seats_of(other).items()}.keys() >= held.keys() != set()
    assert other.worker.snapshot_version == seat.worker.snapshot_version


def seats_of(seat: Seat) -> dict[tuple[str, str], Any]:
    return {
        (trader.address, coin): one
        for trader in seat.worker.engine.traders.values()
        for coin, one in trader.seats.items()
    }


async def test_a_seat_that_was_left_takes_nothing_more(engine: sa.Engine) -> None:
    given = traffic(LOAD, 1, publish_model(engine, LOAD))
    (messages,), (share,) = given.messages, given.shares
    seat = Seat(share, place(engine, Heard()))
    assert await seat.leave() is None
    assert not await seat.handle(messages[0], 1)
    with engine.connect() as connection:
        assert partition_store.read_progress(connection) == {}


async def test_a_partition_is_left_when_the_batch_under_way_is_done(engine: sa.Engine) -> None:
    given = traffic(LOAD, 1, publish_model(engine, LOAD))
    (messages,), (share,) = given.messages, given.shares
    seat = Seat(share, place(engine, Heard()))
    running = asyncio.create_task(seat.handle(messages[0], 1))
    await asyncio.sleep(0)
    assert await seat.leave() == 1
    assert running.done()
    with engine.connect() as connection:
        assert partition_store.read_progress(connection)[share.name] == messages[0].records[-1].seq
