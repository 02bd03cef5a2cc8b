"""A platform over a fresh database and the small venue; Dagster's own records are in memory."""

from __future__ import annotations

import hashlib
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import dagster as dg
import pytest

# the parsed dbt project of this tree is kept here between test runs; the graph is imported when tests are collected
os.environ["SIGMAPILOT_HOME"] = str(
    Path(tempfile.gettempdir(), f"sigmapilot-tests-{hashlib.sha256(__file__.encode()).hexdigest()[:12]}")
)

from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.postgres.databases import drop_database, ensure_database
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.server import EmbeddedServer
from sigmapilot_core.domain.params import Params

from .asset_runs import checks_of, run_python_assets
from .asset_venue import NOW_MS, FakeVenue, address, row, trades_of

MakePlatform = Callable[..., Platform]


def small_venue() -> FakeVenue:
    """Six traders that pass filters 1-4: four winners, a loser, a master with sub-accounts; one poor account."""
    histories = {address(i): trades_of(address(i), 60, 0.01) for i in range(1, 5)}
    histories[address(5)] = trades_of(address(5), 60, -0.01)
    histories[address(6)] = trades_of(address(6), 60, 0.01)
    rows = [row(user) for user in histories] + [row(address(7), pnl=100.0)]
    return FakeVenue(histories, rows, masters=frozenset({address(6)}))


@pytest.fixture
def venue() -> FakeVenue:
    """A small venue of the test's own."""
    return small_venue()


@pytest.fixture
def make_platform(pg_url: str, venue: FakeVenue, tmp_path: Path) -> Iterator[MakePlatform]:
    """Build a platform; the engine is closed afterwards."""
    engine = create_engine(pg_url)

    def make(mode: str = "live", flavour: str = "normal") -> Platform:
        return Platform(mode, flavour, Params(), engine, FeedClock(NOW_MS), lambda: venue, venue, tmp_path)

    yield make
    engine.dispose()


@pytest.fixture
def platform(make_platform: MakePlatform) -> Platform:
    """The platform of a normal pool."""
    return make_platform()


@dataclass(frozen=True)
class FirstRun:
    """The whole graph but its reports, run once: the database it left, others are copied from; who was asked; what
    became of the checks.
    """

    database: str
    asked: tuple[str, ...]
    checks: dict[str, bool]


@pytest.fixture(scope="session")
def first_run(pg_server: EmbeddedServer, pg_template: str, tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    """One run for all tests that begin after it."""
    name = "assets_learnt"
    url = pg_server.paths.url(name, driver="psycopg")
    ensure_database(url, template=pg_template)
    engine, found = create_engine(url), small_venue()
    home = tmp_path_factory.mktemp("learnt")
    platform = Platform("live", "normal", Params(), engine, FeedClock(NOW_MS), lambda: found, found, home)
    with dg.DagsterInstance.ephemeral() as instance:
        result = run_python_assets(platform, instance)
    engine.dispose()  # a database with sessions cannot be copied
    return FirstRun(name, tuple(found.asked), checks_of(result))


@pytest.fixture
def learnt(pg_server: EmbeddedServer, first_run: FirstRun, venue: FakeVenue, tmp_path: Path) -> Iterator[Platform]:
    """The platform after one run of the graph, in a database of the test's own."""
    url = pg_server.paths.url(f"test_{uuid.uuid4().hex}", driver="psycopg")
    ensure_database(url, template=first_run.database)
    engine = create_engine(url)
    yield Platform("live", "normal", Params(), engine, FeedClock(NOW_MS), lambda: venue, venue, tmp_path)
    engine.dispose()
    drop_database(url)


@pytest.fixture
def database_for_dbt(pg_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The PG* variables that the dbt profile reads."""
    url = urlsplit(pg_url)
    monkeypatch.setenv("PGHOST", parse_qs(url.query)["host"][0])
    monkeypatch.setenv("PGUSER", url.username or "")
    monkeypatch.setenv("PGDATABASE", url.path.lstrip("/"))
    monkeypatch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    assert os.environ["PGHOST"]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Dagster's records of one test."""
    with dg.DagsterInstance.ephemeral() as found:
        yield found
