"""How long a new demo takes from readiness to its first executed paper signal, over five seeds (spec simulation)."""

from __future__ import annotations

import statistics

from benchmarks.figures import Figure
from benchmarks.system import Demo, NotMeasuredError, demo

PORT_BASE = 23200
SEEDS = (1, 2, 3, 4, 5)
GOAL_S = 180.0
START_TIMEOUT_S, SIGNAL_TIMEOUT_S = 600.0, 420.0


def run() -> list[Figure]:
    """One figure a seed and the median. Ready is when the stream hears the exchange and knows every pool position.

    A seed without a signal counts with the time it was given.
    """
    found = []
    for seed in SEEDS:
        with demo(PORT_BASE, seed) as system:
            found.append(_seconds(system, seed))
    middle = statistics.median(figure.value for figure in found)
    return [*found, Figure("median of the seeds", middle, "s", GOAL_S, is_ceiling=True)]


def _seconds(system: Demo, seed: int) -> Figure:
    name, started = f"seed {seed}: readiness to signal", system.started_at
    ready_ms = system.until(system.ready_ms, "readiness", START_TIMEOUT_S)
    note = f"ready {ready_ms / 1000 - started:.0f} s after the command"
    try:
        signal_ms = system.until(system.first_signal_ms, "a signal", SIGNAL_TIMEOUT_S)
    except NotMeasuredError:
        return Figure(name, SIGNAL_TIMEOUT_S, "s", GOAL_S, True, f"{note}; no signal in this time")
    return Figure(name, (signal_ms - ready_ms) / 1000, "s", GOAL_S, True, note)
