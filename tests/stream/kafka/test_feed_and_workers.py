"""Venue to paper account over a real broker: the feed hears and executes, two workers decide."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest
from stream_harness import DEADLINE_S, DELAY_MS, outside, publish, rows, settings_of, trade, until, venue

from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.emulator.service import Emulator
from sigmapilot_core.adapters.settings import Settings, load_settings
from sigmapilot_stream.kafka.feed_role import FeedRole
from sigmapilot_stream.kafka.worker_role import WorkerRole
from sigmapilot_stream.services import canary, silence
from sigmapilot_stream.services.silence import SilentAgentError
from tests.domain.engine.engine_builders import POOL, T0

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

TARGET = Decimal(52_500)
PATIENCE_S = 60.0
ENTRIES = """SELECT signals.symbol FROM execution_logs orders JOIN consensus_signals signals
    ON signals.id = orders.decision_id WHERE orders.leg = 'entry' ORDER BY 1"""


@dataclass
class System:
    """A feed and its workers in the test's own loop."""

    feed: FeedRole
    workers: list[WorkerRole]
    emulator: Emulator
    clock: FeedClock
    tasks: list[asyncio.Task[None]]

    def still_runs(self) -> None:
        for task in self.tasks:
            if task.done():
                task.result()
                raise AssertionError("a part has ended")

    async def play(self, to_ms: int, step_ms: int = 500) -> None:
        begin = self.emulator.parts().venue.now_ms
        for at_ms in (*range(begin + step_ms, T0 + to_ms, step_ms), T0 + to_ms):
            self.clock.advance_to(at_ms + DELAY_MS)
            await self.emulator.advance(at_ms)
            await self.emulator.parts().feed.publisher.wait_for_consumers(DEADLINE_S)
            await self.settled()

    async def settled(self) -> None:
        """Until what was sent is decided, by the workers' own reports."""
        for _ in range(50):
            await asyncio.sleep(0)
        await self.feed.feed.emptied()
        await until("everything is decided", lambda: self.feed.is_idle or self.has_ended(), PATIENCE_S)
        self.still_runs()

    def has_ended(self) -> bool:
        return any(task.done() for task in self.tasks)


def settings(home: Path, database_url: str, venue_url: str, broker_url: str) -> Settings:
    found = settings_of(home, database_url, venue_url)
    return replace(
        found,
        broker_url=load_settings({"SIGMAPILOT_BROKER_URL": broker_url}, environ={}).broker_url,
        stream_partitions=2,
    )


@asynccontextmanager
async def system(given: Settings, emulator: Emulator, start_ms: int = T0) -> AsyncIterator[System]:
    clock = FeedClock(start_ms + DELAY_MS)
    world = outside(given, clock)
    feed, stop = FeedRole(world), asyncio.Event()
    workers = [WorkerRole(given, f"worker-{number}", 0, 1.0) for number in (1, 2)]
    tasks = [asyncio.create_task(part.run(stop)) for part in (feed, *workers)]
    found = System(feed, workers, emulator, clock, tasks)
    try:
        yield found
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_S)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await world.close()


async def test_votes_become_a_signal_a_paper_fill_and_an_outcome(tmp_path: Path, pg_url: str, broker_url: str) -> None:
    publish(pg_url)
    acts = [trade(n, 1_000 * n, user) for n, user in enumerate(POOL[:3], start=1)]
    other = [trade(20 + n, 1_200 * n, user, coin="ETH", px=Decimal(2_500)) for n, user in enumerate(POOL[:2], start=1)]
    late = [trade(30, 6_000, POOL[3], coin="ETH", px=Decimal(2_500))]
    async with venue(*sorted([*acts, *other, *late], key=lambda one: one.time_ms)) as (emulator, url):
        given = settings(tmp_path, pg_url, url, broker_url)
        async with system(given, emulator) as live:
            await until("it is ready", lambda: live.feed.health.was_ready or live.has_ended(), PATIENCE_S)
            live.still_runs()
            await live.play(5_000)
            decided = rows(pg_url, "SELECT symbol, decision_type, agreeing_count FROM decision_logs ORDER BY 1, 3")
            assert [tuple(row) for row in decided] == [
                ("BTC", "skip", 1), ("BTC", "skip", 2), ("BTC", "signal", 3), ("ETH", "skip", 1), ("ETH", "skip", 2),
            ]  # fmt: skip
            await until("the entry is made", lambda: rows(pg_url, "SELECT 1 FROM live_positions"))
            (entry,) = rows(pg_url, "SELECT leg, status, fill_price FROM execution_logs")
            assert tuple(entry) == ("entry", "filled", 50_005.0)
            partitions = {share for worker in live.workers for share in worker.seats.seats}
            assert partitions == {0, 1}
        before = rows(pg_url, "SELECT count(*) FROM fills")
        async with system(given, emulator, T0 + 5_000) as again:
            await until("it is ready again", lambda: again.feed.health.was_ready or again.has_ended(), PATIENCE_S)
            again.still_runs()
            assert rows(pg_url, "SELECT count(*) FROM fills") == before
            await again.play(7_000)
            ((fills,),) = rows(pg_url, "SELECT count(*) FROM fills")
            assert fills == before[0][0] + 1
            # nothing was missed meanwhile: the votes of before the restart count, and make three with the new one
            await until("the second entry is made", lambda: len(rows(pg_url, ENTRIES)) == 2, PATIENCE_S)
    assert [row.symbol for row in rows(pg_url, ENTRIES)] == ["BTC", "ETH"]
    assert {row.partition for row in rows(pg_url, "SELECT partition FROM stream_partitions")} == {"0-of-2", "1-of-2"}


async def never(_: object) -> None:
    """An agent that was given work and does nothing any more."""
    await asyncio.Event().wait()


async def test_a_canary_passes_every_partition_and_a_worker_that_is_silently_dead_is_noticed_and_ends_itself(
    tmp_path: Path, pg_url: str, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary, "EVERY_S", 0.5)
    publish(pg_url)
    async with venue() as (emulator, url):
        given = settings(tmp_path, pg_url, url, broker_url)
        with pytest.raises(SilentAgentError, match=r"the agent 'decide \d-of-2'"):
            await silenced(given, emulator, monkeypatch)


async def silenced(given: Settings, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence the agents of one worker; first the feed misses its canaries, then it ends."""
    async with system(given, emulator) as live:
        found = live.feed.canary
        came = lambda: all(passed.number for passed in found.passed.values())  # noqa: E731
        await until("a canary passed both", lambda: came() or live.has_ended(), PATIENCE_S)
        live.still_runs()
        assert sorted(found.passed) == ["0-of-2", "1-of-2"]
        await until("what waits is told", lambda: set(live.feed.health.inputs_lag) == set(found.passed), PATIENCE_S)
        monkeypatch.setattr(canary, "LIMIT_S", 2.0)
        monkeypatch.setattr(silence, "SILENT_S", 8.0)
        worker = live.workers[0]
        monkeypatch.setattr(worker.seats, "handle", never)
        lost = lambda: [text for text in live.feed.missing() if "let no canary through" in text]  # noqa: E731
        await until("the feed misses it", lambda: lost() or live.has_ended(), PATIENCE_S)
        live.still_runs()
        assert max(worker.lags.messages.values()) > 0
        lag = [
            value for one in worker.registry.collect() if one.name == "sigmapilot_consumer_lag" for value in one.samples
        ]
        assert max(sample.value for sample in lag) > 0
        await until("the worker ends itself", live.has_ended, PATIENCE_S)
        live.still_runs()
