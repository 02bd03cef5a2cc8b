"""Old months go: partitions past their retention are dropped, after the decision log's chains were anchored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects.postgresql import insert

from sigmapilot_core.adapters.postgres.decision_store import DECISIONS, verify_chain
from sigmapilot_core.adapters.postgres.partitions import PARTITIONED, month_of
from sigmapilot_core.adapters.postgres.schema.stream import chain_anchors, decision_ids, decision_inputs, decision_logs
from sigmapilot_core.domain.consensus.chain import CHAIN_COUNT

LOCK_WAIT_MS = 5000
"""A partition is dropped under a lock on its whole table: whoever writes waits behind us, so we do not wait long."""


class DamagedChainError(RuntimeError):
    """A chain does not verify: its rows are evidence, so no anchor may replace them."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was removed: partitions by name, and the number of chains whose beginning is an anchor now."""

    partitions: tuple[str, ...]
    anchored: int


def months_ago(now: datetime, months: int) -> datetime:
    """First instant of the month so many months before the one of `now`, UTC."""
    start = month_of(now)
    year, month = divmod(start.year * 12 + start.month - 1 - months, 12)
    return start.replace(year=year, month=month + 1)


def drop_before(connection: sa.Connection, first_kept: datetime, lock_wait_ms: int = LOCK_WAIT_MS) -> Dropped:
    """Drop every monthly partition that ends at or before `first_kept`, the beginning of a month.

    Before decisions go, the last row of each chain among them goes to `chain_anchors`; the rest verifies from there.

    Raises:
        DamagedChainError: a chain does not verify; nothing is dropped.
        LockNotAvailable: (psycopg's) someone used the table for longer than `lock_wait_ms`; nothing is dropped.
    """
    names = _partitions_before(connection, first_kept)
    if not names:
        return Dropped((), 0)
    anchored = 0
    if any(name.startswith(f"{decision_logs.name}_y") for name in names):
        anchored = _anchor(connection, first_kept)
    connection.execute(sa.select(sa.func.set_config("lock_timeout", f"{lock_wait_ms}ms", True)))
    raw = connection.connection.driver_connection
    for name in names:
        raw.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))  # type: ignore[union-attr]
    return Dropped(tuple(names), anchored)


def _partitions_before(connection: sa.Connection, first_kept: datetime) -> list[str]:
    """Names of `<table>_y<year>m<month>` below a month, as they sort."""
    query = sa.text(
        """
        SELECT child.relname FROM pg_inherits
          JOIN pg_class child ON child.oid = inhrelid
          JOIN pg_class parent ON parent.oid = inhparent
         WHERE parent.relname = :parent AND child.relname >= :from AND child.relname < :below
         ORDER BY 1
        """
    )
    found: list[str] = []
    for item in PARTITIONED:
        bound = {
            "parent": item.table,
            "from": f"{item.table}_y",
            "below": f"{item.table}_y{first_kept:%Y}m{first_kept:%m}",
        }
        found += connection.execute(query, bound).scalars()
    return found


def _anchor(connection: sa.Connection, first_kept: datetime) -> int:
    logs = decision_logs.c
    last_rows = connection.execute(
        sa.select(logs.chain, logs.seq, logs.row_hash)
        .where(logs.decided_at < first_kept)
        .distinct(logs.chain)
        .order_by(logs.chain, logs.seq.desc())
    ).all()
    for number in range(CHAIN_COUNT):
        if (finding := verify_chain(connection, DECISIONS, number).finding) is not None:
            raise DamagedChainError(
                f"chain {number} of the decision log is damaged at row {finding.seq} ({finding.detail}); nothing is "
                "dropped until a person has looked: sigmapilot verify"
            )
    for row in last_rows:
        anchor = {"log": DECISIONS, "chain": row.chain, "seq": row.seq, "row_hash": row.row_hash}
        connection.execute(insert(chain_anchors).values(**anchor).on_conflict_do_nothing())
        _remove_stragglers(connection, row.chain, row.seq, first_kept)
    connection.execute(decision_ids.delete().where(decision_ids.c.decided_at < first_kept))
    return len(last_rows)


def _remove_stragglers(connection: sa.Connection, chain: int, seq: int, first_kept: datetime) -> None:
    """Rows up to an anchor go as a whole: with several workers one of the next month may stand before it."""
    logs, inputs, ids = decision_logs.c, decision_inputs.c, decision_ids.c
    gone = list(
        connection.execute(
            decision_logs.delete()
            .where(logs.chain == chain, logs.seq <= seq, logs.decided_at >= first_kept)
            .returning(logs.id)
        ).scalars()
    )
    if gone:
        connection.execute(decision_inputs.delete().where(inputs.decision_id.in_(gone)))
        connection.execute(decision_ids.delete().where(ids.id.in_(gone)))
