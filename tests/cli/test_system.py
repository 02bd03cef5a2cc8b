"""A whole (small) system as a process: signals, death, and the commands that look at it from elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from fake_parts import alive_with, eventually

from sigmapilot_core.adapters.postgres.paths import SUPERUSER_ROLE
from sigmapilot_core.adapters.settings import load_settings

_HERE = Path(__file__).parent


class System:
    """One home folder with a fake system in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.story = home / "story"
        self.environment = {"PATH": "/usr/bin:/bin", "SIGMAPILOT_HOME": str(home), "PYTHONPATH": str(_HERE)}
        self.settings = load_settings(environ=self.environment)

    @contextmanager
    def running(self, kind: str = "plain") -> Iterator[subprocess.Popen[str]]:
        words = [sys.executable, str(_HERE / "fake_system.py"), str(self.story), kind]
        with subprocess.Popen(words, env=self.environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    if "two ready" in line:
                        break
                yield process
            finally:
                process.kill()
        assert eventually(lambda: alive_with(str(self.home)) == [])

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sigmapilot_cli", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def told(self) -> list[str]:
        return self.story.read_text().splitlines()


@pytest.fixture
def system() -> Iterator[System]:
    # not pytest's tmp_path: its folders are closed to the account that runs Postgres for root
    home = Path(tempfile.mkdtemp(prefix="sp-home-", dir="/tmp"))
    home.chmod(0o711)
    yield System(home)
    shutil.rmtree(home)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_stops_all_in_reverse_order(system: System, how: signal.Signals) -> None:
    with system.running() as process:
        process.send_signal(how)
        assert process.wait(20) == 0
    assert system.told() == ["start one", "start two", "stop two", "stop one"]


def test_killed_it_leaves_no_process_not_even_what_its_parts_started(system: System) -> None:
    with system.running() as process:
        assert len(alive_with(str(system.home))) == 4  # itself, one, two, what two has started
        process.kill()
        assert eventually(lambda: alive_with(str(system.home)) == [])
    assert "stop one" not in system.told()


def test_a_second_start_refuses_and_names_the_owner(system: System) -> None:
    with system.running() as process:
        second = system.command("up")
    assert second.returncode == 1
    assert f"already running in mode demo (process {process.pid} since 20" in second.stderr
    assert len(second.stderr.splitlines()) == 1


def test_after_a_killed_owner_the_lock_is_free(system: System) -> None:
    with system.running() as process:
        process.kill()
        process.wait()
    with system.running():
        assert json.loads(system.command("status", "--json").stdout)["running"] is True


def test_status_names_every_part_and_ends_with_0_when_all_are_ready(system: System) -> None:
    with system.running() as process:
        found = system.command("status", "--json")
        table = system.command("status")
    answer = json.loads(found.stdout)
    assert (found.returncode, answer["ready"], answer["pid"]) == (0, True, process.pid)
    assert [(part["name"], part["state"]) for part in answer["parts"]] == [("one", "ready"), ("two", "ready")]
    assert "two" in table.stdout


def test_down_stops_it_from_elsewhere(system: System) -> None:
    with system.running() as process:
        said = system.command("down")
        assert process.wait(1) == 0
    assert said.returncode == 0
    assert f"process {process.pid}) has stopped" in said.stdout
    assert system.told()[-1] == "stop one"


def test_logs_shows_what_a_part_wrote(system: System) -> None:
    with system.running():
        said = system.command("logs", "one")
        wrong = system.command("logs", "three")
    assert said.stdout == "at your service\n"
    assert "there is no log of 'three'; allowed: one | two | up." in wrong.stderr


def test_reset_refuses_while_it_runs_and_then_leaves_nothing(system: System) -> None:
    with system.running():
        refused = system.command("reset", "--mode", "demo", "--yes")
    assert refused.returncode == 1
    assert "already running" in refused.stderr
    assert system.command("reset", "--mode", "demo", "--yes").returncode == 0
    assert not system.settings.mode_dir.exists()


def test_postgres_killed_is_back_with_every_committed_row(system: System) -> None:
    with system.running("postgres"):
        insert(system, "CREATE TABLE kept (n int)", "INSERT INTO kept SELECT generate_series(1, 1000)")
        os.kill(part_pid(system, "postgres"), signal.SIGKILL)
        assert eventually(lambda: count(system) == 1000)


def test_postgres_recovers_after_the_whole_system_was_killed(system: System) -> None:
    with system.running("postgres") as process:
        insert(system, "CREATE TABLE kept (n int)", "INSERT INTO kept SELECT generate_series(1, 1000)")
        process.kill()
        assert eventually(lambda: alive_with(str(system.home)) == [])
    with system.running("postgres"):
        assert count(system) == 1000


def insert(system: System, *statements: str) -> None:
    with connect(system) as connection:
        for statement in statements:
            connection.execute(statement)


def count(system: System) -> int:
    try:
        with connect(system) as connection:
            row = connection.execute("SELECT count(*) FROM kept").fetchone()
    except psycopg.OperationalError:
        return -1
    return int(row[0]) if row else -1


def connect(system: System) -> psycopg.Connection:
    return psycopg.connect(system.settings.server_paths.url("postgres", SUPERUSER_ROLE), connect_timeout=5)


def part_pid(system: System, name: str) -> int:
    parts = json.loads((system.settings.mode_dir / "up.json").read_text())["parts"]
    return next(part["pid"] for part in parts if part["name"] == name)
