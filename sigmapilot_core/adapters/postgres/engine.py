"""Connections to Postgres: one engine a process, psycopg 3, UTC, bounded waits."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import make_url


def sqlalchemy_url(url: str) -> sa.URL:
    """The URL with the psycopg 3 driver, whatever postgres scheme it came with."""
    parsed = make_url(url)
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise ValueError(f"database URL: scheme {parsed.drivername!r} is not allowed, use postgresql://")
    return parsed.set(drivername="postgresql+psycopg")


def create_engine(url: str, pool_size: int = 4) -> sa.Engine:
    """Engine with pre-ping (a restarted server is noticed), UTC sessions and a 10 s connect limit."""
    return sa.create_engine(
        sqlalchemy_url(url),
        pool_size=pool_size,
        max_overflow=2,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 10, "options": "-c timezone=UTC"},
    )
