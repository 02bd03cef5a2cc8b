"""Effects happen once, whoever is killed and whenever: the stream, its feed, Postgres, a replay.

Short in continuous integration; `make kill-test` is the full length: 50 kills, 300 000 fills.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from kill_world import (
    DELAY_MS,
    MODE,
    STEP_MS,
    TRADES_A_STEP,
    KillSource,
    Ordeal,
    StreamProcess,
    differences,
    model,
    progress_of,
    query,
    trades_of,
    until,
)
from stream_harness import publish

from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.emulator.config import EmulatorConfig, LimitConfig, StreamConfig
from sigmapilot_core.adapters.emulator.server import in_thread
from sigmapilot_core.adapters.emulator.service import Emulator
from sigmapilot_core.adapters.postgres.databases import ensure_database, prepare_database
from sigmapilot_core.adapters.postgres.decision_store import DECISIONS, OUTCOMES, verify_chain
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.paths import ServerPaths
from sigmapilot_core.adapters.postgres.server import EmbeddedServer
from sigmapilot_core.domain.consensus.chain import CHAIN_COUNT
from tests.domain.engine.engine_builders import T0

SEED = 20_251_027
CONFIG = EmulatorConfig(
    stepped=True,
    limits=LimitConfig(enabled=False),
    # what a step brings of one coin fits into the replay after a subscribe: whatever a kill costs can be had again
    stream=StreamConfig(trade_replay=4 * TRADES_A_STEP, queue_frames=100_000, idle_s=3_600, consumer_timeout_s=60),
)


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    """A durable server of its own: it is going to be killed."""
    root = Path(tempfile.mkdtemp(prefix="sp-kill-pg-", dir="/tmp"))
    found = EmbeddedServer(ServerPaths(root), copies=Path(tempfile.gettempdir(), "sp-pg-binaries"))
    found.start()
    yield found
    found.stop()
    shutil.rmtree(root)


def database(server: EmbeddedServer, name: str, mode: str = MODE) -> str:
    url = server.paths.url(name, driver="psycopg")
    ensure_database(url)
    prepare_database(url, mode)
    return url


def moments(kills: int, steps: int) -> dict[int, str]:
    """Which step is disturbed, and by whom: all kinds in turn, the places random."""
    rng = random.Random(SEED)
    places = sorted(rng.sample(range(2, steps - 1), kills))
    kinds = ["stream", "postgres", "feed"] * kills
    chosen = kinds[:kills]
    rng.shuffle(chosen)
    return dict(zip(places, chosen, strict=True))


def run(home: Path, url: str, server: EmbeddedServer, steps: int, kills: dict[int, str]) -> Ordeal:
    """The script once, from the first step to an orderly end."""
    publish(url, model())
    trades = trades_of(steps, SEED)

    def build() -> Emulator:
        return Emulator(CONFIG, FeedClock(T0), seconds=lambda: 0.0)

    with in_thread(build, lambda emulator: emulator.open(KillSource(trades))) as venue:
        course = Ordeal(StreamProcess(home, url, venue.url), server, venue, SEED)
        try:
            course.begin()
            course.play(steps, kills)
            assert course.finish(2 * len(trades)) == 0, course.stream.log.read_text()[-3000:]
        finally:
            if not course.stream.has_ended:
                course.stream.kill()
    return course


def replayed(journal: Path, url: str, against: str, kills: int) -> str:
    """Play the journal into a database, killed now and then and gone on with; what it said at the end."""
    rng = random.Random(SEED)
    last = progress_of(against)
    for aim in sorted(rng.sample(range(last // 20, last * 9 // 10), kills)):
        process = subprocess.Popen([*_replay(journal, url)], stdout=subprocess.DEVNULL)
        until("the replay comes so far", partial(_has_come, process, url, aim))
        process.kill()
        process.wait()
    done = subprocess.run([*_replay(journal, url), "--against", against], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _has_come(process: subprocess.Popen[bytes], url: str, aim: int) -> bool:
    return process.poll() is not None or progress_of(url) >= aim


def _replay(journal: Path, url: str) -> list[str]:
    return [sys.executable, "-m", "sigmapilot_stream.replaying", "--journal", str(journal), "--database", url]


def decisions(url: str) -> list[tuple[object, ...]]:
    return query(url, "SELECT chain, seq, id, row_hash, record FROM decision_logs ORDER BY 1, 2")


def is_explained(records: list[str | None], disturbed: set[int]) -> bool:
    """Whether a decision that differs from the undisturbed run's rests on inputs that the kill made old or unknown, or
    was made in the very step in which the feed was killed: its frames come again in another order, so that the
    decision is made on the book before or behind."""
    for record in (json.loads(text) for text in records if text is not None):
        names = ("inputs_fresh", "freshness")
        if any(gate["passed"] is not True for gate in record["gates"] if gate["name"] in names):
            return True
        if int(record["decided_at_ms"]) in disturbed:
            return True
    return False


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_whoever_is_killed_everything_exists_once(
    tmp_path: Path, server: EmbeddedServer, pytestconfig: pytest.Config
) -> None:
    n_kills, n_fills = pytestconfig.getoption("--kills"), pytestconfig.getoption("--kill-fills")
    steps = -(-n_fills // (2 * TRADES_A_STEP))
    calm, killed = database(server, "calm"), database(server, "killed")
    run(tmp_path / "calm", calm, server, steps, {})
    plan = moments(n_kills, steps)
    course = run(tmp_path / "killed", killed, server, steps, plan)
    report(course, steps)

    assert sum(course.seen.kills.values()) == n_kills
    assert course.seen.unplanned == 0, course.stream.log.read_text()[-3000:]
    # every fill, position, episode exists once, and is what it is without kills; posteriors follow from them
    assert differences(killed, calm) == []
    assert query(killed, "SELECT count(*) FROM fills")[0][0] == 2 * steps * TRADES_A_STEP
    assert query(killed, "SELECT count(*), count(DISTINCT client_order_id) FROM execution_logs WHERE leg = 'entry'")
    assert query(killed, "SELECT * FROM feed_gaps") == []
    assert query(killed, "SELECT * FROM dead_records") == []
    for log in (DECISIONS, OUTCOMES):
        assert all(finding is None for finding in damages(killed, log))

    # where the inputs carry their receive time, decisions are the same: the journal of the killed run, played by a
    # process that is killed as well
    again = database(server, "again", f"replay of {MODE}")
    journal = tmp_path / "killed" / "recording_kills" / "journal"
    sys.stdout.write(replayed(journal, again, killed, max(2, n_kills // 5)))
    assert decisions(again) == decisions(killed)
    assert len(decisions(killed)) > steps
    assert differences(again, killed) == []
    assert unexplained(calm, killed, plan) == []


def damages(url: str, log: str) -> list[object]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = [verify_chain(connection, log, number).finding for number in range(CHAIN_COUNT)]
    engine.dispose()
    return found


def unexplained(calm: str, killed: str, plan: dict[int, str]) -> list[str]:
    """Instants after which another decision on a coin is in force than in the undisturbed run, without an input to
    blame. What several frames brought one by one can come in one after a kill: what counts is what was decided last.
    """
    one, other = in_force(calm), in_force(killed)
    # the stream takes its feed with it
    steps = {step + more for step, kind in plan.items() if kind != "postgres" for more in (1, 2)}
    disturbed = {T0 + step * STEP_MS + DELAY_MS for step in steps}
    found, differing = [], 0
    for coin, at in sorted({(coin, at) for log in (one, other) for coin, rows in log.items() for at, _ in rows}):
        before, after = last(one, coin, at), last(other, coin, at)
        if verdicts(before) != verdicts(after):
            differing += 1
            if not is_explained([before, after], disturbed):
                found.append(f"{coin} at {at}: {verdicts(before)} became {verdicts(after)}")
    sys.stdout.write(f"decisions in force that differ in a gate: {differing}, of these without reason {len(found)}\n")
    return found


def in_force(url: str) -> dict[str, list[tuple[datetime, str]]]:
    """Decisions of each coin in order."""
    found: dict[str, list[tuple[datetime, str]]] = {}
    for at, coin, record in query(url, "SELECT decided_at, symbol, record FROM decision_logs ORDER BY chain, seq"):
        found.setdefault(coin, []).append((at, record))
    return found


def last(log: dict[str, list[tuple[datetime, str]]], coin: str, at: datetime) -> str | None:
    rows = log.get(coin, [])
    position = bisect_right(rows, at, key=lambda row: row[0])
    return rows[position - 1][1] if position else None


def verdicts(record: str | None) -> list[tuple[str, bool | None]]:
    return [] if record is None else [(gate["name"], gate["passed"]) for gate in json.loads(record)["gates"]]


def report(course: Ordeal, steps: int) -> None:
    times = sorted(course.seen.restarts_s)
    sys.stdout.write(
        f"kills {course.seen.kills}, steps {steps} of {STEP_MS} ms, unplanned ends {course.seen.unplanned}\n"
    )
    if times:
        sys.stdout.write(
            f"restart to first committed input: median {times[len(times) // 2]:.2f} s, worst {times[-1]:.2f} s\n"
        )
