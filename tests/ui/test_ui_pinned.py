"""Pinned accounts over HTTP and on the command line's store: the token, the limit, one sentence for what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from sigmapilot_core.adapters.dagster_graphql import DagsterGraphql
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_ui.api.app import create_app
from sigmapilot_ui.api.context import ApiConfig

AUTH = {"Authorization": "Bearer a-token"}


def address(number: int) -> str:
    return f"0x{number:040x}"


@pytest.fixture
def client(pg_url: str) -> Iterator[TestClient]:
    engine = create_engine(pg_url)
    config = ApiConfig(mode="demo", api_token=SecretStr("a-token"))
    with TestClient(
        create_app(engine, config, DagsterGraphql("http://127.0.0.1:9")), base_url="http://localhost"
    ) as one:
        yield one
    engine.dispose()


def test_accounts_are_added_listed_and_removed_with_the_token_only(client: TestClient) -> None:
    body = {"address": address(1), "nickname": "whale", "by": "anna"}
    assert client.post("/pinned-accounts", json=body).status_code == 401
    assert client.delete(f"/pinned-accounts/{address(1)}").status_code == 401
    assert client.post("/pinned-accounts", json=body, headers=AUTH).status_code == 201
    found = client.get("/pinned-accounts").json()
    assert (found["count"], found["custom_count"], found["max_custom"]) == (1, 1, 3)
    assert (found["accounts"][0]["nickname"], found["accounts"][0]["pinned_by"]) == ("whale", "anna")
    assert client.delete(f"/pinned-accounts/{address(1)}?reason=gone&by=ben", headers=AUTH).json()["removed"] is True
    assert client.delete(f"/pinned-accounts/{address(1)}", headers=AUTH).status_code == 400, "a reason is needed"
    assert client.delete(f"/pinned-accounts/{address(1)}?reason=gone", headers=AUTH).status_code == 404
    newest = client.get("/pinned-accounts/changes").json()["changes"][0]
    assert (newest["action"], newest["changed_by"], newest["via"], newest["reason"]) == ("unpin", "ben", "api", "gone")
    assert client.get("/pinned-accounts").json()["count"] == 0


def test_what_is_not_allowed_is_one_sentence(client: TestClient) -> None:
    wrong = client.post("/pinned-accounts", json={"address": "BTC"}, headers=AUTH)
    assert (wrong.status_code, list(wrong.json())) == (400, ["error"])
    for number in (1, 2, 3):
        client.post("/pinned-accounts", json={"address": address(number)}, headers=AUTH)
    fourth = client.post("/pinned-accounts", json={"address": address(4)}, headers=AUTH)
    assert fourth.status_code == 400
    assert "allowed are 3: remove one first" in fourth.json()["error"]
