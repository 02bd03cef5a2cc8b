"""How far long work is, for people who wait: one row a kind of work, moved on in the transaction of what was done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmapilot_core.adapters.postgres.schema.model import work_progress

HISTORIES = "histories"


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total`, those done by an earlier run included; `ended_at` None while it runs, or was killed."""

    work: str
    run_id: str | None
    total: int
    done: int
    failed: int
    begun_at: datetime
    updated_at: datetime
    ended_at: datetime | None

    @property
    def percent(self) -> float:
        """Share of the whole; nothing to do is all done."""
        return 100.0 * self.done / self.total if self.total else 100.0

    def __str__(self) -> str:
        said = f"{self.work}: {self.done} of {self.total} traders ({self.percent:.0f} %)"
        return f"{said}, {self.failed} without an answer" if self.failed else said


def begin(connection: sa.Connection, work: str, run_id: str, total: int, done: int, at: datetime) -> None:
    """Begin, or go on after a killed run: `done` is what is stored already."""
    row = {"work": work, "run_id": run_id, "total": total, "done": done, "failed": 0}
    times = {"begun_at": at, "updated_at": at, "ended_at": None}
    statement = insert(work_progress).values(**row, **times)
    connection.execute(statement.on_conflict_do_update(index_elements=["work"], set_={**row, **times}))


def advance(connection: sa.Connection, work: str, done: int, failed: int, at: datetime) -> None:
    """One more is done."""
    of_work = work_progress.c.work == work
    connection.execute(work_progress.update().where(of_work).values(done=done, failed=failed, updated_at=at))


def end(connection: sa.Connection, work: str, at: datetime) -> None:
    """All is done."""
    of_work = work_progress.c.work == work
    connection.execute(work_progress.update().where(of_work).values(updated_at=at, ended_at=at))


def read(connection: sa.Connection, work: str) -> Progress | None:
    """How far it is; None if it never began."""
    row = connection.execute(sa.select(work_progress).where(work_progress.c.work == work)).mappings().first()
    return Progress(**row) if row else None
