"""Dagster's instance folder, and runs that died with their code server, against a real instance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from sigmapilot_cli.abandoned_runs import settle_abandoned_runs
from sigmapilot_cli.dagster_home import write_dagster_home
from sigmapilot_cli.runner import make_mode_dir
from sigmapilot_core.adapters.settings import Settings, load_settings


@pytest.fixture
def dagster_settings(tmp_path: Path, pg_empty_url: str) -> Settings:
    """Settings whose Dagster database is a fresh one, with the instance folder written."""
    url = pg_empty_url.replace("+psycopg", "+psycopg2")
    found = load_settings(environ={"SIGMAPILOT_HOME": str(tmp_path), "SIGMAPILOT_DAGSTER_DATABASE_URL": url})
    make_mode_dir(found)
    write_dagster_home(found)
    return found


@pytest.fixture
def dagster_instance(dagster_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    url = dagster_settings.dagster_database_url.get_secret_value()
    monkeypatch.setenv("SIGMAPILOT_DAGSTER_DATABASE_URL", url)
    with dg.DagsterInstance.from_config(str(dagster_settings.dagster_home)) as instance:
        yield instance


def test_dagster_accepts_the_instance_folder(dagster_settings: Settings, dagster_instance: dg.DagsterInstance) -> None:
    assert "postgres" in str(type(dagster_instance.run_storage)).lower()
    queue = dagster_instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == 1
    assert dagster_instance.telemetry_enabled is False
    home = dagster_settings.dagster_home
    assert "postgresql" not in (home / "dagster.yaml").read_text()
    served = yaml.safe_load((home / "workspace.yaml").read_text())["load_from"][0]["grpc_server"]
    assert served == {"socket": str(home / "code.sock"), "location_name": "sigmapilot_assets"}


@pytest.mark.slow
def test_runs_that_died_with_their_server_do_not_hold_up_the_queue(
    dagster_settings: Settings, dagster_instance: dg.DagsterInstance
) -> None:
    dead = dagster_instance.create_run_for_job(simple_job(), status=dg.DagsterRunStatus.STARTED)
    done = dagster_instance.create_run_for_job(simple_job(), status=dg.DagsterRunStatus.SUCCESS)
    settle_abandoned_runs(dagster_settings)
    statuses = {run.run_id: run.status for run in dagster_instance.get_runs()}
    assert statuses == {dead.run_id: dg.DagsterRunStatus.FAILURE, done.run_id: dg.DagsterRunStatus.SUCCESS}


def test_a_dagster_database_without_tables_has_no_abandoned_runs(dagster_settings: Settings) -> None:
    settle_abandoned_runs(dagster_settings)


def simple_job() -> dg.JobDefinition:
    @dg.op
    def nothing() -> None: ...

    @dg.job
    def simple() -> None:
        nothing()

    return simple
