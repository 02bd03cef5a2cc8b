"""Venue to paper account in one process: votes, signal, paper fill, outcome, and an end without leftovers."""

from __future__ import annotations

from pathlib import Path

from stream_harness import POOL, publish, rows, running, trade, venue


async def test_votes_become_a_signal_a_paper_fill_and_an_outcome(tmp_path: Path, pg_url: str) -> None:
    publish(pg_url)
    acts = [trade(n, 1_000 * n, user) for n, user in enumerate(POOL[:3], start=1)]
    async with venue(*acts) as (emulator, url), running(tmp_path, pg_url, emulator, url) as live:
        await live.ready()
        await live.play(4_000)
        decisions = rows(pg_url, "SELECT decision_type, agreeing_count FROM decision_logs ORDER BY decided_at, seq")
        assert decisions == [("skip", 1), ("skip", 2), ("signal", 3)]
        orders = rows(pg_url, "SELECT leg, status, fill_price FROM execution_logs ORDER BY id")
        assert orders == [("entry", "filled", 50_005.0)]
