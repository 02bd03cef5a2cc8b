"""Every decision of a period made again from its stored inputs and snapshot, and held against what was written."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import snapshot_store
from sigmapilot_core.adapters.postgres.schema.stream import decision_inputs, decision_logs
from sigmapilot_core.domain.canonical import uuid_of_text
from sigmapilot_core.domain.codec import Known
from sigmapilot_core.domain.consensus.decision import decide
from sigmapilot_core.domain.consensus.difference import difference
from sigmapilot_core.domain.consensus.inputs import DecisionInputs, Voter
from sigmapilot_core.domain.consensus.provenance import SnapshotIndex, foreign_input
from sigmapilot_core.domain.traders.correlation import PairCorrelation

_IN_BATCHES = {"yield_per": 100}
"""A busy decision and its inputs are 100 kB each."""

_MOST_SHARED = 20_000
NAMED = 20
"""How many differences are described; all are counted."""

TOLD_EVERY = 1_000


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


def recomputed(
    connection: sa.Connection,
    since: datetime,
    before: datetime,
    told: Callable[[Recomputed], None] | None = None,
) -> Recomputed:
    """Make all decisions of [since, before) again: the same bytes, the same id, inputs the snapshot states as well.

    Nothing is read but stored inputs and snapshots, so that it is the same in any process and after any restart.
    `told` hears how far it is, every `TOLD_EVERY` decisions. What is kept does not grow with the decisions.
    """
    found, models, versions = Recomputed(), _Models(connection), set[int]()
    for row in _stored(connection, since, before):
        found.decisions += 1
        versions.add(row.snapshot_version)
        what = models.of(row.snapshot_version).difference(row)
        if what is not None:
            found.note(Difference(str(row.id), row.symbol, row.decided_at, what))
        if told is not None and found.decisions % TOLD_EVERY == 0:
            told(found)
    found.snapshots = len(versions)
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


class _Models:
    """The snapshots of the last decisions: workers go over to a new one each at its own instant."""

    _KEPT = 4

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._held: OrderedDict[int, _Model] = OrderedDict()

    def of(self, version: int) -> _Model:
        """The snapshot of a version, read once while decisions name it."""
        found = self._held.get(version)
        if found is None:
            found = self._held[version] = _Model.read(self._connection, version)
            if len(self._held) > self._KEPT:
                self._held.popitem(last=False)
        self._held.move_to_end(version)
        return found


@dataclass(frozen=True, slots=True)
class _Model:
    """A snapshot, or why it cannot be had; voters and pairs of its decisions recur from one decision to the next."""

    index: SnapshotIndex | str
    known: Known

    @classmethod
    def read(cls, connection: sa.Connection, version: int) -> _Model:
        known: Known = {PairCorrelation: {}, Voter: {}}
        try:
            return cls(SnapshotIndex.of(snapshot_store.read_snapshot(connection, version)), known)
        except (LookupError, ValueError, sa.exc.NoResultFound) as error:
            return cls(f"snapshot {version} is damaged or gone: {error}", known)

    def difference(self, row: sa.Row[Any]) -> str | None:
        """How the decision of a row, made again, differs from it."""
        if row.inputs is None:
            return "its record of inputs is not stored"
        if isinstance(self.index, str):
            return self.index
        for shared in self.known.values():
            if len(shared) > _MOST_SHARED:
                shared.clear()
        try:
            inputs = DecisionInputs.from_json(row.inputs, self.known)
            again = decide(inputs, self.index.snapshot.settings)
        except ValueError as error:
            return f"it cannot be made again: {error}"
        if uuid_of_text(row.inputs) != str(row.id):
            return "its inputs are not those its id was made of"
        return difference(row.record, again.to_json()) or foreign_input(inputs, self.index)
