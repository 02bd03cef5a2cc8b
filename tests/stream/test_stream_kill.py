"""Effects happen once, whoever is killed and whenever: the stream, its feed, Postgres, a replay.

Short in continuous integration; `make kill-test` is the full length: 50 kills, 300 000 fills.
"""

from __future__ import annotations

import random
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from kill_verdicts import damages, decisions, unexplained
from kill_world import (
    MODE,
    SEED,
    STEP_MS,
    TRADES_A_STEP,
    Ordeal,
    StreamProcess,
    database,
    differences,
    model,
    moments,
    progress_of,
    query,
    stepped_venue,
    trades_of,
    until,
)
from stream_harness import publish

from sigmapilot_core.adapters.postgres.decision_store import DECISIONS, OUTCOMES
from sigmapilot_core.adapters.postgres.server import EmbeddedServer


def run(home: Path, url: str, server: EmbeddedServer, steps: int, kills: dict[int, str]) -> Ordeal:
    """The script once, from the first step to an orderly end."""
    publish(url, model())
    trades = trades_of(steps, SEED)

    with stepped_venue(trades) as venue:
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


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_whoever_is_killed_everything_exists_once(
    tmp_path: Path, mortal_server: EmbeddedServer, pytestconfig: pytest.Config
) -> None:
    n_kills, n_fills = pytestconfig.getoption("--kills"), pytestconfig.getoption("--kill-fills")
    steps = -(-n_fills // (2 * TRADES_A_STEP))
    calm, killed = database(mortal_server, "calm"), database(mortal_server, "killed")
    run(tmp_path / "calm", calm, mortal_server, steps, {})
    plan = moments(n_kills, steps, ("stream", "postgres", "feed"))
    course = run(tmp_path / "killed", killed, mortal_server, steps, plan)
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
    again = database(mortal_server, "again", f"replay of {MODE}")
    journal = tmp_path / "killed" / "recording_kills" / "journal"
    sys.stdout.write(replayed(journal, again, killed, max(2, n_kills // 5)))
    assert decisions(again) == decisions(killed)
    assert len(decisions(killed)) > steps
    assert differences(again, killed) == []
    # the stream takes its feed with it
    assert unexplained(calm, killed, (step for step, kind in plan.items() if kind != "postgres")) == []


def report(course: Ordeal, steps: int) -> None:
    times, of_processor = sorted(course.seen.restarts_s), sorted(course.seen.restarts_cpu_s)
    sys.stdout.write(
        f"kills {course.seen.kills}, steps {steps} of {STEP_MS} ms, unplanned ends {course.seen.unplanned}\n"
    )
    if times:
        sys.stdout.write(
            f"restart to first committed input: median {times[len(times) // 2]:.2f} s, worst {times[-1]:.2f} s; of"
            f" processor time {of_processor[len(times) // 2]:.2f} s and {of_processor[-1]:.2f} s\n"
        )
