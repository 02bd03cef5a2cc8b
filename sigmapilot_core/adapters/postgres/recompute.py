"""Every decision of a period made again from its stored inputs and snapshot, and held against what was written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import snapshot_store
from sigmapilot_core.adapters.postgres.schema.stream import decision_inputs, decision_logs
from sigmapilot_core.domain.canonical import uuid_of_text
from sigmapilot_core.domain.consensus.decision import decide
from sigmapilot_core.domain.consensus.difference import difference
from sigmapilot_core.domain.consensus.inputs import DecisionInputs
from sigmapilot_core.domain.consensus.provenance import SnapshotIndex, foreign_input

_IN_BATCHES = {"yield_per": 500}
NAMED = 20
"""How many differences are described; all are counted."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One decision that does not come out as it was written."""

    id: str
    symbol: str
    decided_at: datetime
    what: str


@dataclass(slots=True)
class Recomputed:
    """How many decisions were made again, with how many snapshots, and which differ (the first `NAMED` of them)."""

    decisions: int = 0
    snapshots: int = 0
    differing: int = 0
    named: list[Difference] = field(default_factory=list)

    def note(self, found: Difference) -> None:
        """One more that differs."""
        self.differing += 1
        if len(self.named) < NAMED:
            self.named.append(found)


def recomputed(connection: sa.Connection, since: datetime, before: datetime) -> Recomputed:
    """Make all decisions of [since, before) again: the same bytes, the same id, inputs the snapshot states as well.

    Nothing is read but stored inputs and snapshots, so that it is the same in any process and after any restart.
    """
    found, models = Recomputed(), dict[int, SnapshotIndex | str]()
    for row in _stored(connection, since, before):
        found.decisions += 1
        if row.snapshot_version not in models:
            models[row.snapshot_version] = _model(connection, row.snapshot_version)
            found.snapshots += 1
        what = _difference(row, models[row.snapshot_version])
        if what is not None:
            found.note(Difference(str(row.id), row.symbol, row.decided_at, what))
    return found


def _stored(connection: sa.Connection, since: datetime, before: datetime) -> Iterator[sa.Row[Any]]:
    logs, inputs = decision_logs.c, decision_inputs.c
    query = (
        sa.select(logs.id, logs.symbol, logs.decided_at, logs.record, logs.snapshot_version, inputs.inputs)
        .select_from(decision_logs)
        .outerjoin(decision_inputs, (inputs.decision_id == logs.id) & (inputs.decided_at == logs.decided_at))
        .where(logs.decided_at >= since, logs.decided_at < before)
        .order_by(logs.decided_at, logs.id)
    )
    with connection.execute(query, execution_options=_IN_BATCHES) as rows:
        yield from rows


def _model(connection: sa.Connection, version: int) -> SnapshotIndex | str:
    """The snapshot, or why it cannot be had."""
    try:
        return SnapshotIndex.of(snapshot_store.read_snapshot(connection, version))
    except (LookupError, ValueError, sa.exc.NoResultFound) as error:
        return f"snapshot {version} is damaged or gone: {error}"


def _difference(row: sa.Row[Any], model: SnapshotIndex | str) -> str | None:
    if row.inputs is None:
        return "its record of inputs is not stored"
    if isinstance(model, str):
        return model
    try:
        inputs = DecisionInputs.from_json(row.inputs)
        again = decide(inputs, model.snapshot.settings)
    except ValueError as error:
        return f"it cannot be made again: {error}"
    if uuid_of_text(row.inputs) != str(row.id):
        return "its inputs are not those its id was made of"
    return difference(row.record, again.to_json()) or foreign_input(inputs, model)
