"""A canary passes the whole path; an agent that is silently dead ends the process, an unreachable database does not."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from functools import partial
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
from sigmapilot_stream.services import canary, silence
from sigmapilot_stream.services.silence import SilenceWatch, SilentAgentError, Watched
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
        passed = lambda: found.passed["0"]  # noqa: E731
        await until("some came through", lambda: passed().number >= 3)
        assert passed().took_s is not None
        assert found.lost == []
        assert live.world.registry.get_sample_value("sigmapilot_canary_seconds_count")
        age = partial(live.world.registry.get_sample_value, "sigmapilot_canary_age_seconds", {"partition": "0"})
        await until("its age is told", age)
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
        monkeypatch.setattr(silence, "SILENT_S", 2.0)
        monkeypatch.setattr(run, "DRAIN_S", 0.1)
        if agent == "decide":
            monkeypatch.setattr(live.stream.decide, "_take", never)
        else:
            monkeypatch.setattr(live.stream.executor, "handle", never)
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


class Way:
    """A way through two partitions: what was sent, and what came through."""

    def __init__(self) -> None:
        self.sent_seq, self.canaries, self.sent = 7, dict[str, int](), list[Any]()

    async def submit(self, entries: list[Any]) -> None:
        self.sent += entries
        self.sent_seq += 2 * len(entries)


async def test_a_partition_that_lets_nothing_through_is_named_while_the_others_are_well() -> None:
    path, now, metrics = Way(), [0.0], Metrics(CollectorRegistry())
    path.canaries = {"0-of-2": 8, "1-of-2": 8}  # of a process before this one: nothing this one has sent
    parts: tuple[Any, ...] = (path, path, ("0-of-2", "1-of-2"), FeedClock(0), metrics)
    found = canary.CanaryService(*parts, lambda: now[0])
    for minute in range(4):
        now[0] = 60.0 * minute
        await found._send()
        path.canaries["0-of-2"] = int(path.sent[-1][2])
        now[0] += 1.0
        await found._measure()
    assert [int(payload) for _, _, payload in path.sent] == [8, 10, 12, 14], "numbers go on like those of the inputs"
    assert found.passed["0-of-2"].took_s == 1.0
    assert (found.oldest, found.lost, found.age_s("0-of-2")) == ("1-of-2", ["1-of-2"], 1.0)
    age = partial(metrics.registry.get_sample_value, "sigmapilot_canary_age_seconds")
    assert (age({"partition": "0-of-2"}), age({"partition": "1-of-2"})) == (1.0, 181.0)


class Slow:
    """An agent that has work and does not move."""

    handled_seq, sent_seq = 5, 9


class Gone:
    """A database that does not answer."""

    def connect(self) -> sa.Connection:
        raise OperationalError("SELECT 1", None, Exception("no answer"))


def watch(database: object, seconds: Callable[[], float]) -> SilenceWatch:
    agent = Watched("decide", lambda: Slow.handled_seq, lambda: Slow.sent_seq)
    return SilenceWatch([agent], database, seconds)  # type: ignore[arg-type]


async def looked(found: SilenceWatch, times: int = 20) -> None:
    """Let it look so often."""
    for _ in range(times):
        await found._look()


async def test_while_the_database_is_gone_nothing_is_silent() -> None:
    instants = itertools.count(0, 30)
    await looked(watch(Gone(), lambda: float(next(instants))))


async def test_a_slow_agent_is_not_a_silent_one(pg_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = sa.create_engine(pg_url)
    instants = itertools.count(0, 30)

    def seconds() -> float:
        # it moves, however slowly
        monkeypatch.setattr(Slow, "handled_seq", Slow.handled_seq + 1)
        monkeypatch.setattr(Slow, "sent_seq", Slow.sent_seq + 1)
        return float(next(instants))

    await looked(watch(engine, seconds))
    with pytest.raises(SilentAgentError, match="'decide'"):
        await looked(watch(engine, lambda: float(next(instants))))
    engine.dispose()
