"""The executor of the paper account over a broker, in the test's own loop, without a venue."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from benchmarks.traffic import Load
from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.adapters.postgres import execution_store
from sigmapilot_core.domain.execution.desk import PaperDesk
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.venue import AssetSpec
from sigmapilot_stream.executor import Executor
from sigmapilot_stream.kafka import links
from sigmapilot_stream.kafka.executing import Executing, Work

EQUITY = Decimal(1_000_000)


@dataclass
class Heard:
    """Inputs the executor would have given the decision step: in these tests the account is part of the traffic."""

    entries: list[Any] = field(default_factory=list)

    async def submit(self, entries: Sequence[Any]) -> None:
        self.entries += entries


@dataclass
class Desk:
    """A running executor."""

    executor: Executor
    executing: Executing

    async def until_told(self, database: sa.Engine, seconds: float = 60.0) -> None:
        """Until every signal has its entry order."""
        deadline = time.monotonic() + seconds
        while (missing := without_order(database)) > 0:
            assert time.monotonic() < deadline, f"{missing} signals have no order after {seconds:g} s"
            await asyncio.sleep(0.2)


def executor_of(database: sa.Engine) -> Executor:
    """The account as the database has it."""
    specs = {coin: AssetSpec(coin, 5, 50) for coin in Load(0, 0).names}
    params, metrics = Params(), Metrics(CollectorRegistry())
    with database.begin() as connection:
        desk = PaperDesk(specs, params.costs.taker_fee_bps, execution_store.read_desk(connection, EQUITY))
        risk = execution_store.read_risk(connection)

    async def nobody(_: object) -> None:
        return None

    return Executor(database, desk, risk, params, Heard(), nobody, metrics)


@asynccontextmanager
async def executing(database: sa.Engine, broker_url: str) -> AsyncIterator[Desk]:
    """An executor that reads the intents until the end of the block."""
    executor = executor_of(database)
    link = links.consumer(broker_url, "test-executor", "test-executor")
    await link.start()
    found: Executing

    async def handle(work: Work) -> None:
        await found.handle(work)

    found = Executing(link, executor, database, "paper", "test", handle)
    await found.take()
    task = asyncio.create_task(found.run())
    try:
        yield Desk(executor, found)
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await link.stop()


def without_order(database: sa.Engine) -> int:
    """Signals that no entry order was written for."""
    with database.connect() as connection:
        return int(
            connection.execute(
                sa.text(
                    "SELECT count(*) FROM consensus_signals s WHERE NOT EXISTS ("
                    "SELECT 1 FROM execution_logs o WHERE o.decision_id = s.id AND o.leg = 'entry')"
                )
            ).scalar_one()
        )


def orders(database: sa.Engine) -> list[str]:
    """Decision of every entry order."""
    with database.connect() as connection:
        rows = connection.execute(sa.text("SELECT decision_id FROM execution_logs WHERE leg = 'entry'"))
        return [str(row.decision_id) for row in rows]
