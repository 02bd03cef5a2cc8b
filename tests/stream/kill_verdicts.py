"""Whether what was decided in a run with kills is what was decided without, or differs for a reason."""

from __future__ import annotations

import json
import sys
from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime

from kill_world import DELAY_MS, STEP_MS, query

from sigmapilot_core.adapters.postgres.decision_store import verify_chain
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.domain.consensus.chain import CHAIN_COUNT
from tests.domain.engine.engine_builders import T0


def decisions(url: str) -> list[tuple[object, ...]]:
    return query(url, "SELECT chain, seq, id, row_hash, record FROM decision_logs ORDER BY 1, 2")


def is_explained(records: list[str | None], disturbed: set[int]) -> bool:
    """Whether a decision that differs from the undisturbed run's rests on inputs that the kill made old or unknown, or
    was made in the very step in which the feed was killed: its frames come again in another order, so that the
    decision is made on the book before or behind."""
    for record in (json.loads(text) for text in records if text is not None):
        names = ("inputs_fresh", "freshness")
        if any(gate["passed"] is not True for gate in record["gates"] if gate["name"] in names):
            return True
        if int(record["decided_at_ms"]) in disturbed:
            return True
    return False


def damages(url: str, log: str) -> list[object]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = [verify_chain(connection, log, number).finding for number in range(CHAIN_COUNT)]
    engine.dispose()
    return found


def unexplained(calm: str, killed: str, steps: Iterable[int]) -> list[str]:
    """Instants after which another decision on a coin is in force than in the undisturbed run, without an input to
    blame. What several frames brought one by one can come in one after a kill: what counts is what was decided last.
    `steps` are those in which the feed was killed.
    """
    one, other = in_force(calm), in_force(killed)
    disturbed = {T0 + (step + more) * STEP_MS + DELAY_MS for step in steps for more in (1, 2)}
    found, differing = [], 0
    for coin, at in sorted({(coin, at) for log in (one, other) for coin, rows in log.items() for at, _ in rows}):
        before, after = last(one, coin, at), last(other, coin, at)
        if verdicts(before) != verdicts(after):
            differing += 1
            if not is_explained([before, after], disturbed):
                found.append(f"{coin} at {at}: {told(before)} became {told(after)}")
    sys.stdout.write(f"decisions in force that differ in a gate: {differing}, of these without reason {len(found)}\n")
    return found


def in_force(url: str) -> dict[str, list[tuple[datetime, str]]]:
    """Decisions of each coin in order."""
    found: dict[str, list[tuple[datetime, str]]] = {}
    for at, coin, record in query(url, "SELECT decided_at, symbol, record FROM decision_logs ORDER BY chain, seq"):
        found.setdefault(coin, []).append((at, record))
    return found


def last(log: dict[str, list[tuple[datetime, str]]], coin: str, at: datetime) -> str | None:
    rows = log.get(coin, [])
    position = bisect_right(rows, at, key=lambda row: row[0])
    return rows[position - 1][1] if position else None


def told(record: str | None) -> str:
    """The instant of a decision and what each of its gates said."""
    if record is None:
        return "no decision"
    read = json.loads(record)
    gates = "; ".join(f"{gate['name']} {gate['passed']} ({gate['detail']})" for gate in read["gates"])
    return f"{read['decided_at_ms']}: {gates}"


def verdicts(record: str | None) -> list[tuple[str, bool | None]]:
    return [] if record is None else [(gate["name"], gate["passed"]) for gate in json.loads(record)["gates"]]
