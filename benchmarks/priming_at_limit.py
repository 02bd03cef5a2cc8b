"""Everybody of a venue with 10,000 traders asked for his positions within the exchange's real budget of requests."""

from __future__ import annotations

import asyncio

from benchmarks.figures import Figure
from benchmarks.priming import FLOOR_MINUTES, REAL_WEIGHT, addresses, emulator, prime


def run(traders: int = 10_000, days: int = 2) -> list[Figure]:
    """Minutes until the last trader's positions are known."""
    # not everybody who trades stands on the leaderboard
    with emulator(traders + 200, days, REAL_WEIGHT) as url:
        users = addresses(url)[:traders]
        seconds, _, worker = asyncio.run(prime(url, users, 0, REAL_WEIGHT))
    note = f"{len(users):,} asked one by one, {len(worker.engine.unprimed)} without an answer"
    return [Figure("10,000 traders at the real limit, asked", seconds / 60, "min", FLOOR_MINUTES, True, note)]
