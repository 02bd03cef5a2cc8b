"""One filled and one empty database a session: everything here only reads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from api_client import client_of
from fastapi.testclient import TestClient
from seed_rows import fill

from sigmapilot_core.adapters.postgres.databases import drop_database, ensure_database
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.server import EmbeddedServer


@pytest.fixture(scope="session")
def filled_url(pg_server: EmbeddedServer, pg_template: str) -> Iterator[str]:
    """A database with the rows of `seed_rows`; not to be written to."""
    url = pg_server.paths.url("ui_filled", driver="psycopg")
    ensure_database(url, template=pg_template)
    fill(url)
    yield url
    drop_database(url)


@pytest.fixture(scope="session")
def blank_url(pg_server: EmbeddedServer, pg_template: str) -> Iterator[str]:
    """A migrated database without a row; not to be written to."""
    url = pg_server.paths.url("ui_blank", driver="psycopg")
    ensure_database(url, template=pg_template)
    yield url
    drop_database(url)


@pytest.fixture(scope="session")
def filled(filled_url: str) -> Iterator[sa.Engine]:
    engine = create_engine(filled_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def full(filled: sa.Engine) -> Iterator[TestClient]:
    """The API over the filled database."""
    yield from client_of(filled)


@pytest.fixture(scope="module")
def empty(blank: sa.Engine) -> Iterator[TestClient]:
    """The API over the empty database."""
    yield from client_of(blank)


@pytest.fixture(scope="session")
def blank(blank_url: str) -> Iterator[sa.Engine]:
    engine = create_engine(blank_url)
    yield engine
    engine.dispose()
