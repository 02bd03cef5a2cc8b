"""The kill switch over HTTP and on the page: the token, who and why, and what the stream made of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from pydantic import SecretStr

from sigmapilot_core.adapters.dagster_graphql import DagsterGraphql
from sigmapilot_core.adapters.postgres import execution_store, operator_store
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.domain.params import RiskParams
from sigmapilot_core.domain.risk import kill_switch
from sigmapilot_core.domain.risk.state import RiskState
from sigmapilot_ui.api.app import create_app
from sigmapilot_ui.api.context import ApiConfig
from sigmapilot_ui.status_page.panels import switch

TOKEN = "a-token"
AUTH = {"Authorization": f"Bearer {TOKEN}"}
WHY = {"reason": "exchange reports an incident", "by": "anna"}


@pytest.fixture
def engine(pg_url: str) -> Iterator[sa.Engine]:
    found = create_engine(pg_url)
    yield found
    found.dispose()


@pytest.fixture
def client(engine: sa.Engine) -> Iterator[TestClient]:
    app = create_app(engine, ApiConfig(mode="demo", api_token=SecretStr(TOKEN)), DagsterGraphql("http://127.0.0.1:9"))
    with TestClient(app, base_url="http://localhost") as found:
        yield found


def stream_answers(engine: sa.Engine, state: RiskState, now_ms: int) -> RiskState:
    """What the stream does with everything that waits."""
    with engine.begin() as connection:
        for request in operator_store.unanswered_switch_requests(connection):
            state, given = kill_switch.answer(state, request, now_ms, RiskParams())
            execution_store.store_switch_answer(connection, request, given, now_ms)
            execution_store.store_risk(connection, state, now_ms)
    return state


@pytest.mark.parametrize("path", ["/kill-switch/on", "/kill-switch/off"])
@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}])
def test_without_the_token_nothing_is_asked(client: TestClient, path: str, header: dict[str, str]) -> None:
    assert client.post(path, json=WHY, headers=header).status_code == 401
    assert client.get("/kill-switch").json()["pending"] == []


def test_a_request_waits_for_the_stream_and_its_answer_names_who_and_why(client: TestClient, engine: sa.Engine) -> None:
    assert client.get("/kill-switch").json()["state"] == "unknown"
    asked = client.post("/kill-switch/on", json=WHY, headers=AUTH)
    assert asked.status_code == 202
    (waiting,) = client.get("/kill-switch").json()["pending"]
    assert (waiting["id"], waiting["requested_by"]) == (asked.json()["request_id"], "anna")

    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    state = stream_answers(engine, RiskState(), now_ms)
    found = client.get("/kill-switch").json()
    assert (found["state"], found["reason"], found["pending"]) == ("on", f"by hand: {WHY['reason']}", [])
    (event,) = found["events"]
    assert (event["event"], event["requested_by"], event["via"]) == ("on", "anna", "api")
    assert event["reason"] == WHY["reason"]

    client.post("/kill-switch/off", json={"reason": "over"}, headers=AUTH)
    state = stream_answers(engine, state, now_ms + 1000)
    assert client.get("/kill-switch").json()["events"][0]["event"] == "refused"
    client.post("/kill-switch/off", json={"reason": "over", "force": True}, headers=AUTH)
    stream_answers(engine, state, now_ms + 2000)
    assert client.get("/kill-switch").json()["state"] == "off"


@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": "  "}, {"reason": "x" * 501}, {"reason": "x", "by": ""}]
)
def test_a_request_without_a_reason_is_one_sentence(client: TestClient, body: dict[str, str]) -> None:
    answer = client.post("/kill-switch/on", json=body, headers=AUTH)
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert client.get("/kill-switch").json()["pending"] == []


def test_after_its_time_the_switch_waits_for_a_person(client: TestClient, engine: sa.Engine) -> None:
    client.post("/kill-switch/on", json=WHY, headers=AUTH)
    begun = datetime.now(UTC) - timedelta(hours=25)
    stream_answers(engine, RiskState(), int(begun.timestamp() * 1000))
    assert client.get("/kill-switch").json()["state"] == "waits_for_person"


def test_the_page_says_it_over_every_section(client: TestClient, engine: sa.Engine) -> None:
    load = switch.loader(24)
    with engine.connect() as db:
        assert switch.banner(load(db)) == ""
    client.post("/kill-switch/on", json=WHY, headers=AUTH)
    with engine.connect() as db:
        assert "waits for the stream" in switch.banner(load(db))
    stream_answers(engine, RiskState(), int(datetime.now(UTC).timestamp() * 1000))
    with engine.connect() as db:
        said = switch.banner(load(db))
    assert "KILL SWITCH ON" in said
    assert "by hand: exchange reports an incident" in said
    assert "positions are still reduced" in said
