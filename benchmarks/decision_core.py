"""Fills a second through the decision core on one core: ledgers, episodes, votes, gates and decisions."""

from __future__ import annotations

import gc
import time
from collections import Counter
from dataclasses import dataclass

from benchmarks.figures import Figure
from benchmarks.traffic import Load, fills_of, opening, trading
from sigmapilot_core.domain.engine.engine import Engine
from sigmapilot_core.domain.engine.events import Event, TimerFired
from sigmapilot_core.domain.engine.outputs import DecisionMade, FillStored, NextTimer, Output

GOAL_FILLS_PER_S = 50_000
CROWD_GOAL_FILLS_PER_S = 200_000
CROWD = {"voters": 1_000, "coins": 200}
REPEATS = 5


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over the traffic with a fresh engine."""

    seconds: float
    stored: int
    evaluations: int
    decisions: int


def drive(engine: Engine, events: list[Event]) -> Counter[type]:
    """Apply events in order, timers when their deadline has come; outputs are counted and let go, as in the stream."""
    deadline: int | None = None
    heard: Counter[type] = Counter()

    def take(found: list[Output]) -> None:
        nonlocal deadline
        for output in found:
            heard[type(output)] += 1
            if isinstance(output, NextTimer):
                deadline = output.deadline_ms

    for event in events:
        while deadline is not None and deadline <= event.now_ms:
            at, deadline = deadline, None
            take(engine.apply(TimerFired(at, event.seq)))
        take(engine.apply(event))
    return heard


def best_pass(load: Load, repeats: int) -> tuple[Pass, int]:
    """The fastest of some passes, and how many fills the load has.

    Processor time, and the fastest, because what neighbours on the machine take is not ours.
    """
    before, events = opening(load), trading(load)
    passes = []
    for _ in range(repeats):
        engine = Engine("0")
        drive(engine, before)
        gc.collect()
        started = time.process_time()
        heard = drive(engine, events)
        seconds = time.process_time() - started
        passes.append(Pass(seconds, heard[FillStored], engine.counters.evaluations, heard[DecisionMade]))
    return min(passes, key=lambda one: one.seconds), fills_of(events)


def figure(words: str, load: Load, goal: float | None, repeats: int = REPEATS) -> Figure:
    """Fills a second of one load, with what happened in it."""
    best, fills = best_pass(load, repeats)
    note = f"{fills:,} fills, {best.stored:,} applied, {best.evaluations:,} evaluations, {best.decisions:,} decisions"
    return Figure(words, fills / best.seconds, "fills/s", goal, note=note)


def run() -> list[Figure]:
    """By share of tracked traders; the one with three voters tells what ledgers and episodes cost alone.

    In the crowd of 10,000 a voter trades every two minutes, which is what filter 5 lets into the pool at most (100
    orders a day are ten times less); in that of 1,000 every twelve seconds.
    """
    return [
        figure("10 % of fills by tracked traders", Load(12_000, 0.10), GOAL_FILLS_PER_S),
        figure("all fills by tracked traders", Load(3_000, 1.0), GOAL_FILLS_PER_S, repeats=3),
        figure("all fills by tracked traders, 3 of them vote", Load(6_000, 1.0, voters=3), None),
        figure(
            "1,000 voters, 200 coins, 10 % of fills by 10,000 tracked traders",
            Load(12_000, 0.10, tracked=10_000, **CROWD),
            CROWD_GOAL_FILLS_PER_S,
            repeats=3,
        ),
        figure(
            "1,000 voters, 200 coins, 10 % of fills by the voters",
            Load(12_000, 0.10, tracked=1_000, **CROWD),
            CROWD_GOAL_FILLS_PER_S,
            repeats=3,
        ),
    ]
