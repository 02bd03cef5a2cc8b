"""Reading the leaderboard file of the exchange's size: 47,000 rows, about 40 MB."""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, peak_memory_mb
from sigmapilot_core.adapters.hyperliquid.encode_account import leaderboard_row
from sigmapilot_core.adapters.hyperliquid.leaderboard import parse_leaderboard
from sigmapilot_core.domain.venue import LeaderboardRow, LeaderboardWindow

ROWS = 47_000
GOAL_MB = 300.0
_WINDOWS = ("day", "week", "month", "allTime")


def rows(count: int, seed: int = 1) -> Iterator[LeaderboardRow]:
    """Rows with every window, figures of the real file's lengths and a name on every fifth."""
    rng = random.Random(seed)
    for number in range(count):
        windows = {
            name: LeaderboardWindow(rng.gauss(0, 1e6), rng.gauss(0, 1), abs(rng.gauss(0, 1e8))) for name in _WINDOWS
        }
        name = f"trader number {number}" if number % 5 == 0 else None
        yield LeaderboardRow(f"0x{rng.getrandbits(160):040x}", rng.paretovariate(1.1) * 1e3, windows, name)


def text_of(count: int) -> Iterator[str]:
    """The file piece by piece, with line breaks, which bring it to the size of the exchange's own."""
    separator = '{"leaderboardRows":['
    for row in rows(count):
        yield separator + json.dumps(leaderboard_row(row), indent=2)
        separator = ","
    yield "]}"


def run(count: int = ROWS) -> list[Figure]:
    """Seconds and peak memory of reading the file, which is written row by row before."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "leaderboard.json"
        with path.open("w") as sink:
            sink.writelines(text_of(count))
        size_mb, before = path.stat().st_size / 1e6, peak_memory_mb()
        started = time.process_time()
        with path.open("rb") as stream:
            board = parse_leaderboard(stream)
        seconds = time.process_time() - started
    assert len(board.rows) == count
    assert not board.rejected
    return [
        Figure(f"{count:,} rows", seconds, "s", note=f"{size_mb:.1f} MB"),
        Figure("peak memory of the process", peak_memory_mb(), "MB", GOAL_MB, True, f"{before:.0f} MB before reading"),
    ]
