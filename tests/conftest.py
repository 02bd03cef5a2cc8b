"""Fixtures every area shares: one Postgres server a session, one fresh migrated database a test."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from sigmapilot_core.adapters.postgres.databases import drop_database, ensure_database
from sigmapilot_core.adapters.postgres.migrate import upgrade
from sigmapilot_core.adapters.postgres.paths import ServerPaths
from sigmapilot_core.adapters.postgres.server import EmbeddedServer

_TEMPLATE = "sigmapilot_template"
_COPIES = Path(tempfile.gettempdir(), "sp-pg-binaries")
# not pytest's tmp_path: its folders are closed to the account that runs Postgres for root
_TMP, _MEMORY = Path("/tmp"), Path("/dev/shm")
_ROOM_BYTES = 3 * 1024**3  # databases of a few tests at a time, and a gigabyte of write-ahead log

# how long an example takes says how busy the machine is; pytest-timeout ends what hangs
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


PutCluster = Callable[[ServerPaths], None]


@pytest.fixture(scope="session")
def put_cluster() -> Iterator[PutCluster]:
    """Puts a cluster where a server is going to look for it: making one takes a second and more, copying it a tenth."""
    with _folder(_TMP) as root:
        EmbeddedServer(ServerPaths(root), copies=_COPIES, durable=False).prepare()

        def put(paths: ServerPaths) -> None:
            paths.root.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", ServerPaths(root).data, paths.data], check=True)  # with its owner

        yield put


@pytest.fixture(scope="session")
def pg_server(put_cluster: PutCluster) -> Iterator[EmbeddedServer]:
    """A running embedded server without durability, removed with all its data at the end."""
    with _running_server(put_cluster, is_durable=False) as server:
        yield server


@pytest.fixture
def mortal_server(put_cluster: PutCluster) -> Iterator[EmbeddedServer]:
    """A durable server of the test's own: one that is going to be killed, or loaded as in earnest."""
    with _running_server(put_cluster, is_durable=True) as server:
        yield server


@contextmanager
def _running_server(put_cluster: PutCluster, *, is_durable: bool) -> Iterator[EmbeddedServer]:
    with _folder(_TMP if is_durable else _quick_place()) as root:
        server = EmbeddedServer(ServerPaths(root), copies=_COPIES, durable=is_durable)
        put_cluster(server.paths)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _quick_place() -> Path:
    """Memory where there is plenty: a database is three hundred files, which a disk takes up to half a second to make
    and to remove.
    """
    has_room = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES
    return _MEMORY if has_room else _TMP


@contextmanager
def _folder(place: Path) -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="sp-pg-", dir=place))
    try:
        yield root
    finally:
        shutil.rmtree(root)


@pytest.fixture(scope="session")
def pg_template(pg_server: EmbeddedServer) -> str:
    """Name of a migrated database that others are copied from."""
    url = pg_server.paths.url(_TEMPLATE)
    ensure_database(url)
    upgrade(url)
    return _TEMPLATE


class SpareDatabases:
    """Fresh migrated databases. A copy takes a tenth of a second: the next one is made, and the last one dropped, while
    a test runs.
    """

    def __init__(self, server: EmbeddedServer, template: str, beside: Executor) -> None:
        self._server, self._template, self._beside = server, template, beside
        self._next = beside.submit(self._made)
        self._dropped: list[Future[None]] = []

    def take(self) -> str:
        """URL of a database nobody else gets."""
        url, self._next = self._next.result(), self._beside.submit(self._made)
        return url

    def drop(self, url: str) -> None:
        """Remove one; what goes wrong is said at the end."""
        self._dropped.append(self._beside.submit(drop_database, url))

    def close(self) -> None:
        """Remove the one nobody took."""
        self.drop(self._next.result())
        for dropped in self._dropped:
            dropped.result()

    def _made(self) -> str:
        url = self._server.paths.url(f"test_{uuid.uuid4().hex}", driver="psycopg")
        ensure_database(url, template=self._template)
        return url


@pytest.fixture(scope="session")
def pg_spares(pg_server: EmbeddedServer, pg_template: str) -> Iterator[SpareDatabases]:
    """Where `pg_url` comes from."""
    with ThreadPoolExecutor(1, "spare-databases") as beside:
        spares = SpareDatabases(pg_server, pg_template, beside)
        yield spares
        spares.close()


@pytest.fixture
def pg_url(pg_spares: SpareDatabases) -> Iterator[str]:
    """URL (psycopg 3 driver) of a fresh migrated database of the test's own, dropped afterwards."""
    url = pg_spares.take()
    yield url
    pg_spares.drop(url)


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
