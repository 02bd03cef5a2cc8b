"""Ten times the recorded peak through the whole local path: queues are bounded, memory grows by the trades remembered
for dedupe and is flat once their window is full; an overload slows the reader, is told, passes, and costs nothing.

Ten minutes by `--soak-minutes 10`, four in continuous integration.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

sys.path.append(str(Path(__file__).parents[1] / "stream"))

from kill_world import MODE, STEP_MS, TRADES_A_STEP, KillSource, StreamProcess, model, query, trades_of, until
from stream_harness import publish

from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.emulator.config import EmulatorConfig, LimitConfig, StreamConfig
from sigmapilot_core.adapters.emulator.server import in_thread
from sigmapilot_core.adapters.emulator.service import Emulator
from sigmapilot_core.adapters.postgres.databases import ensure_database, prepare_database
from sigmapilot_core.adapters.postgres.server import EmbeddedServer
from sigmapilot_core.domain.engine.seen import WINDOW_MS
from tests.domain.engine.engine_builders import T0

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]

RECORDED_PEAK_FILLS_PER_S = 256
RATE = 10 * RECORDED_PEAK_FILLS_PER_S
STEPS_PER_S = RATE / (2 * TRADES_A_STEP)
CONFIG = EmulatorConfig(
    stepped=True,
    limits=LimitConfig(enabled=False),
    stream=StreamConfig(trade_replay=TRADES_A_STEP, queue_frames=100_000, idle_s=3_600, consumer_timeout_s=600),
)
REMEMBERED_S = 2 * WINDOW_MS / 1000
"""The longest that a trade is remembered, on the exchange's clock."""
BYTES_A_TRADE = 600
"""A trade is remembered as two halves, of buyer and seller, each a key in a set: 470 bytes were measured for both."""
ALLOWED_GROWTH = 1.1
MAX_WAITING = 64 * 200 + 10_000
"""Batches of the channel with their inputs, and the frames of the feed: the most that may wait."""


def gauge(stream: StreamProcess, name: str) -> float:
    """A metric as the stream exports it; 0 where it is not known yet."""
    text = httpx.get(f"http://127.0.0.1:{stream.ports + 20}/metrics", timeout=30, trust_env=False).text
    found = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(name)]
    return float(found[0]) if found else 0.0


def test_ten_times_the_peak_and_an_overload(
    tmp_path: Path, mortal_server: EmbeddedServer, pytestconfig: pytest.Config
) -> None:
    minutes = min(10.0, pytestconfig.getoption("--soak-minutes"))
    steps = int(minutes * 60 * STEPS_PER_S)
    url = mortal_server.paths.url("load", driver="psycopg")
    ensure_database(url)
    prepare_database(url, MODE)
    publish(url, model())
    trades = trades_of(steps + 60, 7)

    def build() -> Emulator:
        return Emulator(CONFIG, FeedClock(T0), seconds=lambda: 0.0)

    with in_thread(build, lambda emulator: emulator.open(KillSource(trades))) as venue:
        stream = StreamProcess(tmp_path, url, venue.url)
        stream.start()
        try:
            until("it is ready", stream.is_ready)
            play = lambda step: venue.call(  # noqa: E731
                lambda e: e.parts().driver.step(T0 + (step + 1) * STEP_MS, T0 + (step + 1) * STEP_MS + 50)
            )
            memory, depths, began = [], [], time.monotonic()
            for step in range(steps):
                play(step)
                time.sleep(max(0.0, began + (step + 1) / STEPS_PER_S - time.monotonic()))  # the pace is the load
                if step % 10 == 9:
                    depths.append(gauge(stream, "sigmapilot_queue_depth"))
                    memory.append(psutil.Process(stream.pid).memory_info().rss / 1e6)
            pace = (time.monotonic() - began) * STEPS_PER_S / steps

            # decisions stand still: the database is stopped in its tracks, the venue goes on
            database = psutil.Process(mortal_server._process.pid)  # type: ignore[union-attr]
            stopped = [*database.children(recursive=True), database]
            for process in stopped:
                os.kill(process.pid, signal.SIGSTOP)
            try:
                for step in range(steps, steps + 60):
                    play(step)
                    time.sleep(0.05)
                until("it is overloaded and says so", lambda: gauge(stream, "sigmapilot_overloaded") == 1, 60)
                depths.append(gauge(stream, "sigmapilot_queue_depth"))
            finally:
                for process in stopped:
                    os.kill(process.pid, signal.SIGCONT)
            until("it has made up for it", lambda: gauge(stream, "sigmapilot_overloaded") == 0, 300)
            until("nothing is lost", lambda: query(url, "SELECT count(*) FROM fills")[0][0] == 2 * len(trades), 300)
            assert query(url, "SELECT * FROM feed_gaps") == []
            assert stream.end() == 0
        finally:
            if not stream.has_ended:
                stream.kill()
    # one figure every ten steps; warm after a third of the run, or once as many trades are remembered as ever will be
    market_s = [10 * (n + 1) * STEP_MS / 1000 for n in range(len(memory))]
    is_full = market_s[-1] > REMEMBERED_S
    begin = next(n for n, at in enumerate(market_s) if at > (REMEMBERED_S if is_full else market_s[-1] / 3))
    warm = memory[begin:]
    remembered = 0.0 if is_full else (market_s[-1] - market_s[begin]) * 1000 / STEP_MS * TRADES_A_STEP
    each_minute = ", ".join(f"{memory[n]:.0f}" for n in range(0, len(memory), max(1, round(6 * STEPS_PER_S))))
    sys.stdout.write(
        f"{RATE} fills/s for {minutes:g} min: pace {pace:.2f} of real time, at most {max(depths):.0f} inputs waiting, "
        f"memory from minute to minute {each_minute} MB, warm {warm[0]:.0f} to {max(warm):.0f} MB\n"
    )
    assert max(depths) <= MAX_WAITING
    assert max(warm) <= warm[0] * ALLOWED_GROWTH + remembered * BYTES_A_TRADE / 1e6
