"""The simulated world's history: 60 days of 300 traders (spec simulation: under 20 s)."""

from __future__ import annotations

import time

from benchmarks.figures import Figure, peak_memory_mb
from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.world import World

EPOCH_MS = 1_760_000_000_000  # 2025-10-09T08:53:20Z; which day it is does not matter
GOAL_S = 20.0


def run(traders: int = 300, days: int = 60) -> list[Figure]:
    """Seconds and memory of one build from nothing."""
    settings = WorldSettings(seed=7, epoch_ms=EPOCH_MS, traders=traders, history_days=days)
    before = peak_memory_mb()
    started = time.process_time()
    world = World(settings)
    seconds = time.process_time() - started
    note = f"{len(world.tape):,} trades"
    return [
        Figure(f"history of {days} days, {traders} traders", seconds, "s", GOAL_S, is_ceiling=True, note=note),
        Figure("peak memory of the process", peak_memory_mb(), "MB", note=f"{before:.0f} MB before the build"),
    ]
