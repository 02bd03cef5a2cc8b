"""Workers, feed and Postgres killed over a real broker: everything exists once and is what it is without kills.

Short in continuous integration; `make kafka-full` is the full length: 50 kills, 300 000 fills.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import kafka_broker
import pytest
from kill_verdicts import damages, unexplained
from kill_world import (
    DEADLINE_S,
    SEED,
    TRADES_A_STEP,
    Ordeal,
    StreamProcess,
    database,
    differences,
    model,
    moments,
    query,
    stepped_venue,
    trades_of,
    until,
)
from stream_harness import publish

from sigmapilot_core.adapters.emulator.server import RunningEmulator
from sigmapilot_core.adapters.postgres.decision_store import DECISIONS, OUTCOMES
from sigmapilot_core.adapters.postgres.server import EmbeddedServer

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(5_400)]

KINDS = ("worker", "feed", "postgres")
PARTITIONS, WORKERS = 4, 2
WITHOUT_ORDER = """SELECT count(*) FROM consensus_signals s WHERE NOT EXISTS (
    SELECT 1 FROM execution_logs o WHERE o.decision_id = s.id AND o.leg = 'entry')"""


class SharedOrdeal(Ordeal):
    """The same script where a feed and two workers share the work over a broker."""

    READY_S = 240.0
    """Three processes start at once, and the group has to be divided."""

    def __init__(self, feed: StreamProcess, server: EmbeddedServer, venue: RunningEmulator) -> None:
        super().__init__(feed, server, venue, SEED)
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._which = random.Random(SEED)
        self.ended_by_themselves = 0

    def begin(self) -> None:
        for number in range(1, WORKERS + 1):
            self._start_worker(number)
        super().begin()

    def finish(self, fills: int) -> int:
        """Wait until everything is stored and ordered, then end all in order; the sum of the exit codes."""
        stored = partial(query, self.stream.url, "SELECT count(*) FROM fills")
        until("all fills are stored", lambda: self._check_ended() or stored()[0][0] >= fills, 600)
        until("every signal has its order", lambda: self._check_ended() or self._without_order() == 0, 120)
        # one that was just started again is told to end when it can end in order
        until("every worker has its share", lambda: self._check_ended() or self._all_seated(), 120)
        for process in self._workers.values():
            process.terminate()
        codes = [process.wait(DEADLINE_S) for process in self._workers.values()]
        return sum(codes) + self.stream.end()

    def destroy(self) -> None:
        """End whatever still runs."""
        for process in self._workers.values():
            process.kill()
            process.wait()
        if not self.stream.has_ended:
            self.stream.kill()

    def said(self) -> str:
        """The last words of each process."""
        return "\n".join(f"{path.name}: {path.read_text()[-2_000:]}" for path in sorted(self.stream.home.glob("*.log")))

    def _start_worker(self, number: int) -> None:
        said = self.stream.home / f"worker-{number}.log"
        self._workers[number] = self.stream.started(said, "worker", str(number))

    def _kill_worker(self) -> None:
        number = self._which.choice(sorted(self._workers))
        self._workers[number].kill()
        self._workers[number].wait()
        self._start_worker(number)

    def _kill_feed(self) -> None:
        """The whole process: what it read and did not journal is gone with it."""
        self.stream.kill()
        self._start_again(-1)

    def _check_ended(self) -> bool:
        for number, process in self._workers.items():
            if process.poll() is not None:
                # one that was taken for dead ends by itself, and its supervisor starts it again
                self.ended_by_themselves += 1
                self._start_worker(number)
        return super()._check_ended()

    def _all_seated(self) -> bool:
        owners = {owner for (owner,) in query(self.stream.url, "SELECT report ->> 'owner' FROM stream_partitions")}
        return {int(owner.rsplit("-", 1)[1]) for owner in owners} == {process.pid for process in self._workers.values()}

    def _without_order(self) -> int:
        return int(query(self.stream.url, WITHOUT_ORDER)[0][0])


@contextmanager
def fresh_broker(folder: Path, class_path: str) -> Iterator[str]:
    """A broker that nobody has used: topics and groups have one name each."""
    folder.mkdir(parents=True)
    with kafka_broker.running(folder, class_path) as url:
        yield url


def run(
    home: Path, url: str, server: EmbeddedServer, class_path: str, steps: int, kills: dict[int, str]
) -> SharedOrdeal:
    """The script once, from the first step to an orderly end."""
    publish(url, model())
    trades = trades_of(steps, SEED)
    with fresh_broker(home / "broker", class_path) as broker, stepped_venue(trades) as venue:
        settings = {"SIGMAPILOT_BROKER_URL": broker, "SIGMAPILOT_STREAM_PARTITIONS": str(PARTITIONS)}
        course = SharedOrdeal(StreamProcess(home, url, venue.url, settings), server, venue)
        try:
            course.begin()
            course.play(steps, kills)
            assert course.finish(2 * len(trades)) == 0
        except AssertionError:
            sys.stdout.write(course.said())
            raise
        finally:
            course.destroy()
    return course


def test_whoever_is_killed_over_kafka_everything_exists_once(
    tmp_path: Path, mortal_server: EmbeddedServer, class_path: str, kafka_fills: int, kafka_kills: int
) -> None:
    steps = -(-kafka_fills // (2 * TRADES_A_STEP))
    calm, killed = database(mortal_server, "calm"), database(mortal_server, "killed")
    run(tmp_path / "calm", calm, mortal_server, class_path, steps, {})
    plan = moments(kafka_kills, steps, KINDS)
    course = run(tmp_path / "killed", killed, mortal_server, class_path, steps, plan)
    sys.stdout.write(f"kills {course.seen.kills}, workers that ended by themselves {course.ended_by_themselves}\n")

    assert sum(course.seen.kills.values()) == kafka_kills
    assert course.seen.unplanned == 0, course.stream.log.read_text()[-3000:]
    # every fill, position, episode exists once, and is what it is without kills; posteriors follow from them
    assert differences(killed, calm) == []
    assert query(killed, "SELECT count(*) FROM fills")[0][0] == 2 * steps * TRADES_A_STEP
    assert query(killed, "SELECT * FROM feed_gaps") == []
    assert query(killed, "SELECT * FROM dead_records") == []
    entries = "SELECT count(*), count(DISTINCT decision_id) FROM execution_logs WHERE leg = 'entry'"
    ((signals,),) = query(killed, "SELECT count(*) FROM consensus_signals")
    assert query(killed, entries) == [(signals, signals)], "one entry for each signal"
    for log in (DECISIONS, OUTCOMES):
        assert all(finding is None for finding in damages(killed, log))
    assert unexplained(calm, killed, (step for step, kind in plan.items() if kind == "feed")) == []
