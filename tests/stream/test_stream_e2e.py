"""Venue to paper account in one process: votes, signal, paper fill, outcome, and an end without leftovers."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import httpx
import psutil
from stream_harness import Running, publish, rows, running, trade, venue

from tests.domain.engine.engine_builders import MARKET_MAKER, POOL

TARGET = Decimal(52_500)  # beyond the take-profit: 50 005 x (1 + 2 x .024) = 52 405.24


async def routes(live: Running, path: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"http://127.0.0.1:{live.stream.port}{path}")


async def test_votes_become_a_signal_a_paper_fill_and_an_outcome(tmp_path: Path, pg_url: str) -> None:
    publish(pg_url)
    acts = [trade(n, 1_000 * n, user) for n, user in enumerate(POOL[:3], start=1)]
    rise = [trade(10, 65_000, "0x" + "1" * 40, px=TARGET), trade(11, 130_000, "0x" + "1" * 40, px=TARGET)]
    async with venue(*acts, *rise) as (emulator, url), running(tmp_path, pg_url, emulator, url) as live:
        await live.ready()
        await live.play(4_000)
        decisions = rows(pg_url, "SELECT decision_type, agreeing_count FROM decision_logs ORDER BY decided_at, seq")
        assert decisions == [("skip", 1), ("skip", 2), ("signal", 3)]
        # the ask stands one basis point above the last price
        assert rows(pg_url, "SELECT leg, status, fill_price FROM execution_logs") == [("entry", "filled", 50_005.0)]
        (position,) = rows(pg_url, "SELECT side, size, entry_price FROM live_positions")
        assert (position.side, position.entry_price) == ("long", 50_005.0)

        await live.play(131_000, step_ms=131_000)
        await live.play(132_000)
        assert rows(pg_url, "SELECT closed_reason, result_r > 0 FROM ticket_outcomes") == [("take_profit", True)]
        assert rows(pg_url, "SELECT leg FROM execution_logs WHERE status = 'filled' AND fill_size > 0 ORDER BY id") == [
            ("entry",), ("take_profit",)
        ]  # fmt: skip
        assert rows(pg_url, "SELECT * FROM live_positions") == []
        ((earned,),) = rows(pg_url, "SELECT account_value - 100000 FROM portfolio_snapshots ORDER BY ts DESC LIMIT 1")
        # 0.03999 BTC from 50 005 to 52 494.75, less 4.5 bps twice: 99.57 - .90 - .94
        assert 95 < earned < 100

        text = (await routes(live, "/metrics")).text
        for line in ("decide_consensus_signals_total 1.0", "sigmapilot_trades_total 5.0", "decide_fills_total 3.0"):
            assert line in text
        parties = rows(pg_url, "SELECT DISTINCT seller FROM trades WHERE buyer = :user", user=POOL[0])
        assert parties == [(MARKET_MAKER,)]


async def test_readiness_names_what_is_missing_until_nothing_is(tmp_path: Path, pg_url: str) -> None:
    async with venue() as (emulator, url), running(tmp_path, pg_url, emulator, url) as live:
        while live.stream.port is None:
            await asyncio.sleep(0.01)
        not_yet = await routes(live, "/readyz")
        assert not_yet.status_code == 503
        assert "no model snapshot is published yet" in not_yet.json()["missing"][0]
        health = (await routes(live, "/healthz")).json()
        assert (health["alive"], health["ready"]) == (True, False)
        assert set(health["inputs_lag"]) <= {"0"}
        publish(pg_url)
        await live.ready()
        await live.settled()
        assert (await routes(live, "/readyz")).json() == {"ready": True, "missing": []}
        ((beat,),) = rows(pg_url, "SELECT value FROM stream_status WHERE key = 'heartbeat'") or [({},)]
        assert beat.get("age_limit_s", 15.0) == 15.0


async def test_nothing_is_left_behind(tmp_path: Path, pg_url: str) -> None:
    publish(pg_url)
    async with venue(trade(1, 1_000)) as (emulator, url):
        process = psutil.Process()
        files, tasks = process.num_fds(), len(asyncio.all_tasks())
        async with running(tmp_path, pg_url, emulator, url) as live:
            await live.ready()
            await live.play(2_000)
        for _ in range(10):  # the emulator's side of the closed connections ends a turn later
            await asyncio.sleep(0.02)
        assert len(asyncio.all_tasks()) == tasks
        assert process.num_fds() <= files
        assert rows(pg_url, "SELECT seq FROM stream_progress")[0].seq >= 0
