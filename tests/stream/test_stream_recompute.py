"""Decisions of a stream that was restarted come out again in another process, from the database alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from stream_harness import publish, rows, running, trade, venue

from tests.domain.engine.engine_builders import POOL


@pytest.mark.slow
async def test_all_decisions_come_out_again_across_a_restart_and_in_a_second_process(
    tmp_path: Path, pg_url: str
) -> None:
    publish(pg_url)
    acts = [trade(n, 1_000 * n, user, "buy" if n % 2 else "sell") for n, user in enumerate(POOL[:5] * 4, start=1)]
    async with venue(*acts) as (emulator, url):
        async with running(tmp_path, pg_url, emulator, url) as live:
            await live.ready()
            await live.play(8_000)
        async with running(tmp_path, pg_url, emulator, url) as live:
            await live.ready()
            await live.play(21_000)
    ((count,),) = rows(pg_url, "SELECT count(*) FROM decision_logs")
    assert count > 8
    environment = os.environ | {
        "SIGMAPILOT_DATABASE_URL": pg_url.replace("+psycopg", ""),
        "SIGMAPILOT_HOME": str(tmp_path),
    }
    for words, said in ((("replay", "--all"), f"{count} decisions made again"), (("verify",), "nothing was changed")):
        command = [sys.executable, "-m", "sigmapilot_cli", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
        assert (done.returncode, said in done.stdout) == (0, True), done.stdout + done.stderr
