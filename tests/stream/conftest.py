"""A database that tests of effects share: each writes in a transaction that is taken back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.databases import drop_database, ensure_database
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.server import EmbeddedServer


@pytest.fixture(scope="session")
def effects_engine(pg_server: EmbeddedServer, pg_template: str) -> Iterator[sa.Engine]:
    """A migrated database, dropped at the end."""
    url = pg_server.paths.url(f"effects_{uuid.uuid4().hex}", driver="psycopg")
    ensure_database(url, template=pg_template)
    engine = create_engine(url)
    yield engine
    engine.dispose()
    drop_database(url)


@pytest.fixture
def connection(effects_engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection in a transaction; whatever the test writes is gone afterwards."""
    with effects_engine.connect() as found, found.begin() as transaction:
        yield found
        transaction.rollback()
