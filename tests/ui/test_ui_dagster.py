"""The client against a real Dagster webserver: launching, watching, refusing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from sigmapilot_core.adapters.dagster_graphql import (
    DagsterGraphql,
    DagsterRefusedError,
    DagsterUnavailableError,
    JobRun,
)

pytestmark = pytest.mark.slow

DEFINITIONS = """
import dagster as dg

@dg.asset
def first() -> None: ...

@dg.asset(deps=[first])
def second() -> None: ...

job = dg.define_asset_job("refresh_alpha_pool", executor_def=dg.in_process_executor)
clock = dg.ScheduleDefinition(
    name="pool_daily", job=job, cron_schedule="45 0 * * *", default_status=dg.DefaultScheduleStatus.RUNNING
)
stopped = dg.ScheduleDefinition(name="stopped", job=job, cron_schedule="45 0 * * *")
defs = dg.Definitions(assets=[first, second], jobs=[job], schedules=[clock, stopped])
"""
# without the daemon nothing takes runs off a queue: they are launched at once
INSTANCE = """
telemetry: {enabled: false}
run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}
"""
WORKSPACE = "load_from:\n  - python_file: {relative_path: defs.py, location_name: sigmapilot_assets}\n"


@pytest.fixture(scope="module")
def dagster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterGraphql]:
    """A webserver with one job, in its own process group so that nothing of it stays."""
    home = tmp_path_factory.mktemp("dagster")
    (home / "defs.py").write_text(DEFINITIONS)
    (home / "workspace.yaml").write_text(WORKSPACE)
    (home / "dagster.yaml").write_text(INSTANCE)
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port), "-w", "workspace.yaml"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER", "SIGMAPILOT"))}
    with Path(home, "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=home,
            env=environment | {"DAGSTER_HOME": str(home)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _await_answer(f"http://127.0.0.1:{port}/server_info", process)
        yield DagsterGraphql(f"http://127.0.0.1:{port}")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _await_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url, trust_env=False).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError("the webserver did not start")


def _ended(client: DagsterGraphql, run_id: str) -> JobRun:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        run = client.newest_run("refresh_alpha_pool")
        assert run is not None
        assert run.run_id == run_id
        if not run.is_active:
            return run
        time.sleep(0.2)
    raise AssertionError(f"run {run_id} did not end")


def test_a_launched_run_is_active_and_then_ends_with_all_its_steps(dagster: DagsterGraphql) -> None:
    assert dagster.newest_run("refresh_alpha_pool") is None
    run_id = dagster.launch("refresh_alpha_pool", {}, {"sigmapilot/limit": "50"})
    active = dagster.active_run("refresh_alpha_pool")
    assert active is not None
    assert active.run_id == run_id
    assert {step.key for step in active.steps} == {"first", "second"}
    ended = _ended(dagster, run_id)
    assert [step.key for step in ended.steps] == ["first", "second"]
    assert (ended.status, ended.percent) == ("SUCCESS", 100.0)
    assert dagster.active_run("refresh_alpha_pool") is None


def test_an_unknown_job_is_refused(dagster: DagsterGraphql) -> None:
    with pytest.raises(DagsterRefusedError, match="does not start job 'nothing'"):
        dagster.launch("nothing", {}, {})


def test_the_next_tick_of_a_running_schedule_is_known_and_a_stopped_one_has_none(dagster: DagsterGraphql) -> None:
    tick = dagster.next_tick("pool_daily")
    assert tick is not None
    assert time.gmtime(tick)[3:5] == (0, 45)
    assert dagster.next_tick("stopped") is None
    with pytest.raises(DagsterRefusedError, match="does not know schedule 'nothing'"):
        dagster.next_tick("nothing")


def test_nobody_listening_is_unavailable() -> None:
    with pytest.raises(DagsterUnavailableError, match="does not answer"):
        DagsterGraphql("http://127.0.0.1:9").newest_run("refresh_alpha_pool")
