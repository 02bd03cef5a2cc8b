"""What `replay` and `verify` find in the database: one decision made again, and every damage of what is stored.

Two logs in hash chains (decisions, outcomes), what stands beside them (inputs, ids, signals), and the snapshots.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import audit_beside as beside
from sigmapilot_core.adapters.postgres.audit_beside import Audited
from sigmapilot_core.adapters.postgres.decision_store import DECISIONS, OUTCOMES, verify_chain
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.instants import at
from sigmapilot_core.adapters.postgres.schema.model import model_snapshots
from sigmapilot_core.adapters.postgres.schema.stream import (
    chain_anchors,
    decision_ids,
    decision_inputs,
    decision_logs,
    ticket_outcomes,
)
from sigmapilot_core.domain.canonical import uuid_of_text
from sigmapilot_core.domain.codec import from_json
from sigmapilot_core.domain.consensus.chain import CHAIN_COUNT, Finding
from sigmapilot_core.domain.consensus.decision import recompute
from sigmapilot_core.domain.consensus.difference import difference
from sigmapilot_core.domain.consensus.outcome import Outcome
from sigmapilot_core.domain.consensus.record import Decision, columns_of
from sigmapilot_core.domain.snapshot import settings_from_json

_IN_BATCHES = {"yield_per": 100}
"""A busy decision and its inputs are 100 kB each."""


class NotReplayableError(RuntimeError):
    """The decision cannot be made again; one sentence."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A stored decision and how the one made again differs; `difference` None: not in a single byte."""

    decision: Decision
    record: str
    row_hash: str
    difference: str | None


def replayed(url: str, decision_id: str) -> Replayed:
    """Make one decision again from what is stored.

    Raises:
        NotReplayableError: there is no such decision, or what it was made from is gone or does not parse.
    """
    with state_of(url) as connection:
        row = _stored(connection, decision_id)
    try:
        decision = from_json(Decision, row.record, "record")
        again = recompute(row.inputs, settings_from_json(row.settings))
    except ValueError as error:
        raise NotReplayableError(f"decision {decision_id} cannot be made again: {error}.") from error
    return Replayed(decision, row.record, row.row_hash, difference(row.record, again))


def _stored(connection: sa.Connection, decision_id: str) -> sa.Row[Any]:
    """Record, inputs and settings of a decision; the small table of ids says in which month to look."""
    ids, logs, inputs, models = decision_ids.c, decision_logs.c, decision_inputs.c, model_snapshots.c
    decided_at = connection.execute(sa.select(ids.decided_at).where(ids.id == decision_id)).scalar()
    if decided_at is None:
        raise NotReplayableError(f"there is no decision {decision_id} in this database.")
    row = connection.execute(
        sa.select(logs.record, logs.row_hash, logs.snapshot_version, inputs.inputs, models.settings)
        .select_from(decision_logs)
        .outerjoin(decision_inputs, (inputs.decision_id == logs.id) & (inputs.decided_at == logs.decided_at))
        .outerjoin(model_snapshots, models.version == logs.snapshot_version)
        .where(logs.id == decision_id, logs.decided_at == decided_at)
    ).first()
    if row is None:
        raise NotReplayableError(f"decision {decision_id} of {decided_at:%Y-%m-%d} is no longer stored.")
    for name, text in (("its record of inputs", row.inputs), (f"snapshot {row.snapshot_version}", row.settings)):
        if text is None:
            raise NotReplayableError(f"decision {decision_id} cannot be made again: {name} is not stored.")
    return row


def audited(url: str, told: Callable[[Audited], None] | None = None) -> list[Audited]:
    """Every chain of both logs, as of one instant: what is written meanwhile does not disturb. `told` hears of each."""
    found = []
    with state_of(url) as connection:
        for item in _all(connection):
            found.append(item)
            if told is not None:
                told(item)
    return found


def audit(connection: sa.Connection) -> list[Audited]:
    """The same on a connection that sees one state of the database."""
    return list(_all(connection))


def _all(connection: sa.Connection) -> Iterator[Audited]:
    yield from _chains(connection)
    yield from beside.audited(connection)


