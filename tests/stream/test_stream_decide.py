"""Inputs are applied while the effects of earlier ones are being written; order and what counts stay the same."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry
from stream_inputs import story

from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.domain.params import Params
from sigmapilot_stream.agents import decide as module
from sigmapilot_stream.agents.decide import Channels, Decide
from sigmapilot_stream.effects import Effects, Written
from sigmapilot_stream.observe import Observer
from sigmapilot_stream.records import InputBatch, InputRecord, IntentRecord, SignalRecord
from sigmapilot_stream.worker import Worker
from tests.domain.engine.engine_builders import T0

DEADLINE_S = 20.0
RECORDS = story().records


class Slow(Decide):
    """Transactions wait until they may; what each of them holds is noted instead of written."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.transactions: list[Effects] = []
        self.may_write = threading.Event()
        self.error: Exception | None = None

        async def tell(what: object) -> None:
            self.told.append(what)

        observer = Observer(Metrics(CollectorRegistry()), Params())
        nowhere = sa.create_engine("postgresql+psycopg://")
        super().__init__(
            Worker("0", lambda: T0), nowhere, Channels(tell, tell, tell), observer, "paper", lambda _: None
        )
        self.is_live = True

    def _write(self, effects: Effects) -> Written:
        assert self.may_write.wait(DEADLINE_S)
        if self.error is not None:
            raise self.error
        self.transactions.append(effects)
        return Written(frozenset(made.decision.id for made in effects.decisions))


def one_by_one(records: Sequence[InputRecord]) -> list[InputBatch]:
    return [InputBatch("0", (record,)) for record in records]


async def sent(batches: Sequence[InputBatch], end: asyncio.Event | None = None) -> AsyncIterator[InputBatch]:
    for batch in batches:
        yield batch
    if end is not None:
        await end.wait()


async def until(ask: object) -> None:
    assert callable(ask)
    async with asyncio.timeout(DEADLINE_S):
        while not ask():
            await asyncio.sleep(0.005)


async def test_what_arrives_while_a_transaction_is_under_way_is_applied_and_becomes_the_next_one() -> None:
    agent = Slow()
    consuming = asyncio.create_task(agent.consume(sent(one_by_one(RECORDS))))
    counted = agent.worker.engine
    await until(lambda: counted.counters.fills == 3)
    assert (agent.handled_seq, agent.told) == (-1, [])
    agent.may_write.set()
    await asyncio.wait_for(consuming, DEADLINE_S)
    assert len(agent.transactions) == 2
    assert agent.handled_seq == RECORDS[-1].seq
    assert agent.handled_ms == RECORDS[-1].received_ms


async def test_what_is_written_and_told_does_not_depend_on_how_inputs_met_the_transactions() -> None:
    slow, quick = Slow(), Slow()
    for agent, batches in ((slow, one_by_one(RECORDS)), (quick, [InputBatch("0", tuple(RECORDS))])):
        consuming = asyncio.create_task(agent.consume(sent(batches)))
        await asyncio.sleep(0.01)
        agent.may_write.set()
        await asyncio.wait_for(consuming, DEADLINE_S)
    assert slow.told == quick.told
    assert [type(told) for told in slow.told if not isinstance(told, IntentRecord)] == [SignalRecord]
    decided = [[made.decision.to_json() for e in agent.transactions for made in e.decisions] for agent in (slow, quick)]
    assert decided[0] == decided[1]
    assert len(decided[0]) == 3


async def test_only_so_many_inputs_are_applied_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_APPLIED", 4)
    agent = Slow()
    consuming = asyncio.create_task(agent.consume(sent(one_by_one(RECORDS))))
    await asyncio.sleep(0.2)
    assert agent.worker.engine.counters.fills == 0  # one is being written, four wait, and the model is among them
    agent.may_write.set()
    await asyncio.wait_for(consuming, DEADLINE_S)
    assert agent.handled_seq == RECORDS[-1].seq


async def test_a_transaction_that_fails_for_good_ends_the_agent_although_nothing_more_arrives() -> None:
    agent = Slow()
    agent.error = RuntimeError("refused")
    agent.may_write.set()
    consuming = asyncio.create_task(agent.consume(sent(one_by_one(RECORDS), asyncio.Event())))
    with pytest.raises(RuntimeError, match="refused"):
        await asyncio.wait_for(consuming, DEADLINE_S)
    assert (agent.handled_seq, agent.told) == (-1, [])


async def test_an_agent_that_is_stopped_leaves_no_task_behind() -> None:
    agent = Slow()
    consuming = asyncio.create_task(agent.consume(sent(one_by_one(RECORDS), asyncio.Event())))
    agent.may_write.set()
    await until(lambda: agent.handled_seq == RECORDS[-1].seq)
    consuming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consuming
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "commit"]
