"""Whether a replay decided what the live run decided: byte for byte, and where not, in which field first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.schema.stream import decision_logs
from sigmapilot_core.domain.consensus.difference import difference
from sigmapilot_stream.replaying.player import Played

Key = tuple[int, int, str]
"""Number of the input that caused a decision, its instant, its coin."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Decisions of the inputs that were played, in both databases; `first` names the first difference."""

    n_live: int
    n_replayed: int
    n_same: int
    first: str | None


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    record: str
    row_hash: str


def compared(live: sa.Connection, replayed: sa.Connection, played: Played, partition: str) -> Compared:
    """Compare the decisions of the inputs that were played; the chains' hashes as well where all of it was."""
    theirs, ours = _rows(live, played, partition), _rows(replayed, played, partition)
    same, first = 0, None
    for key in sorted({*theirs, *ours}):
        found = _difference(key, theirs.get(key), ours.get(key), with_hash=played.is_whole)
        same += found is None
        first = first or found
    return Compared(len(theirs), len(ours), same, first)


def _difference(key: Key, live: _Row | None, again: _Row | None, *, with_hash: bool) -> str | None:
    what = f"decision on {key[2]} at {key[1]}, caused by input {key[0]}"
    if live is None or again is None:
        return f"{what}: {'not in the live database' if live is None else 'not made again'}"
    if (found := difference(live.record, again.record)) is not None:
        return f"{what} ({live.id}): {found}"
    if with_hash and live.row_hash != again.row_hash:
        return f"{what} ({live.id}): the same record stands at another place of its chain"
    return None


def _rows(connection: sa.Connection, played: Played, partition: str) -> dict[Key, _Row]:
    return {
        key: row for key, row in _all(connection, partition) if played.first_seq <= key[0] + 1 <= played.last_seq + 1
    }


def _all(connection: sa.Connection, partition: str) -> Iterator[tuple[Key, _Row]]:
    table = decision_logs.c
    query = sa.select(table.id, table.record, table.row_hash)
    with connection.execute(query, execution_options={"yield_per": 1000}) as rows:
        for row in rows:
            record = json.loads(row.record)
            of_partition, _, seq = record["trigger_event_id"].rpartition("-")
            if of_partition == partition:
                yield (int(seq), int(record["decided_at_ms"]), record["asset"]), _Row(row.id, row.record, row.row_hash)
