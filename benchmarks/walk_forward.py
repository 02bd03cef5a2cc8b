"""Walk-forward over 180 days of a simulated world: each decision of 150 days by the live rules (at most 5 min)."""

from __future__ import annotations

import time

from benchmarks.figures import Figure, peak_memory_mb
from sigmapilot_core.domain.evaluation.day_model import Learner
from sigmapilot_core.domain.evaluation.simulated import record_of
from sigmapilot_core.domain.evaluation.walk_forward import walk
from sigmapilot_core.domain.params import DAY_MS, Params
from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.world import World

EPOCH_MS = 20_370 * DAY_MS
GOAL_S = 300.0


def run(traders: int = 300, days: int = 180) -> list[Figure]:
    """Processor seconds of building, learning and walking, and memory."""
    started = time.process_time()
    record = record_of(World(WorldSettings(seed=7, epoch_ms=EPOCH_MS, traders=traders, history_days=days)))
    built = time.process_time() - started
    params = Params()
    found = walk(Learner.of(record, params), params)
    seconds = time.process_time() - started
    note = f"{built:.0f} s of it the world; {len(found.judged):,} decisions, {len(found.scored):,} passed all gates"
    return [
        Figure(f"{days} days, {traders} traders", seconds, "s", GOAL_S, is_ceiling=True, note=note),
        Figure("peak memory of the process", peak_memory_mb(), "MB"),
    ]
