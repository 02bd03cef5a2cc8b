"""The shared database fixtures."""

from __future__ import annotations

import psycopg


def test_every_test_has_a_migrated_database(pg_url: str) -> None:
    with psycopg.connect(pg_url.replace("+psycopg", "")) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables is not None
    assert tables[0] > 10
