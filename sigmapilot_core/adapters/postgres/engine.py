"""Connections to Postgres: one engine a process, psycopg 3, UTC, bounded waits."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url

BUSY_S = 1.0
"""For those who write many times a second and repeat what fails: a connection used within this time need not be asked
whether it lives, which costs as much as a statement."""

_USED_AT = "used_at"


def sqlalchemy_url(url: str) -> sa.URL:
    """The URL with the psycopg 3 driver, whatever postgres scheme it came with."""
    parsed = make_url(url)
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise ValueError(f"database URL: scheme {parsed.drivername!r} is not allowed, use postgresql://")
    return parsed.set(drivername="postgresql+psycopg")


def create_engine(url: str, pool_size: int = 4, trusted_s: float = 0.0) -> sa.Engine:
    """Engine that asks connections whether they live before they are used (a restarted server is noticed), unless they
    were used within `trusted_s`; with UTC sessions and a 10 s connect limit."""
    engine = sa.create_engine(
        sqlalchemy_url(url),
        pool_size=pool_size,
        max_overflow=2,
        connect_args={"connect_timeout": 10, "options": "-c timezone=UTC"},
    )

    def used(_: Any, record: sa.pool.ConnectionPoolEntry) -> None:
        record.info[_USED_AT] = time.monotonic()

    def ask(connection: Any, record: sa.pool.ConnectionPoolEntry, _: Any) -> None:
        if time.monotonic() - record.info[_USED_AT] < trusted_s:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise sa.exc.InvalidatePoolError from error

    sa.event.listen(engine, "connect", used)
    sa.event.listen(engine, "checkin", used)
    sa.event.listen(engine, "checkout", ask)
    return engine
