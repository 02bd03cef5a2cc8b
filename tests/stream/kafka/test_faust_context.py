"""The agent of a partition in Faust's own test context: each batch put in is committed before the next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from kafka_world import hashes, publish_model, traffic
from test_seat import Heard, place, undisturbed

from benchmarks.traffic import Load
from sigmapilot_core.adapters.postgres import partition_store
from sigmapilot_stream import app as faust_app
from sigmapilot_stream.kafka.seat import Seat
from sigmapilot_stream.kafka.seats import Delivery, Seats

LOAD = Load(60, 0.3, voters=60, order_ms=40)


class Link:
    """A group member that only commits."""

    def __init__(self) -> None:
        self.offsets: dict[Any, int] = {}

    async def commit(self, offsets: dict[Any, int]) -> None:
        self.offsets.update(offsets)


async def test_the_agent_commits_each_batch_and_then_moves_the_group_on(
    new_database: Callable[[], sa.Engine], tmp_path: Path
) -> None:
    reference, database = new_database(), new_database()
    given = traffic(LOAD, 1, publish_model(reference, LOAD))
    publish_model(database, LOAD)
    await undisturbed(reference, given)
    (messages,), (share,) = given.messages, given.shares
    where, link = place(database, Heard(), every_s=0), Link()

    async def nobody(_partition: int, _delivery: Delivery) -> None:
        return None

    seats, seat = Seats(link, given.shares, where, nobody), Seat(share, where)

    async def decide(stream: Any) -> Any:
        async for delivery in stream:
            await seats.handle(delivery)
            yield delivery.next_offset

    app = faust_app.local_app(tmp_path / "faust")
    app.conf.store = "memory://"
    agent: Any = app.agent(faust_app.local_channel(app, 2), name="decide")(decide)
    async with agent.test_context() as tested:
        for offset, batch in enumerate(messages, start=1):
            event = await tested.put(Delivery(seat, batch, offset))
            assert tested.results[event.message.offset] == offset
            with database.connect() as connection:
                assert partition_store.read_progress(connection)[share.name] == batch.records[-1].seq
            (moved,) = link.offsets.values()
            assert 1 <= moved <= offset, "never ahead of what is kept"
    assert hashes(database) == hashes(reference)
