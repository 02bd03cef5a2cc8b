"""The state is written from a copy of the process: deciding goes on at once, and what is kept is what was then."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from stream_inputs import story

from sigmapilot_core.adapters.forked import Forked
from sigmapilot_core.adapters.journal.checkpoints import Checkpoint, CheckpointStore, dumped
from sigmapilot_core.adapters.journal.writer import JournalWriter
from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_stream.course import Course
from sigmapilot_stream.services.checkpointing import AGAIN_S, Checkpointing
from sigmapilot_stream.worker import Worker
from tests.domain.engine.engine_builders import T0

RECORDS = story().records
HALF = len(RECORDS) // 2


def worker_after(count: int) -> Worker:
    found = Worker("0", lambda: T0)
    found.handle(RECORDS[:count])
    return found


def kept(store: CheckpointStore) -> list[bytes]:
    found = [store.read(seq) for seq in store.seqs()]
    return [dumped(checkpoint) for checkpoint in found if checkpoint is not None]


@pytest.mark.parametrize("in_a_copy", [True, False])
async def test_what_is_kept_is_the_state_of_the_moment_however_it_goes_on(tmp_path: Path, in_a_copy: bool) -> None:
    store, worker = CheckpointStore(tmp_path, "0", "code"), worker_after(HALF)
    metrics = Metrics(CollectorRegistry())
    checkpointing = Checkpointing(store, metrics, in_a_copy=in_a_copy)
    await checkpointing.take(worker, HALF - 1)
    worker.handle(RECORDS[HALF:])
    await checkpointing.written()
    found = store.read(HALF - 1)
    assert found is not None
    again = Worker("0", lambda: T0)
    again.go_on_from(found.state)
    effects, _ = again.handle(RECORDS[HALF:])
    undisturbed, _ = worker_after(HALF).handle(RECORDS[HALF:])
    assert [made.decision for made in effects.decisions] == [made.decision for made in undisturbed.decisions]
    assert len(effects.decisions) > 0
    assert metrics.sigmapilot_checkpoint_bytes._value.get() > 0


async def test_a_copy_writes_the_bytes_that_the_process_itself_would(tmp_path: Path) -> None:
    states = []
    for way in (True, False):
        store = CheckpointStore(tmp_path / str(way), "0", "code")
        checkpointing = Checkpointing(store, Metrics(CollectorRegistry()), in_a_copy=way)
        await checkpointing.take(worker_after(HALF), HALF - 1)
        await checkpointing.written()
        states += kept(store)
    assert states[0] == states[1]


async def test_a_copy_that_fails_costs_the_checkpoint_and_nothing_else(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, "0", "code")
    (tmp_path / "0").write_text("no folder")
    checkpointing = Checkpointing(store, Metrics(CollectorRegistry()))
    await checkpointing.take(worker_after(HALF), HALF - 1)
    await checkpointing.written()
    assert not checkpointing.is_due


async def test_what_took_long_to_apply_is_kept_before_its_time_and_no_oftener_than_may_be(tmp_path: Path) -> None:
    checkpointing = Checkpointing(CheckpointStore(tmp_path, "0", "code"), Metrics(CollectorRegistry()))
    checkpointing.applied(AGAIN_S / 2)
    assert not checkpointing.is_due
    checkpointing.applied(AGAIN_S / 2)
    assert checkpointing.is_due
    await checkpointing.take(worker_after(HALF), HALF - 1)
    await checkpointing.written()
    assert not checkpointing.is_due
    # each costs a wait for what is being written
    checkpointing.applied(AGAIN_S)
    assert not checkpointing.is_due


def test_a_course_tells_what_applying_again_took(tmp_path: Path) -> None:
    with JournalWriter(tmp_path, "0", time.monotonic) as journal:
        journal.append_batch([(record.kind, record.received_ms, record.payload) for record in RECORDS])
    course = Course(tmp_path, "0")
    assert course.bring_to(Worker("0", lambda: T0), RECORDS[-1].seq)
    assert course.again_s > 0
    course.checkpoints.write(Checkpoint(RECORDS[-1].seq, course.checkpoints.code, worker_after(len(RECORDS)).state))
    at_once = Course(tmp_path, "0")
    assert at_once.bring_to(Worker("0", lambda: T0), RECORDS[-1].seq)
    assert at_once.again_s == 0


async def test_a_copy_that_hangs_is_killed_in_time() -> None:
    def work() -> int:
        time.sleep(60)
        return 0

    copy = Forked(work)
    began = time.monotonic()
    with pytest.raises(OSError, match="ended with -9"):
        await copy.result(0.1)
    assert time.monotonic() - began < 30


async def test_a_copy_is_not_ended_by_what_its_parent_is_told() -> None:
    def work() -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        return 7

    assert await Forked(work).result(30) == 7
