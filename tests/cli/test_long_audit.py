"""`replay --all` and `verify` over a log of some length: memory stays flat, progress is told, Ctrl-C ends in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import snapshot_store
from sigmapilot_core.adapters.postgres.audit import audited, state_of
from sigmapilot_core.adapters.postgres.decision_store import append_decisions
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.recompute import TOLD_EVERY, Recomputed, recomputed
from tests.cli.test_audit import MODEL, made

pytestmark = pytest.mark.slow
DECISIONS = 4 * TOLD_EVERY
ALLOWED_GROWTH = 20 * 1024 * 1024
BEGIN, END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@pytest.fixture
def long_log(pg_url: str) -> Iterator[sa.Engine]:
    engine = create_engine(pg_url)
    with engine.begin() as connection:
        snapshot_store.publish(connection, MODEL, None)
        for first in range(1, DECISIONS + 1, 500):
            append_decisions(connection, [made(number) for number in range(first, first + 500)])
    yield engine
    engine.dispose()


@pytest.mark.usefixtures("long_log")
def test_memory_stays_flat_and_progress_is_told(pg_url: str) -> None:
    held: list[int] = []
    with state_of(pg_url) as connection:
        found = recomputed(connection, BEGIN, END, lambda _: held.append(psutil.Process().memory_info().rss))
    assert (found.decisions, found.differing, len(held)) == (DECISIONS, 0, DECISIONS // TOLD_EVERY)
    assert held[-1] - held[0] < ALLOWED_GROWTH
    names: list[str] = []
    walked = audited(pg_url, lambda item: names.append(item.name))
    assert names == [item.name for item in walked]
    assert [item.damage for item in walked] == [None] * len(walked)


def test_ctrl_c_in_the_middle_ends_without_a_traceback_and_leaves_no_session(
    long_log: sa.Engine, pg_url: str, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "sigmapilot_cli", "replay", "--all"],
        env=os.environ | {"SIGMAPILOT_DATABASE_URL": pg_url, "SIGMAPILOT_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith(f"{TOLD_EVERY} decisions made again, 0 differ")
    process.send_signal(signal.SIGINT)
    said, error = process.communicate(timeout=60)
    assert process.returncode != 0
    assert (said, "Traceback" in error) == ("", False)
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    deadline = time.monotonic() + 10
    with long_log.connect() as connection:
        while connection.execute(sa.text(others)).scalar_one():  # the server ends a session after its client has gone
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_what_is_told_counts_what_was_done(pg_url: str, long_log: sa.Engine) -> None:
    with long_log.begin() as connection:
        connection.execute(sa.text("UPDATE decision_inputs SET inputs = replace(inputs, 'event-7\"', 'event-x\"')"))
    heard: list[tuple[int, int]] = []

    def told(found: Recomputed) -> None:
        heard.append((found.decisions, found.differing))

    with state_of(pg_url) as connection:
        recomputed(connection, BEGIN, END, told)
    assert heard == [(TOLD_EVERY * n, 1) for n in range(1, DECISIONS // TOLD_EVERY + 1)]
