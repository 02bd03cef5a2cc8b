"""Calls that start work: the token, one run at a time, its progress, and a Dagster that is away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from dagster_twin import DagsterTwin, run
from fastapi.testclient import TestClient
from pydantic import SecretStr

from sigmapilot_core.adapters.dagster_graphql import DagsterGraphql
from sigmapilot_ui.api.app import create_app
from sigmapilot_ui.api.context import ApiConfig

TOKEN = "correct horse battery staple".replace(" ", "-")
WITH_TOKEN = {"Authorization": f"Bearer {TOKEN}"}
POSTS = ("/alpha-pool/refresh?limit=50", "/correlation/compute", "/volatility/refresh", "/materialise-all")


@pytest.fixture
def twin() -> DagsterTwin:
    return DagsterTwin()


@pytest.fixture
def client(blank: sa.Engine, twin: DagsterTwin) -> Iterator[TestClient]:
    config = ApiConfig(mode="demo", api_token=SecretStr(TOKEN))
    app = create_app(blank, config, DagsterGraphql("http://dagster", transport=twin))
    with TestClient(app, base_url="http://localhost") as found:
        yield found


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("header", [None, "Bearer wrong", f"Basic {TOKEN}", "Bearer ", TOKEN, "Bearer é"])
def test_without_the_token_nothing_starts_and_the_answer_says_how_to_get_it(
    client: TestClient, twin: DagsterTwin, path: str, header: str | None
) -> None:
    answer = client.post(path, headers={} if header is None else {"Authorization": header.encode()})  # type: ignore[dict-item]
    assert answer.status_code == 401
    assert "`sigmapilot up` printed" in answer.json()["error"]
    assert "SIGMAPILOT_API_TOKEN" in answer.json()["error"]
    assert answer.headers["www-authenticate"] == "Bearer"
    assert twin.launched == []


def test_without_a_configured_token_no_token_is_right(blank: sa.Engine, twin: DagsterTwin) -> None:
    app = create_app(blank, ApiConfig(mode="demo"), DagsterGraphql("http://dagster", transport=twin))
    for header in ("Bearer ", "Bearer None", ""):
        answer = TestClient(app, base_url="http://localhost").post(POSTS[1], headers={"Authorization": header})
        assert answer.status_code == 401


def test_the_token_is_asked_for_before_parameters_are_judged(client: TestClient) -> None:
    assert client.post("/alpha-pool/refresh?limit=9999").status_code == 401
    assert client.post("/alpha-pool/refresh?limit=9999", headers=WITH_TOKEN).status_code == 400


@pytest.mark.parametrize("path", POSTS)
def test_with_the_token_a_run_starts_and_a_second_is_refused(client: TestClient, twin: DagsterTwin, path: str) -> None:
    first, second = (client.post(path, headers=WITH_TOKEN) for _ in range(2))
    assert (first.status_code, first.json()["run_id"]) == (202, "run-1")
    assert (second.status_code, list(second.json())) == (409, ["error"])
    assert "run-1" in second.json()["error"]
    assert len(twin.launched) == 1
    assert twin.launched[0]["selector"]["repositoryLocationName"] == "sigmapilot_assets"


def test_a_finished_run_lets_the_next_one_start(client: TestClient, twin: DagsterTwin) -> None:
    twin.runs["compute_correlation"] = [run("old", "SUCCESS", ("correlations", "SUCCESS"))]
    assert client.post("/correlation/compute", headers=WITH_TOKEN).status_code == 202


def test_the_limit_travels_with_the_run(client: TestClient, twin: DagsterTwin) -> None:
    client.post("/alpha-pool/refresh?limit=30", headers=WITH_TOKEN)
    assert {"key": "sigmapilot/limit", "value": "30"} in twin.launched[0]["executionMetadata"]["tags"]


def test_progress_counts_finished_steps_of_all(client: TestClient, twin: DagsterTwin) -> None:
    steps = (("fills", "SUCCESS"), ("filters", "SUCCESS"), ("pool", "IN_PROGRESS"), ("snapshot", None))
    twin.runs["refresh_alpha_pool"] = [run("r", "STARTED", *steps)]
    found = client.get("/alpha-pool/refresh/status").json()
    assert (found["is_running"], found["percent"], found["current_step"]) == (True, 50.0, "pool")
    assert [(step["key"], step["status"]) for step in found["steps"]] == [
        ("fills", "success"),
        ("filters", "success"),
        ("pool", "in_progress"),
        ("snapshot", "waiting"),
    ]
    assert (found["processed_steps"], found["total_steps"], found["completed_at"]) == (2, 4, None)
    assert found["elapsed_seconds"] > 0


def test_a_failed_run_names_its_step(client: TestClient, twin: DagsterTwin) -> None:
    twin.runs["refresh_alpha_pool"] = [run("r", "FAILURE", ("fills", "FAILURE"), ("pool", None))]
    found = client.get("/alpha-pool/refresh/status").json()
    assert (found["is_running"], found["status"]) == (False, "failure")
    assert found["error"].startswith("Step fills failed")
    assert (found["elapsed_seconds"], found["current_step"]) == (100.0, None)


def test_progress_before_the_first_run(client: TestClient) -> None:
    found = client.get("/alpha-pool/refresh/status").json()
    assert (found["is_running"], found["status"], found["percent"]) == (False, "never_run", None)


def test_dagster_away_is_a_sentence_and_comes_back(client: TestClient, twin: DagsterTwin) -> None:
    twin.is_away = True
    for answer in (
        client.post("/correlation/compute", headers=WITH_TOKEN),
        client.get("/alpha-pool/refresh/status"),
    ):
        assert answer.status_code == 503
        assert answer.json()["error"].startswith("Dagster does not answer at http://dagster")
    assert client.get("/alpha-pool/status").json()["next_refresh"] is None
    twin.is_away = False
    assert client.post("/correlation/compute", headers=WITH_TOKEN).status_code == 202


def test_a_run_that_was_made_and_never_queued_holds_nobody_up(client: TestClient, twin: DagsterTwin) -> None:
    twin.runs["compute_correlation"] = [run("lost", "NOT_STARTED")]
    assert client.post("/correlation/compute", headers=WITH_TOKEN).status_code == 202


def test_a_webserver_that_lost_its_jobs_is_told_to_look_at_the_code_server_again(
    client: TestClient, twin: DagsterTwin
) -> None:
    twin.has_lost_jobs = True
    twin.code_error = "Could not reach user code server\n  a stack trace"
    answer = client.post("/correlation/compute", headers=WITH_TOKEN)
    assert answer.status_code == 503
    assert "does not reach its code server: Could not reach user code server" in answer.json()["error"]
    twin.code_error = None
    assert client.post("/correlation/compute", headers=WITH_TOKEN).status_code == 202


def test_a_job_that_does_not_exist_is_said_without_a_stack_trace(client: TestClient, twin: DagsterTwin) -> None:
    twin.jobs = ()
    answer = client.post("/correlation/compute", headers=WITH_TOKEN)
    assert answer.status_code == 502
    assert answer.json() == {"error": "Dagster does not start job 'compute_correlation': "
                             "Could not find job compute_correlation."}  # fmt: skip


def test_the_next_refresh_is_the_schedules_own(client: TestClient) -> None:
    assert client.get("/alpha-pool/status").json()["next_refresh"] == "2026-03-16T00:45:00Z"
