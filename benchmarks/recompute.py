"""All decisions of a busy day made again from the database, and all hash chains walked: what the nightly checks do."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from benchmarks.figures import Figure
from benchmarks.own_postgres import migrated, own_server
from benchmarks.traffic import Load, opening, trading
from sigmapilot_core.adapters.postgres import snapshot_store
from sigmapilot_core.adapters.postgres.audit import audited, state_of
from sigmapilot_core.adapters.postgres.decision_store import MadeDecision, append_decisions
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.recompute import recomputed
from sigmapilot_core.domain.engine.engine import Engine
from sigmapilot_core.domain.engine.events import SnapshotActivated
from sigmapilot_core.domain.engine.outputs import DecisionMade

GOAL_PER_S = 500
DECISIONS = 3_000
_AT_ONCE = 200


def decisions_of(load: Load, most: int = DECISIONS) -> list[MadeDecision]:
    """The first decisions the engine makes on the traffic, with the inputs it decided on."""
    engine, made = Engine("0"), list[MadeDecision]()
    for event in [*opening(load), *trading(load)]:
        for output in engine.apply(event):
            if isinstance(output, DecisionMade):
                made.append(MadeDecision(output.decision, output.inputs, output.key, 1.0))
        if len(made) >= most:
            break
    return made[:most]


def run() -> list[Figure]:
    """Rates of one process by the clock, the database beside it."""
    load = Load(10_500, 1.0)
    made = decisions_of(load)
    with own_server(durable=False) as server:
        url = migrated(server, "recompute")
        _store(url, made, load)
        return _measured(url, len(made))


def _store(url: str, made: list[MadeDecision], load: Load) -> None:
    activated = opening(load)[0]
    assert isinstance(activated, SnapshotActivated)
    engine = create_engine(url)
    with engine.begin() as connection:
        snapshot_store.publish(connection, activated.snapshot, None)
        for at in range(0, len(made), _AT_ONCE):
            append_decisions(connection, made[at : at + _AT_ONCE])
    engine.dispose()


def _measured(url: str, count: int) -> list[Figure]:
    started = time.perf_counter()
    with state_of(url) as connection:
        found = recomputed(connection, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    recompute_s = time.perf_counter() - started
    started = time.perf_counter()
    damaged = [item for item in audited(url) if item.damage is not None]
    verify_s = time.perf_counter() - started
    assert (found.decisions, found.differing, damaged) == (count, 0, []), (found, damaged)
    note = f"{count:,} decisions, by the clock; identical byte for byte"
    return [
        Figure("decisions made again from the database", count / recompute_s, "decisions/s", GOAL_PER_S, note=note),
        Figure(
            "decisions verified", count / verify_s, "decisions/s", note="hash chains, columns, inputs, ids, signals"
        ),
    ]
