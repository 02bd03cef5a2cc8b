"""A Postgres of a benchmark's own, gone with all its data at the end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sigmapilot_core.adapters.postgres.databases import ensure_database
from sigmapilot_core.adapters.postgres.migrate import upgrade
from sigmapilot_core.adapters.postgres.paths import ServerPaths
from sigmapilot_core.adapters.postgres.server import EmbeddedServer


@contextmanager
def own_server(*, durable: bool) -> Iterator[EmbeddedServer]:
    """A running server. In a folder of its own: for root it runs under another account, to which those of other tools
    are closed."""
    root = Path(tempfile.mkdtemp(prefix="sp-bench-", dir="/tmp"))
    found = EmbeddedServer(ServerPaths(root), copies=Path(tempfile.gettempdir(), "sp-pg-binaries"), durable=durable)
    try:
        found.start()
        yield found
    finally:
        found.stop()
        shutil.rmtree(root)


def migrated(server: EmbeddedServer, name: str) -> str:
    """URL of a fresh database with all tables."""
    url = server.paths.url(name, driver="psycopg")
    ensure_database(url)
    upgrade(url)
    return url
