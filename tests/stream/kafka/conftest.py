"""Databases of their own for runs that are compared with each other, and brokers."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import kafka_broker
import pytest
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.databases import ensure_database
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.server import EmbeddedServer


@pytest.fixture
def new_database(pg_server: EmbeddedServer, pg_template: str) -> Iterator[Callable[[], sa.Engine]]:
    """Makes migrated databases. They go with the server: one that was much written to may be under maintenance by the
    server itself, which its owner cannot end."""
    made: list[sa.Engine] = []

    def make() -> sa.Engine:
        url = pg_server.paths.url(f"kafka_{uuid.uuid4().hex}", driver="psycopg")
        ensure_database(url, template=pg_template)
        made.append(create_engine(url))
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


@pytest.fixture(scope="session")
def class_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The broker's jars; Maven keeps what it fetched in its own folder."""
    return kafka_broker.jars(tmp_path_factory.mktemp("jars"))


@pytest.fixture
def broker_url(class_path: str, tmp_path: Path) -> Iterator[str]:
    """A fresh Apache Kafka broker of the test's own."""
    folder = tmp_path / "broker"
    folder.mkdir()
    with kafka_broker.running(folder, class_path) as url:
        yield url


@pytest.fixture(scope="session")
def kafka_fills(request: pytest.FixtureRequest) -> int:
    """How many fills flow."""
    return int(request.config.getoption("--kafka-fills"))


@pytest.fixture(scope="session")
def kafka_kills(request: pytest.FixtureRequest) -> int:
    """How often somebody is killed."""
    return int(request.config.getoption("--kafka-kills"))