def _chains(connection: sa.Connection) -> Iterator[Audited]:
    for log in (DECISIONS, OUTCOMES):
        anchored = set(connection.execute(sa.select(chain_anchors.c.chain).where(chain_anchors.c.log == log)).scalars())
        for number in range(CHAIN_COUNT):
            seen = verify_chain(connection, log, number)
            damage = _words(seen.finding) if seen.finding else _first_damage(connection, log, number)
            yield Audited(log, number, seen.n_rows, number in anchored, damage)


def _words(finding: Finding) -> str:
    row = f"row {finding.seq}" + (f" ({finding.row_id})" if finding.row_id else "")
    return f"{row} is {finding.damage.value}: {finding.detail}"


def _first_damage(connection: sa.Connection, log: str, number: int) -> str | None:
    """The first row whose sealed record is sound, but not what stands beside it."""
    query, damage_of = _BESIDE[log]
    with connection.execute(query.where(query.selected_columns.chain == number), execution_options=_IN_BATCHES) as rows:
        return next((damage for row in rows.mappings() for damage in damage_of(row)), None)


def _decision_query() -> sa.Select[Any]:
    logs, inputs, outcomes = decision_logs.c, decision_inputs.c, ticket_outcomes.c
    return (
        sa.select(decision_logs, inputs.inputs, outcomes.closed_reason, outcomes.result_r, outcomes.closed_ts)
        .select_from(decision_logs)
        .outerjoin(decision_inputs, (inputs.decision_id == logs.id) & (inputs.decided_at == logs.decided_at))
        .outerjoin(ticket_outcomes, outcomes.ticket_id == logs.id)
        .order_by(logs.seq)
    )


def _decision_damage(row: sa.RowMapping) -> Iterator[str]:
    """Columns against the record, the outcome against its own log, the inputs against the id made of them."""
    expected = columns_of(row["record"])
    expected["decided_at"] = at(expected.pop("decided_at_ms"))
    expected |= {
        "outcome": row["closed_reason"],
        "outcome_r_multiple": row["result_r"],
        "outcome_closed_at": row["closed_ts"],
    }
    held = {**row, "gates": json.loads(row["gates"]), "risk_checks": json.loads(row["risk_checks"])}
    yield from _unequal(held, expected)
    if row["inputs"] is None:
        yield f"row {row['seq']} ({row['id']}) is missing its inputs"
    elif uuid_of_text(row["inputs"]) != row["id"]:
        yield f"row {row['seq']} ({row['id']}) is changed: its inputs are not those its id was made of"


def _outcome_query() -> sa.Select[Any]:
    table = ticket_outcomes
    return sa.select(table, table.c.ticket_id.label("id")).order_by(table.c.seq)


def _outcome_damage(row: sa.RowMapping) -> Iterator[str]:
    held = from_json(Outcome, row["record"], "record")
    expected = {
        "id": held.decision_id,
        "symbol": held.coin,
        "closed_ts": at(held.closed_at_ms),
        "closed_reason": held.reason.value,
        **{name: getattr(held, name) for name in ("exit_price", "result_r", "gross_r", "cost_r", "mfe_r", "mae_r")},
        "notes": held.notes,
    }
    yield from _unequal(row, expected)


def _unequal(row: Mapping[Any, Any], expected: Mapping[str, Any]) -> Iterator[str]:
    for name, value in expected.items():
        if row[name] != value:
            yield f"row {row['seq']} ({row['id']}) is changed: its {name} is {row[name]!r}, its record says {value!r}"


_BESIDE: dict[str, tuple[sa.Select[Any], Callable[[sa.RowMapping], Iterator[str]]]] = {
    DECISIONS: (_decision_query(), _decision_damage),
    OUTCOMES: (_outcome_query(), _outcome_damage),
}


@contextmanager
def state_of(url: str) -> Iterator[sa.Connection]:
    """A connection that sees the database as of one instant and changes nothing."""
    engine = create_engine(url, pool_size=1)
    try:
        with engine.connect() as connection:
            yield connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    finally:
        engine.dispose()
