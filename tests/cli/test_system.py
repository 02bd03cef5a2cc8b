"""A whole (small) system as a process: signals, death, and the commands that look at it from elsewhere."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable

import psycopg
import pytest
from fake_parts import System, alive_with, eventually

from sigmapilot_core.adapters.postgres.paths import SUPERUSER_ROLE, ServerPaths

Command = Callable[..., tuple[int, str, str]]
PutCluster = Callable[[ServerPaths], None]


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


def test_a_second_start_refuses_and_names_the_owner(steady: System, command: Command) -> None:
    code, _, error = command("up", home=steady.home)
    assert code == 1
    assert f"already running in mode demo (process {steady.pid} since 20" in error
    assert len(error.splitlines()) == 1


def test_after_a_killed_owner_the_lock_is_free(system: System, command: Command) -> None:
    with system.running() as process:
        process.kill()
        process.wait()
        assert json.loads(command("status", "--json", home=system.home)[1])["running"] is False
    with system.running():
        assert json.loads(command("status", "--json", home=system.home)[1])["running"] is True


def test_status_names_every_part_and_ends_with_0_when_all_are_ready(steady: System, command: Command) -> None:
    code, said, _ = command("status", "--json", home=steady.home)
    answer = json.loads(said)
    assert (code, answer["ready"], answer["pid"]) == (0, True, steady.pid)
    assert [(part["name"], part["state"]) for part in answer["parts"]] == [("one", "ready"), ("two", "ready")]
    assert "two" in command("status", home=steady.home)[1]


def test_down_stops_it_from_elsewhere(system: System, command: Command) -> None:
    with system.running() as process:
        code, said, _ = command("down", home=system.home)
        assert process.wait(5) == 0
    assert code == 0
    assert f"process {process.pid}) has stopped" in said
    assert system.told()[-1] == "stop one"


def test_logs_shows_what_a_part_wrote(steady: System, command: Command) -> None:
    assert command("logs", "one", home=steady.home)[1] == "at your service\n"
    error = command("logs", "three", home=steady.home)[2]
    assert "there is no log of 'three'; allowed: one | two | up." in error


def test_reset_refuses_while_it_runs(steady: System, command: Command) -> None:
    code, _, error = command("reset", "--mode", "demo", "--yes", home=steady.home)
    assert code == 1
    assert "already running" in error


def test_postgres_killed_is_back_with_every_committed_row(system: System, put_cluster: PutCluster) -> None:
    put_cluster(system.settings.server_paths)
    with system.running("postgres"):
        insert(system, "CREATE TABLE kept (n int)", "INSERT INTO kept SELECT generate_series(1, 1000)")
        os.kill(system.part_pid("postgres"), signal.SIGKILL)
        assert eventually(lambda: count(system) == 1000)


def test_postgres_recovers_after_the_whole_system_was_killed(system: System, put_cluster: PutCluster) -> None:
    put_cluster(system.settings.server_paths)
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
