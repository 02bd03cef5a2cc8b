"""Whose positions are asked for, and when: a coin with a gap does not wait for thousands that only learn."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from stream_harness import asked, publish, rows, running, trade, until, venue

from sigmapilot_core.adapters.emulator.faults import FaultOrder
from sigmapilot_core.adapters.hyperliquid.limiter import Limiter
from sigmapilot_core.adapters.hyperliquid.pacing import ManualPace
from sigmapilot_core.adapters.hyperliquid.shared_window import budget_params
from sigmapilot_stream.services.priming import AT_ONCE, PrimingService
from tests.domain.engine.engine_builders import POOL, snapshot, trader


@dataclass
class Follower:
    """A followed trader; `member` is set for those of the pool."""

    member: object | None = None


@dataclass
class Followers:
    """As much of the engine as the service looks at."""

    traders: dict[str, Follower]
    unprimed: list[str] = field(default_factory=list)


def _service(pool: int, others: int) -> tuple[PrimingService, Followers]:
    names = [f"p{i:03}" for i in range(pool)] + [f"q{i:03}" for i in range(others)]
    engine = Followers({name: Follower(object() if name[0] == "p" else None) for name in names}, list(names))
    return PrimingService(None, engine, None, None, rolling_s=None), engine  # type: ignore[arg-type]


def test_who_never_answers_does_not_keep_others_from_being_asked() -> None:
    service, engine = _service(pool=0, others=100)
    asked = [name for _ in range(4) for name in service._turn(engine.unprimed)]
    assert sorted(asked) == engine.unprimed  # each once, in turns of at most 32
    assert service._turn(engine.unprimed) == engine.unprimed[: AT_ONCE * 4]  # then from the beginning


def test_gaps_are_looked_at_once_the_pool_was_asked_though_others_still_wait() -> None:
    service, engine = _service(pool=3, others=5_000)
    assert not service._has_asked_pool(engine.unprimed)
    service._turn(engine.unprimed)
    assert service._has_asked_pool(engine.unprimed)


def test_progress_tells_how_long_the_rest_takes_at_the_venue_s_own_limit() -> None:
    service, engine = _service(pool=0, others=10_000)
    service._budget = Limiter(budget_params(1200), ManualPace(), random.Random(1))
    assert service.progress().share == 0
    assert service.progress().minutes_left == pytest.approx(20.06, abs=0.01)  # 20 000 weight at 997 a minute
    del engine.unprimed[:9_000]
    assert (service.progress().share, service.progress().waiting) == (0.9, 1_000)
    engine.traders.clear()
    assert service.progress().share is None


# the whole stream


@pytest.mark.slow
async def test_a_position_that_vanished_closes_as_reconciled_and_the_pool_is_compared_at_once(
    tmp_path: Path, pg_url: str
) -> None:
    publish(pg_url)
    acts = [trade(1, 1_000, POOL[0]), trade(2, 90_000, POOL[1])]
    async with venue(*acts) as (emulator, url), running(tmp_path, pg_url, emulator, url, is_virtual=False) as live:
        await live.ready()
        await live.play(2_000)
        assert rows(pg_url, "SELECT status FROM position_signals") == [("open",)]
        await emulator.order_fault(FaultOrder("leader_liquidated", user=POOL[0]))
        await live.play(70_000, step_ms=10_000)  # the statement is compared once the feed has caught up with it
        before = asked(live, "rolling")
        await until("the sample came round", lambda: asked(live, "rolling") >= before + 2 * len(POOL))
        await live.play(80_000, step_ms=10_000)
        await until("it is closed", lambda: rows(pg_url, "SELECT 1 FROM position_signals WHERE status = 'closed'"))
        await until("the pool was compared", lambda: asked(live, "disagreement") >= len(POOL))
    closed = rows(pg_url, "SELECT address, closed_reason, gap FROM position_signals")
    assert closed == [(POOL[0], "reconciled", True)]
    (gap,) = rows(pg_url, "SELECT kind, address, coin FROM feed_gaps")
    assert tuple(gap) == ("ledger", POOL[0], "BTC")


@pytest.mark.slow
async def test_thousands_are_primed_while_the_pool_decides_already(tmp_path: Path, pg_url: str) -> None:
    others = [trader(n) for n in range(1_000, 1_400)]
    publish(pg_url, snapshot(tracked=sorted([*POOL, *others])))
    async with venue(trade(1, 1_000, POOL[0])) as (emulator, url):
        await emulator.order_fault(FaultOrder("http_503", user=None, request="batchClearinghouseStates"))
        async with running(tmp_path, pg_url, emulator, url, is_virtual=False) as live:
            await live.ready()
            pool = [live.stream.worker.engine.traders[user] for user in POOL]
            assert all(member.is_primed for member in pool)
            await until("everybody is primed", lambda: not live.stream.worker.engine.unprimed)
            assert asked(live, "priming") == 405
            assert live.stream.priming.batch_form.startswith("refused: batchClearinghouseStates was answered 503")
            await live.play(2_000)

            def row() -> dict[str, object]:
                return dict(rows(pg_url, "SELECT value FROM stream_status WHERE key = 'priming'")[0].value)

            await until("it is told", lambda: row()["value"] == 1.0)
            assert str(row()["detail"]).startswith("405 of 405 known; several at once: refused")
    assert rows(pg_url, "SELECT count(*) FROM tracked_traders WHERE primed_at_ms IS NOT NULL") == [(405,)]
