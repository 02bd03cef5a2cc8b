"""The API over a database, without a Dagster beside it."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from fastapi.testclient import TestClient

from sigmapilot_core.adapters.dagster_graphql import DagsterGraphql
from sigmapilot_ui.api.app import create_app
from sigmapilot_ui.api.context import ApiConfig

NOWHERE = DagsterGraphql("http://127.0.0.1:9", timeout_s=0.5)  # the discard port: nothing listens there


def client_of(engine: sa.Engine) -> Iterator[TestClient]:
    with TestClient(create_app(engine, ApiConfig(mode="demo"), NOWHERE), base_url="http://localhost:4104") as client:
        yield client
