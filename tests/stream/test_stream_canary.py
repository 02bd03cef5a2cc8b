"""A canary passes the whole path; an agent that is silently dead ends the process, an unreachable database does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import OperationalError
from stream_harness import publish, rows, running, trade, until, venue

from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.emulator.service import Emulator
from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_stream import run
from sigmapilot_stream.services import canary
from sigmapilot_stream.services.canary import SilentAgentError
from tests.domain.engine.engine_builders import POOL


async def never(_: object) -> None:
    """An agent that was given work and does nothing any more."""
    await asyncio.Event().wait()


async def test_a_canary_passes_journal_decision_commit_and_account(
    tmp_path: Path, pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary, "EVERY_S", 0.1)
    publish(pg_url)
    async with venue() as (emulator, url), running(tmp_path, pg_url, emulator, url) as live:
        await live.ready()
        found = live.stream.canary
        await until("three came through", lambda: found.passed >= 3)
        assert found.took_s is not None
        assert live.world.registry.get_sample_value("sigmapilot_canary_seconds_count")
        await until("its age is told", lambda: live.world.registry.get_sample_value("sigmapilot_canary_age_seconds"))
        await until("the page can see it", lambda: path_row(pg_url) not in (None, {}) and path_row(pg_url)["value"])
        (journalled,) = rows(pg_url, "SELECT seq FROM stream_progress")
        assert journalled.seq > 3


def path_row(url: str) -> dict[str, object] | None:
    found = rows(url, "SELECT value FROM stream_status WHERE key = 'path'")
    return found[0].value if found else None


async def until_noticed(
    home: Path, pg_url: str, emulator: Emulator, url: str, agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence an agent while the venue goes on; the stream ends by itself."""
    monkeypatch.setattr(canary, "EVERY_S", 0.2)
    async with running(home, pg_url, emulator, url) as live:
        await live.ready()
        await live.play(1_500)
        monkeypatch.setattr(canary, "SILENT_S", 0.5)
        monkeypatch.setattr(run, "DRAIN_S", 0.1)
        monkeypatch.setattr(live.stream.decide if agent == "decide" else live.stream.executor, "handle", never)
        await live.emulator.advance(live.emulator.parts().venue.now_ms + 1_000)
        await asyncio.wait([live.task], timeout=20)


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["decide", "execute"])
async def test_an_agent_that_is_silently_dead_ends_the_process_and_the_next_one_loses_nothing(
    tmp_path: Path, pg_url: str, monkeypatch: pytest.MonkeyPatch, agent: str
) -> None:
    publish(pg_url)
    async with venue(trade(1, 1_000), trade(2, 2_000, POOL[1])) as (emulator, url):
        with pytest.raises(SilentAgentError, match=f"the agent '{agent}' did nothing"):
            await until_noticed(tmp_path, pg_url, emulator, url, agent, monkeypatch)
        monkeypatch.undo()
        async with running(tmp_path, pg_url, emulator, url) as live:
            await live.ready()
            await live.play(3_000)
    assert [row.tid for row in rows(pg_url, "SELECT tid FROM fills ORDER BY tid")] == [1, 2]


class Slow:
    """A part of the stream that has work and does not move."""

    handled_seq, handled, canary, sent_seq = 5, 5, 0, 9

    async def submit(self, _: object) -> int:
        return 0


class Gone:
    """A database that does not answer."""

    def connect(self) -> sa.Connection:
        raise OperationalError("SELECT 1", None, Exception("no answer"))


def service(database: object, seconds: Callable[[], float]) -> canary.CanaryService:
    slow, metrics = Slow(), Metrics(CollectorRegistry())
    parts: tuple[Any, ...] = (slow, slow, slow, database, FeedClock(0), metrics)
    return canary.CanaryService(*parts, lambda: 5, seconds)


async def looked(found: canary.CanaryService, monkeypatch: pytest.MonkeyPatch, times: int = 20) -> None:
    """Let it look so often."""
    count = 0
    real: Callable[[float], Awaitable[None]] = asyncio.sleep
    enough = asyncio.Event()

    async def sleep(seconds: float) -> None:
        nonlocal count
        count += 1
        if count > times:
            enough.set()
        await real(0)

    with monkeypatch.context() as patch:
        patch.setattr(canary.asyncio, "sleep", sleep)
        task = asyncio.create_task(found.run())
        await asyncio.wait([task, asyncio.create_task(enough.wait())], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_while_the_database_is_gone_nothing_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    instants = iter(range(0, 100_000, 30))
    await looked(service(Gone(), lambda: float(next(instants))), monkeypatch)


async def test_a_slow_agent_is_not_a_silent_one(pg_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = sa.create_engine(pg_url)
    instants = iter(range(0, 100_000_000, 30))

    def seconds() -> float:
        # it moves, however slowly
        monkeypatch.setattr(Slow, "handled_seq", Slow.handled_seq + 1)
        monkeypatch.setattr(Slow, "sent_seq", Slow.sent_seq + 1)
        return float(next(instants))

    await looked(service(engine, seconds), monkeypatch)
    with pytest.raises(SilentAgentError, match="'decide'"):
        # each look asks the database in a thread: that takes turns of the loop
        await looked(service(engine, lambda: float(next(instants))), monkeypatch, times=100_000)
    engine.dispose()
