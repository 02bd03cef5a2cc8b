"""Databases of one mode on a server: created where missing, ours migrated and marked with the mode."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

from sigmapilot_core.adapters.postgres.paths import APPLICATION_ROLE, SUPERUSER_ROLE, ServerPaths

_CONNECT_S = 10


def ensure_role(paths: ServerPaths) -> None:
    """The role all parts connect as: owns its databases, may create some, is no superuser."""
    with psycopg.connect(paths.url("postgres", SUPERUSER_ROLE), autocommit=True, connect_timeout=_CONNECT_S) as server:
        if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [APPLICATION_ROLE]).fetchone():
            server.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(sql.Identifier(APPLICATION_ROLE)))


def ensure_database(url: str, template: str = "template1") -> bool:
    """Create the database a URL names if its server has none of that name; True if it was created."""
    name = unquote(urlsplit(url).path.lstrip("/"))
    with _maintenance(url) as server:
        if server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return False
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        server.execute(create)
        return True


def drop_database(url: str) -> None:
    """Remove the database a URL names, closing what this role has connected to it.

    `WITH (FORCE)` would do the closing too, but it refuses while the server's own vacuum, a process of another role, is
    at work there; the plain form makes that step aside and waits for it.
    """
    name = unquote(urlsplit(url).path.lstrip("/"))
    with _maintenance(url) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND usename = current_user AND pid <> pg_backend_pid()",
            [name],
        )
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))


def prepare_database(url: str, mode: str) -> None:
    """Bring the schema up to date and mark the database with its mode.

    Raises:
        WrongModeError: the database belongs to another mode.
    """
    # migrations pull in SQLAlchemy and Alembic, which a server alone does not need
    from sigmapilot_core.adapters.postgres.engine import create_engine
    from sigmapilot_core.adapters.postgres.migrate import claim_mode, require_mode, upgrade

    engine = create_engine(url, pool_size=1)
    try:
        with engine.connect() as connection:
            require_mode(connection, mode)
        upgrade(url, datetime.now(UTC))
        with engine.begin() as connection:
            claim_mode(connection, mode)
    finally:
        engine.dispose()


def _maintenance(url: str) -> psycopg.Connection[tuple[object, ...]]:
    """A connection to the database every server has; statements about databases run outside transactions."""
    parts = urlsplit(url)
    plain = parts._replace(scheme="postgresql", path="/postgres").geturl()
    return psycopg.connect(plain, autocommit=True, connect_timeout=_CONNECT_S)
