"""Inputs are journalled whole, numbered by partition and sent where they belong; what was sent twice is the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from pathlib import Path

import orjson
import pytest
from prometheus_client import CollectorRegistry

from sigmapilot_core.adapters.journal.reader import JournalReader
from sigmapilot_core.adapters.journal.writer import JournalWriter
from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.domain.engine.share import partition_of, shares
from sigmapilot_stream.decode import SNAPSHOT, TICK
from sigmapilot_stream.kafka.shared_inputs import (
    MAX_BATCH_BYTES,
    MAX_BATCH_RECORDS,
    SNAPSHOT_VERSION,
    SharedInputs,
    chunks,
)
from sigmapilot_stream.records import InputBatch, InputRecord

COUNT = 4
FRAME = b'{"channel":"trades","data":[{"coin":"%s"}]}'


class Broker:
    """Takes messages; confirms them unless it is down."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, InputBatch]] = []
        self.is_down = False

    async def send(self, partition: int, batch: InputBatch) -> Awaitable[object]:
        self.messages.append((partition, batch))
        confirmed: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if self.is_down:
            confirmed.set_exception(ConnectionError("no broker"))
        else:
            confirmed.set_result(None)
        return confirmed

    def records(self, partition: int) -> list[InputRecord]:
        return [record for at, batch in self.messages if at == partition for record in batch.records]


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[list[JournalWriter]]:
    found = [JournalWriter(tmp_path, share.name, lambda: 0.0) for share in shares(COUNT)]
    yield found
    for journal in found:
        journal.close()


def inputs(journals: list[JournalWriter], broker: Broker) -> SharedInputs:
    return SharedInputs(shares(COUNT), journals, broker.send, Metrics(CollectorRegistry()))


async def test_every_partition_has_its_own_numbers_and_its_own_journal(
    journals: list[JournalWriter], tmp_path: Path
) -> None:
    broker = Broker()
    found = inputs(journals, broker)
    entries = [(TICK, 1, b"{}"), *(("live", 2, FRAME % coin) for coin in (b"BTC", b"ETH", b"SOL")), (TICK, 3, b"{}")]
    await found.submit(entries)
    await found.submit([("live", 4, FRAME % b"BTC")])
    for share in shares(COUNT):
        sent = broker.records(share.index)
        kept = list(JournalReader(tmp_path, share.name).read())
        assert [(r.seq, r.kind, r.received_ms, r.payload) for r in sent] == [
            (r.seq, r.kind, r.received_ms, r.payload) for r in kept
        ]
        assert [r.seq for r in sent] == list(range(len(sent)))
        assert sum(r.kind == TICK for r in sent) == 2
    btc = broker.records(partition_of("BTC", COUNT))
    assert [r.received_ms for r in btc if b"BTC" in r.payload] == [2, 4]
    assert found.sent_seq == sum(len(broker.records(i)) for i in range(COUNT)) - 1
    assert all(batch.partition == f"{at}-of-{COUNT}" for at, batch in broker.messages)


async def test_a_snapshot_is_journalled_whole_and_travels_by_its_version(
    journals: list[JournalWriter], tmp_path: Path
) -> None:
    broker = Broker()
    whole = orjson.dumps({"version": 12, "slow": "x" * 10_000})
    await inputs(journals, broker).submit([(SNAPSHOT, 5, whole)])
    for share in shares(COUNT):
        (sent,) = broker.records(share.index)
        assert (sent.kind, orjson.loads(sent.payload)) == (SNAPSHOT_VERSION, {"version": 12})
        (kept,) = JournalReader(tmp_path, share.name).read()
        assert (kept.kind, kept.payload) == (SNAPSHOT, whole)


async def test_what_the_broker_did_not_take_is_journalled_and_sent_again_under_its_number(
    journals: list[JournalWriter], tmp_path: Path
) -> None:
    broker = Broker()
    found = inputs(journals, broker)
    broker.is_down = True
    with pytest.raises(ConnectionError):
        await found.submit([("live", 1, FRAME % b"BTC")])
    broker.is_down = False
    partition = partition_of("BTC", COUNT)
    lost = broker.records(partition)
    kept = JournalReader(tmp_path, f"{partition}-of-{COUNT}").read()
    await found.resend(partition, [InputRecord(r.seq, r.kind, r.received_ms, r.payload) for r in kept])
    assert broker.records(partition) == lost * 2
    await found.submit([("live", 2, FRAME % b"BTC")])
    assert [r.seq for r in broker.records(partition)] == [0, 0, 1]


def test_messages_stay_small_and_a_large_input_travels_alone() -> None:
    small = [InputRecord(n, "live", 0, b"x") for n in range(MAX_BATCH_RECORDS + 1)]
    assert [len(chunk) for chunk in chunks(small)] == [MAX_BATCH_RECORDS, 1]
    large = InputRecord(1, "live", 0, b"x" * (MAX_BATCH_BYTES + 1))
    assert [[r.seq for r in chunk] for chunk in chunks([small[0], large, small[2]])] == [[0], [1], [2]]
    assert list(chunks([])) == []
