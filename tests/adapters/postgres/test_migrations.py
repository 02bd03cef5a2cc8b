"""The migrated database is the schema that the code believes in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.migrate import WrongModeError, claim_mode, upgrade
from sigmapilot_core.adapters.postgres.partitions import months_between
from sigmapilot_core.adapters.postgres.tables import metadata

GOLDEN = Path(__file__).parents[2] / "golden" / "tables.txt"
NOW = datetime(2026, 3, 15, tzinfo=UTC)


def described() -> str:
    """One line a column: table.column type, marked if it must be filled."""
    return "\n".join(
        f"{table.name}.{column.name} {column.type}{'' if column.nullable else ' not null'}"
        for table in sorted(metadata.tables.values(), key=lambda table: table.name)
        for column in table.columns
    )


def test_tables_are_the_golden_tables() -> None:
    assert described() == GOLDEN.read_text().rstrip("\n"), "a changed schema needs a migration and a new golden file"


def test_migrations_build_exactly_the_declared_schema(pg_url: str) -> None:
    upgrade(pg_url, NOW)
    engine = create_engine(pg_url)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    # Alembic does not know that partitions and their indexes belong to their parent
    assert [d for d in differences if not str(d[0]).startswith("remove_")] == []


def test_a_second_upgrade_changes_nothing(pg_url: str) -> None:
    upgrade(pg_url, NOW)
    upgrade(pg_url, NOW)


def test_a_database_of_another_mode_is_refused_with_both_names(pg_url: str) -> None:
    upgrade(pg_url)
    engine = create_engine(pg_url)
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM meta"))
        claim_mode(connection, "demo")
        claim_mode(connection, "demo")
    with engine.begin() as connection, pytest.raises(WrongModeError, match="belongs to mode 'demo' and mode 'live'"):
        claim_mode(connection, "live")
    engine.dispose()


def test_months_between_crosses_the_year() -> None:
    months = months_between(datetime(2025, 11, 30, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    assert [f"{m:%Y-%m}" for m in months] == ["2025-11", "2025-12", "2026-01"]
