"""What stands beside the chained logs: inputs, ids and signals of decisions, and the snapshots they were made with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.decision_store import signal_row
from sigmapilot_core.adapters.postgres.schema.model import model_parts, model_snapshots
from sigmapilot_core.adapters.postgres.schema.stream import (
    consensus_signals,
    decision_ids,
    decision_inputs,
    decision_logs,
)
from sigmapilot_core.domain.canonical import sha256_of, sha256_of_text
from sigmapilot_core.domain.codec import from_json
from sigmapilot_core.domain.consensus.record import Decision

_IN_BATCHES = {"yield_per": 100}


@dataclass(frozen=True, slots=True)
class Audited:
    """One chain of one log, or one table (`chain` None); `damage` names its first changed, missing or inserted row."""

    log: str
    chain: int | None
    n_rows: int
    is_anchored: bool
    damage: str | None

    @property
    def name(self) -> str:
        """The table, or the log and its chain."""
        return self.log if self.chain is None else f"{self.log}, chain {self.chain}"


def audited(connection: sa.Connection) -> Iterator[Audited]:
    """Each table with its rows and its first damage."""
    for log, table, damages in (
        ("inputs", decision_inputs, _orphans(connection, "decision_inputs", "decision_id")),
        ("ids", decision_ids, _ids(connection)),
        ("signals", consensus_signals, _signals(connection)),
        ("snapshots", model_snapshots, _snapshots(connection)),
    ):
        count = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        yield Audited(log, None, count, False, next(damages, None))


def _orphans(connection: sa.Connection, table: str, column: str) -> Iterator[str]:
    """Rows that name a decision which is in no chain. Whole months are dropped from logs and inputs together."""
    held = {"decision_inputs": decision_inputs, "decision_ids": decision_ids}[table].c
    query = (
        sa.select(held[column], held.decided_at)
        .where(
            ~sa.exists().where(decision_logs.c.id == held[column], decision_logs.c.decided_at == held.decided_at),
            held.decided_at >= sa.select(sa.func.min(decision_logs.c.decided_at)).scalar_subquery(),
        )
        .order_by(held.decided_at, held[column])
        .limit(1)
    )
    for row in connection.execute(query):
        yield f"row {row[0]} of {row[1]:%Y-%m-%d %H:%M:%S} is inserted: no decision has this id"


def _ids(connection: sa.Connection) -> Iterator[str]:
    """Ids guard against a second row of one decision: each decision has one, of its own chain and number."""
    yield from _orphans(connection, "decision_ids", "id")
    logs, ids = decision_logs.c, decision_ids.c
    query = (
        sa.select(logs.id, logs.chain, logs.seq, ids.id.label("known"), ids.chain.label("c"), ids.seq.label("s"))
        .select_from(decision_logs)
        .outerjoin(decision_ids, ids.id == logs.id)
        .where(sa.or_(ids.id.is_(None), ids.chain != logs.chain, ids.seq != logs.seq))
        .order_by(logs.chain, logs.seq)
        .limit(1)
    )
    for row in connection.execute(query):
        if row.known is None:
            yield f"row {row.id} is missing: the decision stands in chain {row.chain} as {row.seq}"
        else:
            place = f"the decision is chain {row.chain}, {row.seq}"
            yield f"row {row.id} is changed: it says chain {row.c}, {row.s}; {place}"


def _signals(connection: sa.Connection) -> Iterator[str]:
    """A signal row for every decision of type signal and for no other, with the figures of its record."""
    logs, shown = decision_logs.c, consensus_signals.c
    stray = sa.select(shown.id).where(
        ~sa.exists().where(logs.id == shown.id, logs.decision_type == "signal"),
        shown.created_at >= sa.select(sa.func.min(logs.decided_at)).scalar_subquery(),
    )
    for found in connection.execute(stray.order_by(shown.id).limit(1)):
        yield f"row {found.id} is inserted: no decision of type signal has this id"
    query = (
        sa.select(logs.id.label("decision"), logs.record, consensus_signals)
        .select_from(decision_logs)
        .outerjoin(consensus_signals, shown.id == logs.id)
        .where(logs.decision_type == "signal")
        .order_by(logs.decided_at)
    )
    with connection.execute(query, execution_options=_IN_BATCHES) as rows:
        for row in rows.mappings():
            yield from _signal_damage(row)


def _signal_damage(row: sa.RowMapping) -> Iterator[str]:
    if row["id"] is None:
        yield f"row {row['decision']} is missing: the decision is a signal"
        return
    expected = signal_row(from_json(Decision, row["record"], "record"), row["latency_ms"])
    for name, value in expected.items():
        if row[name] != value:
            yield f"row {row['id']} is changed: its {name} is {row[name]!r}, its record says {value!r}"


def _snapshots(connection: sa.Connection) -> Iterator[str]:
    """Content of every part against its hash, every snapshot against those of its parts and settings."""
    parts: dict[tuple[str, int], str] = {}
    with connection.execute(sa.select(model_parts), execution_options={"yield_per": 20}) as rows:
        for part in rows:
            parts[part.part, part.version] = part.hash
            if sha256_of_text(part.content) != part.hash:
                yield f"{part.part} part {part.version} is changed: its content does not have its hash"
    for row in connection.execute(sa.select(model_snapshots).order_by(model_snapshots.c.version)):
        missing = [
            f"{n} part {v}" for n, v in (("slow", row.slow_version), ("fast", row.fast_version)) if (n, v) not in parts
        ]
        if missing:
            yield f"snapshot {row.version}: {missing[0]} is missing"
            continue
        made_of = {
            "slow": parts["slow", row.slow_version],
            "fast": parts["fast", row.fast_version],
            "settings": sha256_of_text(row.settings),
            "mode": row.mode,
            "pool_flavour": row.pool_flavour,
        }
        if sha256_of(made_of) != row.hash:
            yield f"snapshot {row.version} is changed: parts, settings or mode do not have its hash"
    used = sa.select(decision_logs.c.snapshot_version).distinct()
    known = sa.select(model_snapshots.c.version)
    for version in connection.execute(used.where(decision_logs.c.snapshot_version.not_in(known)).limit(1)).scalars():
        yield f"snapshot {version} is missing: decisions were made with it"
