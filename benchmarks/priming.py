"""Positions of 10,000 traders asked from an emulator whose world has them, and what the decision step holds of them."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import httpx
import orjson

from benchmarks.figures import Figure
from sigmapilot_core.adapters.clock import SystemClock
from sigmapilot_core.adapters.hyperliquid import calls, encode
from sigmapilot_core.adapters.hyperliquid.limiter import Limiter, Priority
from sigmapilot_core.adapters.hyperliquid.pacing import LoopPace
from sigmapilot_core.adapters.hyperliquid.rest import Info, RestParams
from sigmapilot_core.adapters.hyperliquid.shared_window import budget_params
from sigmapilot_core.adapters.journal.writer import Entry
from sigmapilot_core.domain.events import Trade
from sigmapilot_core.domain.snapshot import to_json
from sigmapilot_stream.decode import PRIMED, SNAPSHOT
from sigmapilot_stream.records import InputRecord
from sigmapilot_stream.services.priming import PrimingService
from sigmapilot_stream.worker import Worker
from tests.domain.engine.engine_builders import figures, snapshot, trader

REAL_WEIGHT, RAISED_WEIGHT = 1_200, 600_000
FLOOR_MINUTES = 20.0
READY_S, ASKING_S = 300.0, 2_400.0


class _Straight:
    """Inputs that go to the decision step at once: neither journal nor database is measured here."""

    def __init__(self, worker: Worker) -> None:
        self.answers: list[bytes] = []
        self._worker = worker
        self._seq = 0

    async def submit(self, entries: Sequence[Entry]) -> int:
        records = [InputRecord(self._seq + i, *entry) for i, entry in enumerate(entries)]
        self._seq += len(records)
        self.answers += [payload for kind, _, payload in entries if kind == PRIMED]
        if records:
            self._worker.handle(records)
        return self._seq


@contextmanager
def emulator(traders: int, days: int, weight: int) -> Iterator[str]:
    """A served world of its own process, with its budget of requests a minute; its address once it is ready."""
    with tempfile.TemporaryDirectory(prefix="sp-bench-") as folder:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        arguments = ["--port", str(port), "--traders", str(traders), "--days", str(days), "--state-dir", folder]
        names = {
            "SIGMAPILOT_MODE": "demo", "SIGMAPILOT_HOME": folder, "SIGMAPILOT_REQUEST_WEIGHT_PER_MINUTE": str(weight),
        }  # fmt: skip
        command = [sys.executable, "-m", "sigmapilot_core.adapters.emulator", *arguments, "--no-disturbances"]
        process = subprocess.Popen(command, env=os.environ | names, stderr=subprocess.DEVNULL)
        url = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + READY_S
            while not _is_ready(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the emulator did not become ready")
                time.sleep(0.2)
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(15)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", trust_env=False, timeout=60).status_code == 200
    except httpx.HTTPError:  # it does not listen yet
        return False


def memory_mb() -> float:
    """Resident memory of this process now. Linux only."""
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) * 1024 / 1e6


def addresses(url: str) -> list[str]:
    """Everybody on the venue's leaderboard, and who else lives there."""
    rows = httpx.get(f"{url}/Mainnet/leaderboard", trust_env=False, timeout=60).json()["leaderboardRows"]
    return sorted(row["ethAddress"].lower() for row in rows)


async def prime(url: str, users: list[str], others: int, weight: int) -> tuple[float, float, Worker]:
    """Seconds until these users' positions are known, asked with a budget of requests a minute; memory in MB that they
    and so many others take, who are given the same answers; and the decision step that holds them all."""
    worker, pace, rng, clock = Worker("0", lambda: 0), LoopPace(), random.Random(1), SystemClock()
    limiter = Limiter(budget_params(weight), pace, rng)
    async with Info(RestParams(url), limiter) as info:
        now = clock.now_ms()
        market = await info.get(calls.market(now), Priority.OWN_STATE)
        coins, more = [figures(asset.coin) for asset in market.assets], [trader(10**6 + n) for n in range(others)]
        before, inputs = memory_mb(), _Straight(worker)
        service = PrimingService(info, worker.engine, clock, inputs, rolling_s=None, budget=limiter)  # type: ignore[arg-type]
        await inputs.submit([(SNAPSHOT, now, to_json(snapshot(users[:100], coins, users)).encode())])
        started = time.monotonic()
        asking = asyncio.create_task(service.run())
        try:
            async with asyncio.timeout(ASKING_S):
                while worker.engine.unprimed and not asking.done():
                    await asyncio.sleep(0.5)
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        seconds = time.monotonic() - started
        everyone = snapshot(users[:100], coins, sorted([*users, *more]), version=2)
        await inputs.submit([(SNAPSHOT, now, to_json(everyone).encode())])
        for n, user in enumerate(more):
            answer = orjson.loads(inputs.answers[n % len(users)]) | {"user": user}
            await inputs.submit([(PRIMED, now, orjson.dumps(answer))])
        inputs.answers.clear()
        return seconds, memory_mb() - before, worker


def follow(worker: Worker, users: list[str], fills: int) -> float:
    """Memory in MB that so many fills of each trader leave behind: trails, episodes, remembered trades."""
    rng, now = random.Random(2), SystemClock().now_ms() + 60_000
    coins = sorted(worker.engine.coins)
    before = memory_mb()
    for n in range(fills * len(users)):
        state = worker.engine.coins[coins[n % len(coins)]]
        pair = (users[n % len(users)], trader(7))
        px, sz = Decimal(rng.randrange(90, 110)), Decimal(rng.randrange(1, 9)) / 10
        trade = Trade(state.coin, px, sz, now + 5 * n, n + 1, f"0x{n:064x}", *pair, n % 2 == 0)
        worker.handle([InputRecord(10**6 + n, "live", now + 5 * n, orjson.dumps(encode.trades_frame([trade])))])
    return memory_mb() - before


def run(traders: int = 10_000, asked: int = 2_000, days: int = 2, fills: int = 5) -> list[Figure]:
    """Time and memory of one priming, and the least time at the real limit."""
    with emulator(traders, days, RAISED_WEIGHT) as url:
        users = addresses(url)[:asked]
        seconds, held_mb, worker = asyncio.run(prime(url, users, max(0, traders - len(users)), RAISED_WEIGHT))
    everyone = sorted(worker.engine.traders)
    left, positions = len(worker.engine.unprimed), sum(len(t.seats) for t in worker.engine.traders.values())
    grown_mb = follow(worker, everyone, fills)
    scale, weight = 10_000 / len(everyone), budget_params(REAL_WEIGHT).ceiling(Priority.PRIMING)
    floor_note = f"computed: weight 2 each at {weight} a minute"
    asked_note = f"{len(users):,} asked one by one of an emulator with {traders:,}, {left} without an answer"
    return [
        Figure(
            "10,000 traders at the real limit", calls.LIGHT * 10_000 / weight, "min", FLOOR_MINUTES, True, floor_note
        ),
        Figure("traders a second at the emulator's limit", len(users) / seconds, "traders/s", note=asked_note),
        Figure("memory per 10,000 traders, primed", held_mb * scale, "MB", note=f"{positions:,} positions"),
        Figure(f"memory per 10,000 traders, {fills} fills each", grown_mb * scale, "MB", note="on top of it"),
    ]
