"""Many decisions made again by a process for each processor, as no decision needs another."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime

import sqlalchemy as sa

from sigmapilot_core.adapters.child_process import die_with_parent
from sigmapilot_core.adapters.postgres.audit import state_of
from sigmapilot_core.adapters.postgres.recompute import NAMED, Recomputed, recomputed

BULK_DECISIONS = 2_000
"""From so many decisions on, further processes take less time than they need to start."""

_PARTS_PER_PROCESS = 4  # decisions are not equally large: who is done early takes another part


def recomputed_by_all(
    connection: sa.Connection,
    since: datetime,
    before: datetime,
    bulk_decisions: int = BULK_DECISIONS,
    processes: int | None = None,
) -> Recomputed:
    """What `recomputed` finds, in a process for each processor once there are `bulk_decisions`.

    Each reads a part of the period on a connection of its own: nothing that is logged is changed afterwards, and what
    is logged meanwhile belongs to the last part.
    """
    workers = len(os.sched_getaffinity(0)) if processes is None else processes
    count, begins = _parts(connection, since, before, workers * _PARTS_PER_PROCESS)
    if workers < 2 or count < bulk_decisions:
        return recomputed(connection, since, before)
    starts, ends = [since, *begins[1:]], [*begins[1:], before]
    url = connection.engine.url.render_as_string(hide_password=False)
    context = multiprocessing.get_context("spawn")  # a fork would inherit the connections and threads of a step
    with ProcessPoolExecutor(workers, context, _begin, (os.getpid(),)) as pool:
        return _together(pool.map(_part, [url] * len(starts), starts, ends))


def _parts(connection: sa.Connection, since: datetime, before: datetime, wanted: int) -> tuple[int, list[datetime]]:
    """(decisions of the period, when each of so many equal parts of them begins)."""
    query = sa.text(
        """
        SELECT count(*) AS n_decisions, min(decided_at) AS begins
          FROM (SELECT decided_at, ntile(:wanted) OVER (ORDER BY decided_at) AS part
                  FROM decision_logs WHERE decided_at >= :since AND decided_at < :before) decision
         GROUP BY part ORDER BY part
        """
    )
    found = connection.execute(query, {"wanted": wanted, "since": since, "before": before}).all()
    return sum(row.n_decisions for row in found), [row.begins for row in found]


def _begin(parent: int) -> None:
    die_with_parent(parent=parent)()


def _part(url: str, since: datetime, before: datetime) -> Recomputed:
    with state_of(url) as connection:
        return recomputed(connection, since, before)


def _together(parts: Iterable[Recomputed]) -> Recomputed:
    whole = Recomputed()
    for part in parts:
        whole.decisions += part.decisions
        whole.differing += part.differing
        whole.versions |= part.versions
        whole.named += part.named[: NAMED - len(whole.named)]
    return whole
