"""A platform over a fresh database and the small venue; Dagster's own records are in memory."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
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
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.domain.params import Params

from .asset_venue import NOW_MS, FakeVenue, address, row, trades_of

MakePlatform = Callable[..., Platform]


@pytest.fixture
def venue() -> FakeVenue:
    """Six traders that pass filters 1-4: four winners, a loser, a master with sub-accounts; one poor account."""
    histories = {address(i): trades_of(address(i), 60, 0.01) for i in range(1, 5)}
    histories[address(5)] = trades_of(address(5), 60, -0.01)
    histories[address(6)] = trades_of(address(6), 60, 0.01)
    rows = [row(user) for user in histories] + [row(address(7), pnl=100.0)]
    return FakeVenue(histories, rows, masters=frozenset({address(6)}))


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
