"""The database goes away while decisions are made: nothing is lost, nothing is done late."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stream_harness import publish, rows, running, trade, until, venue

from sigmapilot_core.adapters.postgres.databases import ensure_database
from sigmapilot_core.adapters.postgres.migrate import upgrade
from sigmapilot_core.adapters.postgres.paths import ServerPaths
from sigmapilot_core.adapters.postgres.server import EmbeddedServer
from sigmapilot_stream import run
from tests.domain.engine.engine_builders import POOL

ACTS = [trade(n, 1_000 * n, user) for n, user in enumerate(POOL[:3], start=1)]
DECIDED = [("skip", 1), ("skip", 2), ("signal", 3)]


@pytest.fixture(scope="module")
def server(put_cluster: Callable[[ServerPaths], None]) -> Iterator[EmbeddedServer]:
    """A durable server of the module's own, to be killed."""
    # not pytest's tmp_path: its folders are closed to the account that runs Postgres for root
    folder = Path(tempfile.mkdtemp(prefix="sp-out-", dir="/tmp"))
    folder.chmod(0o711)
    found = EmbeddedServer(ServerPaths(folder / "pg"), Path(tempfile.gettempdir(), "sp-pg-binaries"))
    put_cluster(found.paths)
    found.start()
    yield found
    found.stop()
    shutil.rmtree(folder)


@pytest.fixture
def url(server: EmbeddedServer, request: pytest.FixtureRequest) -> str:
    """A migrated database with a model in it."""
    plain = server.paths.url(f"outage_{abs(hash(request.node.name))}")
    ensure_database(plain)
    upgrade(plain)
    found = plain.replace("postgresql://", "postgresql+psycopg://")
    publish(found)
    return found


def killed(server: EmbeddedServer) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    server.stop()


def decided(url: str) -> list[tuple[str, int]]:
    found = rows(url, "SELECT decision_type, agreeing_count FROM decision_logs ORDER BY decided_at, seq")
    return [tuple(row) for row in found]


async def test_what_is_decided_while_the_database_is_down_is_written_when_it_is_back(
    tmp_path: Path, server: EmbeddedServer, url: str
) -> None:
    async with venue(*ACTS) as (emulator, address), running(tmp_path, url, emulator, address) as live:
        await live.ready()
        await live.play(1_500)
        await asyncio.to_thread(killed, server)
        playing = asyncio.create_task(live.play(4_000))
        await until("the second trade waits to be written", lambda: waiting(live.stream))
        server.start()  # in this thread: the server ends with the thread that started it
        await asyncio.wait_for(playing, 30)
    assert decided(url) == DECIDED
    assert rows(url, "SELECT count(*) FROM trades") == [(3,)]
    assert rows(url, "SELECT leg, status FROM execution_logs") == [("entry", "filled")]


def waiting(stream: run.Stream) -> bool:
    return stream.decide.handled_seq < stream.inputs.sent_seq
