"""A stored decision laid open: its explanation from the stored inputs, and the runs behind its snapshot."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.queries import Row, first, rows
from sigmapilot_core.adapters.postgres.schema.model import model_part_runs, model_snapshots
from sigmapilot_core.adapters.postgres.schema.stream import decision_ids, decision_inputs, decision_logs
from sigmapilot_core.domain.consensus.decision import recompute
from sigmapilot_core.domain.consensus.explanation import Explanation, explanation
from sigmapilot_core.domain.consensus.inputs import DecisionInputs
from sigmapilot_core.domain.snapshot import settings_from_json


class NotExplainableError(RuntimeError):
    """The decision cannot be laid open; one sentence. `is_absent`: there is none of this id."""

    def __init__(self, sentence: str, *, is_absent: bool = False) -> None:
        super().__init__(sentence)
        self.is_absent = is_absent


@dataclass(frozen=True, slots=True)
class Explained:
    """An explanation with where it stands in the log. `is_same` tells whether the decision, made again from its stored
    inputs, is the stored one byte for byte. `runs` are those that made the parts of the snapshot.
    """

    explanation: Explanation
    decided_at: object
    row_hash: str
    chain: int
    seq: int
    is_same: bool
    snapshot: Row
    runs: list[Row]


def explained(connection: sa.Connection, decision_id: str) -> Explained:
    """Lay one decision open.

    Errors: NotExplainableError for an unknown id, and where inputs or snapshot are gone or do not parse.
    """
    row = _stored(connection, decision_id)
    try:
        params = settings_from_json(row["settings"])
        found = explanation(DecisionInputs.from_json(row["inputs"]), params)
        is_same = recompute(row["inputs"], params) == row["record"]
    except ValueError as error:
        raise NotExplainableError(f"decision {decision_id} cannot be explained: {error}") from error
    named = ("snapshot_version", "hash", "slow_version", "fast_version", "published_at", "dagster_run_id")
    return Explained(
        explanation=found,
        decided_at=row["decided_at"],
        row_hash=row["row_hash"],
        chain=row["chain"],
        seq=row["seq"],
        is_same=is_same,
        snapshot={name: row[name] for name in named},
        runs=_runs(connection, row["slow_version"], row["fast_version"]),
    )


def _stored(connection: sa.Connection, decision_id: str) -> Row:
    ids, logs, inputs, models = decision_ids.c, decision_logs.c, decision_inputs.c, model_snapshots.c
    at = connection.execute(sa.select(ids.decided_at).where(ids.id == decision_id)).scalar()
    if at is None:
        raise NotExplainableError(f"there is no decision {decision_id}", is_absent=True)
    own = (logs.record, logs.row_hash, logs.chain, logs.seq, logs.decided_at, logs.snapshot_version)
    made = (models.settings, models.hash, models.slow_version, models.fast_version, models.published_at)
    row = first(
        connection,
        sa.select(*own, inputs.inputs, *made, models.dagster_run_id)
        .select_from(decision_logs)
        .outerjoin(decision_inputs, (inputs.decision_id == logs.id) & (inputs.decided_at == logs.decided_at))
        .outerjoin(model_snapshots, models.version == logs.snapshot_version)
        .where(logs.id == decision_id, logs.decided_at == at),
    )
    if row is None:
        raise NotExplainableError(f"decision {decision_id} of {at:%Y-%m-%d} is no longer stored", is_absent=True)
    for name, text in (("its inputs are", row["inputs"]), (f"snapshot {row['snapshot_version']} is", row["settings"])):
        if text is None:
            raise NotExplainableError(f"decision {decision_id} cannot be explained: {name} not stored")
    return row


def _runs(connection: sa.Connection, slow_version: int, fast_version: int) -> list[Row]:
    c = model_part_runs.c
    wanted = ((c.part == "slow") & (c.version == slow_version)) | ((c.part == "fast") & (c.version == fast_version))
    found = rows(
        connection, sa.select(model_part_runs).where(wanted).order_by(c.part.desc(), c.materialized_at, c.asset)
    )
    # plain keys: the driver's names are a kind of text that not every JSON writer takes
    return [{str(name): value for name, value in row.items()} for row in found]
