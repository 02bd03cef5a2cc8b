"""Who owns a partition of the stream, how far it got, and the state its next owner goes on from.

Every claim raises the partition's epoch. Whoever writes locks the row and names the epoch it was given and the input it
went on from: a process that was taken for dead finds another epoch and is refused, with everything it wanted to write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmapilot_core.adapters.postgres.schema.stream import stream_checkpoints, stream_partitions, stream_progress


class FencedError(RuntimeError):
    """Another process owns the partition now: nothing of this one's is written any more."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A partition taken over: `seq` is its last committed input, -1 before the first; `epoch` counts its owners."""

    partition: str
    owner: str
    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored state: the input it stands behind, the code that wrote it, its packed bytes."""

    seq: int
    code: str
    state: bytes


def claim(connection: sa.Connection, partition: str, owner: str) -> Claim:
    """Take a partition over; whoever had it cannot write any more once this is committed."""
    table = stream_progress
    statement = insert(table).values(partition=partition, seq=-1, epoch=1, owner=owner)
    row = connection.execute(
        statement.on_conflict_do_update(
            index_elements=["partition"],
            set_={"epoch": table.c.epoch + 1, "owner": owner, "updated_at": sa.func.now()},
        ).returning(table.c.epoch, table.c.seq)
    ).one()
    return Claim(partition, owner, row.epoch, row.seq)


def advance(connection: sa.Connection, held: Claim, seq: int) -> Claim:
    """Move the progress from the input the claim names to a later one, in the transaction of the effects.

    Raises:
        FencedError: the row says otherwise: the transaction must not be committed.
        ValueError: the input is an earlier one.
    """
    if seq < held.seq:
        raise ValueError(f"partition {held.partition} is at {held.seq} and never goes back to {seq}")
    table = stream_progress
    done = connection.execute(
        table.update()
        .where(table.c.partition == held.partition, table.c.epoch == held.epoch, table.c.seq == held.seq)
        .values(seq=seq, updated_at=sa.func.now())
    )
    if done.rowcount != 1:
        raise FencedError(f"partition {held.partition}: epoch {held.epoch} of {held.owner} at {held.seq} is over")
    return Claim(held.partition, held.owner, held.epoch, seq)


def hold(connection: sa.Connection, held: Claim) -> None:
    """Keep others from taking over until the transaction ends.

    Raises:
        FencedError: somebody has: the transaction must not be committed.
    """
    table = stream_progress
    query = sa.select(table.c.epoch).where(table.c.partition == held.partition).with_for_update()
    if connection.execute(query).scalar() != held.epoch:
        raise FencedError(f"{held.partition}: epoch {held.epoch} of {held.owner} is over")


def is_committed(connection: sa.Connection, held: Claim, seq: int) -> bool:
    """Whether this owner has moved the progress to a later input already: the answer to that transaction was lost.

    Locks the row until the transaction ends.
    """
    table = stream_progress
    query = sa.select(table.c.epoch, table.c.seq).where(table.c.partition == held.partition).with_for_update()
    row = connection.execute(query).first()
    return row is not None and seq > held.seq and (row.epoch, row.seq) == (held.epoch, seq)


def store_checkpoint(connection: sa.Connection, held: Claim, stored: Stored) -> None:
    """Replace the partition's state; the caller has advanced the claim in the same transaction."""
    values = {"seq": stored.seq, "code": stored.code, "state": stored.state, "updated_at": sa.func.now()}
    statement = insert(stream_checkpoints).values(partition=held.partition, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["partition"], set_=values))


def read_checkpoint(connection: sa.Connection, partition: str) -> Stored | None:
    """The newest state of a partition; None if none was stored."""
    table = stream_checkpoints
    row = connection.execute(sa.select(table).where(table.c.partition == partition)).first()
    return None if row is None else Stored(row.seq, row.code, row.state)


def store_reports(connection: sa.Connection, reports: Mapping[str, Mapping[str, Any]]) -> None:
    """What the owners of partitions say of them."""
    for partition, report in sorted(reports.items()):
        values = {"report": report, "updated_at": sa.func.now()}
        statement = insert(stream_partitions).values(partition=partition, **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["partition"], set_=values))


def read_reports(connection: sa.Connection) -> dict[str, dict[str, Any]]:
    """What was last said of each partition, with its age by the database's clock."""
    table = stream_partitions
    age = sa.func.extract("epoch", sa.func.now() - table.c.updated_at).label("age_s")
    rows = connection.execute(sa.select(table.c.partition, table.c.report, age))
    return {row.partition: {**row.report, "age_s": float(row.age_s)} for row in rows}


def read_progress(connection: sa.Connection) -> dict[str, int]:
    """Last committed input of every partition that was ever claimed."""
    table = stream_progress
    return {row.partition: row.seq for row in connection.execute(sa.select(table.c.partition, table.c.seq))}
