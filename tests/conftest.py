"""Fixtures every area shares: one Postgres server a session, one fresh migrated database a test."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from sigmapilot_core.adapters.postgres.databases import drop_database, ensure_database
from sigmapilot_core.adapters.postgres.migrate import upgrade
from sigmapilot_core.adapters.postgres.paths import ServerPaths
from sigmapilot_core.adapters.postgres.server import EmbeddedServer

_TEMPLATE = "sigmapilot_template"

# how long an example takes says how busy the machine is; pytest-timeout ends what hangs
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def pg_server() -> Iterator[EmbeddedServer]:
    """A running embedded server without durability, removed with all its data at the end."""
    with _running_server(is_durable=False) as server:
        yield server


@pytest.fixture
def mortal_server() -> Iterator[EmbeddedServer]:
    """A durable server of the test's own: one that is going to be killed, or loaded as in earnest."""
    with _running_server(is_durable=True) as server:
        yield server


@contextmanager
def _running_server(*, is_durable: bool) -> Iterator[EmbeddedServer]:
    # not pytest's tmp_path: its folders are closed to the account that runs Postgres for root
    root = Path(tempfile.mkdtemp(prefix="sp-pg-", dir="/tmp"))
    copies = Path(tempfile.gettempdir(), "sp-pg-binaries")
    server = EmbeddedServer(ServerPaths(root), copies=copies, durable=is_durable)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(root)


@pytest.fixture(scope="session")
def pg_template(pg_server: EmbeddedServer) -> str:
    """Name of a migrated database that others are copied from."""
    url = pg_server.paths.url(_TEMPLATE)
    ensure_database(url)
    upgrade(url)
    return _TEMPLATE


@pytest.fixture
def pg_url(pg_server: EmbeddedServer, pg_template: str) -> Iterator[str]:
    """URL (psycopg 3 driver) of a fresh migrated database of the test's own, dropped afterwards."""
    url = pg_server.paths.url(f"test_{uuid.uuid4().hex}", driver="psycopg")
    ensure_database(url, template=pg_template)
    yield url
    drop_database(url)


@pytest.fixture
def pg_empty_url(pg_server: EmbeddedServer) -> Iterator[str]:
    """URL (psycopg 3 driver) of a fresh empty database of the test's own, dropped afterwards."""
    url = pg_server.paths.url(f"test_{uuid.uuid4().hex}", driver="psycopg")
    ensure_database(url)
    yield url
    drop_database(url)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--soak-minutes N`: half an hour by default, minutes in continuous integration. `--kafka-fills`, `--kafka-kills`:
    what flows through the broker, and how often a process is killed meanwhile; `make kafka-full` is the full length.
    `--nothing-skipped`: a test that skips itself, because something is not installed or not there, counts as failed.
    """
    parser.addoption(
        "--nothing-skipped", action="store_true", help="a skipped test is a failure: nothing may be missing"
    )
    parser.addoption("--kafka-fills", type=int, default=24_000, help="fills that flow through the broker")
    parser.addoption("--kafka-kills", type=int, default=4, help="processes killed while they flow")
    parser.addoption("--kills", type=int, default=6, help="how often the kill test kills")
    parser.addoption("--kill-fills", type=int, default=20_000, help="fills of the kill test")
    parser.addoption("--soak-minutes", type=float, default=30.0, help="how long each soak runs")
    parser.addoption("--fuzz-frames", type=int, default=30_000, help="mutated frames; a million by `make fuzz`")


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Generator[None, None, None]:
    """With `--nothing-skipped` a run in which something skipped itself has failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--nothing-skipped") and reporter is not None and exitstatus == pytest.ExitCode.OK:
        skipped = reporter.stats.get("skipped", [])
        for report in skipped:
            reporter.write_line(f"SKIPPED, which counts as failed here: {report.nodeid}: {report.longrepr[2]}")
        if skipped:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
    yield
