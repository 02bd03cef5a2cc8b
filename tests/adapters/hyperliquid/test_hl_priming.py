"""Positions plus the fills after their time give the truth, whatever arrives while they are fetched."""

import asyncio
import random
from decimal import Decimal

import httpx
import orjson
import pytest
from hl_strategies import quick
from hypothesis import given
from hypothesis import strategies as st

from sigmapilot_core.adapters.hyperliquid import encode_account, priming
from sigmapilot_core.adapters.hyperliquid.limiter import Limiter, LimiterParams
from sigmapilot_core.adapters.hyperliquid.pacing import LoopPace, ManualPace
from sigmapilot_core.adapters.hyperliquid.priming import NotPrimed, Primed, Primer, PrimingBuffer, disagreements
from sigmapilot_core.adapters.hyperliquid.rest import Info, RestParams
from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.venue import AccountState, Position

USERS = ["0x" + f"{n:040x}" for n in range(1, 6)]
FAST = RestParams("http://127.0.0.1:1", attempts=2, wait_initial_s=0.001, wait_max_s=0.002, wait_jitter_s=0.001)


def fill(user: str, at: int, size: int, tid: int | None = None) -> Fill:
    return Fill(user, "BTC", size > 0, Decimal(100), Decimal(abs(size)), at, tid or at, True)


def state(user: str, at: int, size: int) -> AccountState:
    positions = (Position("BTC", Decimal(size), Decimal(100)),) if size else ()
    return AccountState(user, at, Decimal(1000), Decimal(1), Decimal(1), positions)


@quick
@given(st.lists(st.tuples(st.integers(1, 100), st.integers(-5, 5).filter(bool)), max_size=30), st.integers(0, 100))
def test_snapshot_plus_later_fills_is_the_truth_for_any_snapshot_time(moves, snapshot_ms):
    fills = [fill(USERS[0], at, size, tid) for tid, (at, size) in enumerate(sorted(moves), start=1)]
    at_snapshot = sum(f.signed_size for f in fills if f.time_ms <= snapshot_ms)
    buffer = PrimingBuffer()
    buffer.expect(USERS[0])
    assert all(buffer.holds(f) for f in fills)
    primed = buffer.release(state(USERS[0], snapshot_ms, int(at_snapshot)))
    assert isinstance(primed, Primed)
    assert at_snapshot + sum(f.signed_size for f in primed.later) == sum(f.signed_size for f in fills)
    assert primed.overlapping + len(primed.later) == len(fills)
    assert not buffer.holds(fill(USERS[0], 200, 1))


def test_fills_of_accounts_that_are_not_being_primed_pass():
    buffer = PrimingBuffer()
    buffer.expect(USERS[0])
    assert not buffer.holds(fill(USERS[1], 1, 1))


def test_an_account_that_floods_the_buffer_is_not_primed(monkeypatch):
    monkeypatch.setattr(priming, "MAX_KEPT_BACK", 3)
    buffer = PrimingBuffer()
    buffer.expect(USERS[0])
    assert all(buffer.holds(fill(USERS[0], at, 1)) for at in range(1, 6))
    assert buffer.release(state(USERS[0], 1, 0)) == NotPrimed(USERS[0], "more than 3 fills came during one request")


@quick
@given(st.integers(-5, 5), st.lists(st.integers(-3, 3).filter(bool), max_size=5), st.integers(-1, 1))
def test_a_difference_is_seen_although_trading_went_on_after_the_snapshot(size, moves, error):
    recent = [fill(USERS[0], 100 + n, move) for n, move in enumerate(moves, start=1)]
    ours = {"BTC": Decimal(size + error) + sum(f.signed_size for f in recent)}
    found = disagreements(ours, recent, state(USERS[0], 100, size))
    assert found == ({} if not error else {"BTC": (Decimal(size + error), Decimal(size))})


def info_of(answer, pace=None, params=None) -> Info:
    params = params or LimiterParams(limit=100_000, margin=0)
    limiter = Limiter(params, pace or LoopPace(), random.Random(1))
    return Info(FAST, limiter, httpx.MockTransport(answer))


async def primed_by(answer, users=USERS, workers=3):
    results: list = []

    async def keep(result) -> None:
        results.append(result)

    async with info_of(answer) as info:
        await Primer(info, PrimingBuffer(), workers).prime(users, keep)
    return results


async def test_every_account_is_reported_once_and_a_failure_is_its_own():
    def answer(request: httpx.Request) -> httpx.Response:
        user = orjson.loads(request.content)["user"]
        if user == USERS[2]:
            return httpx.Response(503)
        if user == USERS[3]:
            return httpx.Response(200, content=b'{"assetPositions":5}')
        return httpx.Response(200, content=orjson.dumps(encode_account.account(state(user, 7, 1))))

    results = await primed_by(answer, [*USERS, USERS[0]])
    failed = {r.user: r.reason for r in results if isinstance(r, NotPrimed)}
    assert sorted(r.state.user for r in results if isinstance(r, Primed)) == [USERS[0], USERS[1], USERS[4]]
    assert failed.keys() == {USERS[2], USERS[3]}
    assert "503" in failed[USERS[2]]
    assert "assetPositions" in failed[USERS[3]]


async def test_priming_keeps_within_the_request_budget():
    pace = ManualPace()
    asked: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(pace.now())
        user = orjson.loads(request.content)["user"]
        return httpx.Response(200, content=orjson.dumps(encode_account.account(state(user, 7, 1))))

    async def ignore(_result) -> None:
        return

    users = ["0x" + f"{n:040x}" for n in range(100)]
    params = LimiterParams(limit=100, margin=10)  # priming may fill 0.95 * 90 = 85: 42 accounts a minute
    async with info_of(answer, pace, params) as info:
        task = asyncio.create_task(Primer(info, PrimingBuffer()).prime(users, ignore))
        while not task.done():
            await pace.advance(1.0)
            await asyncio.sleep(0)
        await task
    assert len(asked) == 100
    assert max(sum(at <= other < at + 60 for other in asked) for at in asked) == 42


async def test_ending_the_priming_early_keeps_nothing_back():
    started = asyncio.Event()

    async def hang(_request: httpx.Request) -> httpx.Response:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def ignore(_result) -> None:
        return

    buffer = PrimingBuffer()
    async with info_of(hang) as info:
        task = asyncio.create_task(Primer(info, buffer, workers=2).prime(USERS, ignore))
        await asyncio.wait_for(started.wait(), 5)
        assert buffer.holds(fill(USERS[4], 1, 1))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not any(buffer.holds(fill(user, 2, 1)) for user in USERS)
