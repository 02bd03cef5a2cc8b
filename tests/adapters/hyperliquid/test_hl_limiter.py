"""The budget of 1200 weight in any 60 seconds (spec section 4.1) is kept, and exits go first."""

import asyncio
import random

import pytest
from hl_strategies import quick
from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.adapters.hyperliquid.limiter import Limiter, LimiterParams, Priority, SyncLimiter, WeightWindow
from sigmapilot_core.adapters.hyperliquid.pacing import ManualPace

PLAIN = LimiterParams(limit=100, margin=20, shares=dict.fromkeys(list(Priority)[1:], 1.0))


def limiter(pace: ManualPace, params: LimiterParams = PLAIN) -> Limiter:
    return Limiter(params, pace, random.Random(1))


async def test_requests_beyond_the_budget_wait_until_the_window_has_moved_on():
    pace = ManualPace()
    budget = limiter(pace)
    for _ in range(4):
        await budget.acquire(20, Priority.PRIMING)
    late = asyncio.create_task(budget.acquire(20, Priority.PRIMING))
    await pace.advance(59)
    assert not late.done()
    await pace.advance(1.5)
    assert late.done()


async def test_an_exit_may_use_the_margin_that_others_leave():
    pace = ManualPace()
    budget = limiter(pace)
    await budget.acquire(80, Priority.BACKFILL)
    ticket = await asyncio.wait_for(budget.acquire(20, Priority.EXIT), 1)
    assert ticket.weight == 20
    assert budget.status().used == 100


async def test_waiting_requests_go_by_priority_then_by_arrival():
    pace = ManualPace()
    budget = limiter(pace)
    await budget.acquire(80, Priority.OWN_ORDER)
    done: list[str] = []

    async def ask(name: str, priority: Priority) -> None:
        await budget.acquire(30, priority)
        done.append(name)

    names = {"backfill": 4, "priming a": 3, "priming b": 3, "order": 1}
    tasks = [asyncio.create_task(ask(name, Priority(p))) for name, p in names.items()]
    await pace.advance(200)
    assert done == ["order", "priming a", "priming b", "backfill"]
    await asyncio.gather(*tasks)


async def test_a_429_pauses_everything_but_exits():
    pace = ManualPace()
    budget = limiter(pace)
    pause = budget.throttle()
    assert 5 <= pause <= 30
    await asyncio.wait_for(budget.acquire(1, Priority.EXIT), 1)
    waiting = asyncio.create_task(budget.acquire(1, Priority.OWN_ORDER))
    await pace.advance(pause - 0.1)
    assert not waiting.done()
    assert budget.status().throttled == 1
    await pace.advance(1.2)
    await asyncio.wait_for(waiting, 1)


async def test_a_correction_frees_or_books_the_difference():
    pace = ManualPace()
    budget = limiter(pace)
    ticket = await budget.acquire(70, Priority.BACKFILL)
    budget.correct(ticket, 25)
    assert budget.status().used == 25
    budget.correct(ticket, 120)
    assert budget.status().used == 120
    await pace.advance(61)
    budget.correct(ticket, 10)
    assert budget.status().used == 0


async def test_a_cancelled_request_gives_its_place_up():
    pace = ManualPace()
    budget = limiter(pace)
    await budget.acquire(80, Priority.OWN_ORDER)
    head = asyncio.create_task(budget.acquire(80, Priority.OWN_STATE))
    behind = asyncio.create_task(budget.acquire(10, Priority.PRIMING))
    await pace.advance(0.1)
    head.cancel()
    await pace.advance(61)
    assert behind.done()
    assert budget.status().waiting == {}


async def test_a_request_that_can_never_fit_is_refused_with_its_weight():
    with pytest.raises(ValueError, match="weight is 81"):
        await limiter(ManualPace()).acquire(81, Priority.BACKFILL)


def test_a_margin_as_large_as_the_limit_is_refused():
    with pytest.raises(ValueError, match="margin is 10"):
        LimiterParams(limit=10, margin=10)


@quick
@given(st.lists(st.tuples(st.floats(0, 20), st.integers(1, 40), st.sampled_from(Priority)), max_size=60))
def test_no_window_of_sixty_seconds_ever_holds_more_than_the_limit(asks):
    window, now = WeightWindow(PLAIN, random.Random(1)), 0.0
    charged: list[tuple[float, int]] = []
    for gap, weight, priority in asks:
        now += gap
        while (delay := window.wait_s(weight, priority, now)) > 0:
            now += delay
        window.charge(weight, now)
        charged.append((now, weight))
    for at, _ in charged:
        assert sum(w for t, w in charged if at - 60 < t <= at) <= PLAIN.limit


def test_the_limiter_for_threads_keeps_the_same_budget():
    clock = [0.0]
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        clock[0] += seconds

    budget = SyncLimiter(PLAIN, lambda: clock[0], nap, random.Random(1))
    for _ in range(4):
        budget.acquire(20, Priority.BACKFILL)
    budget.acquire(20, Priority.BACKFILL)
    assert clock[0] == pytest.approx(60.0)
    ticket = budget.acquire(5, Priority.EXIT)
    budget.correct(ticket, 7)
    assert budget.throttle(retry_after_s=40.0) == 40.0
