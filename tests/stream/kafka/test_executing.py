"""What was decided is executed once, by the one who owns the account, within limits that all entries share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from executor_desk import executor_of, orders

from sigmapilot_core.adapters.postgres.partition_store import FencedError
from sigmapilot_stream.executor import LATEST_ENTRY_MS, Executor
from sigmapilot_stream.kafka.executing import Executing, Work
from sigmapilot_stream.records import IntentRecord, SignalRecord
from tests.domain.engine.engine_builders import T0


class Link:
    """A group member that is never asked for messages."""

    def __init__(self) -> None:
        self.committed: list[dict[Any, int]] = []

    async def commit(self, offsets: dict[Any, int]) -> None:
        self.committed.append(offsets)


async def nobody(_: object) -> None:
    return None


async def taken(database: sa.Engine, owner: str = "a") -> tuple[Executing, Executor]:
    executor = executor_of(database)
    found = Executing(Link(), executor, database, "paper", owner, nobody)
    await found.take()
    return found, executor


def enter(order: int, coin: str = "BTC", at_ms: int = T0, usd: float = 1_000.0, source: str = "0-of-4") -> Work:
    signal = SignalRecord(
        f"00000000-0000-4000-8000-{order:06d}{abs(hash(source)) % 10**6:06d}", coin, "long", 50_000.0, 49_000.0,
        52_000.0, usd, 3, 3, 2.5, 0.6, 0.4, 0.02, None, "kelly", 0.01, 0.5, 1, at_ms,
    )  # fmt: skip
    book = ((("49999", "50"),), (("50001", "50"),))
    return Work(
        IntentRecord("paper", "enter", at_ms, coin, signal, *book, seq=order // 1000, source=source, order=order),
        order + 1,
    )


def refused(database: sa.Engine) -> list[str]:
    with database.connect() as connection:
        return list(
            connection.execute(sa.text("SELECT error_message FROM execution_logs WHERE status = 'rejected'")).scalars()
        )


async def test_what_is_told_again_is_done_once_also_by_the_next_owner(new_database: Callable[[], sa.Engine]) -> None:
    database = new_database()
    first, _ = await taken(database)
    for work in (enter(1_000), enter(1_000), enter(1_001, "ETH"), enter(1_000), enter(1_000, "C1", source="1-of-4")):
        await first.handle(work)
    assert first.skipped == 2
    assert len(orders(database)) == 3
    second, executor = await taken(database, "b")
    for work in (enter(1_000), enter(1_001, "ETH"), enter(2_000, "C2")):
        await second.handle(work)
    assert second.skipped == 2
    assert len(orders(database)) == 4
    assert [trip.signal.coin for trip in executor.desk.trips] == ["BTC", "C1", "ETH"]
    # what the positions taken over are worth is not known before their first mark
    assert refused(database) == ["leverage: equity is not known; exposure: equity is not known"]


async def test_whoever_was_taken_for_dead_orders_nothing(new_database: Callable[[], sa.Engine]) -> None:
    database = new_database()
    zombie, _ = await taken(database, "zombie")
    await taken(database, "owner")
    with pytest.raises(FencedError, match="exec-paper: epoch 1 of zombie is over"):
        await zombie.handle(enter(1_000))
    assert orders(database) == []


async def test_an_entry_on_prices_of_another_moment_is_refused_for_the_record(
    new_database: Callable[[], sa.Engine],
) -> None:
    database = new_database()
    found, _ = await taken(database)
    await found.handle(enter(1_000, at_ms=T0 + LATEST_ENTRY_MS + 1))
    await found.handle(enter(1_000, "ETH", at_ms=T0, source="1-of-4"))
    await found.handle(enter(2_000, "C1", at_ms=T0 + 1, source="1-of-4"))
    assert refused(database) == ["the decision is 10.0 s older than the newest thing known of the account"]
    assert len(orders(database)) == 3


async def test_entries_decided_at_once_in_different_partitions_stay_within_the_shared_limits(
    new_database: Callable[[], sa.Engine],
) -> None:
    database = new_database()
    found, executor = await taken(database)
    limit = executor._params.risk.max_positions
    for n in range(limit + 1):
        await found.handle(enter(1_000, f"C{n}" if n < 10 else "BTC", source=f"{n}-of-16"))
    assert len(executor.desk.trips) == limit
    assert refused(database) == [f"concurrency: {limit:.0f} positions open, {limit:g} are allowed"]


async def test_exposure_is_that_of_the_account_at_the_moment_of_the_order(
    new_database: Callable[[], sa.Engine],
) -> None:
    database = new_database()
    found, executor = await taken(database)
    account = executor.desk.account(T0)
    assert account.equity_usd is not None
    usd = account.equity_usd * executor._params.risk.max_exposure_pct * 0.7
    await found.handle(enter(1_000, "BTC", usd=usd))
    await found.handle(enter(1_000, "ETH", usd=usd, source="1-of-4"))
    assert [trip.signal.coin for trip in executor.desk.trips] == ["BTC"]
    (why,) = refused(database)
    assert "exposure: open and new positions are" in why
