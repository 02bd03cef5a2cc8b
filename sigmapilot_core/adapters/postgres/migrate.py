"""Schema migrations with Alembic, and the mode marker that keeps databases of different modes apart."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.partitions import ensure_months, month_of, next_month
from sigmapilot_core.adapters.postgres.schema.stream import meta

_FOLDER = Path(__file__).parent / "migrations"


class WrongModeError(RuntimeError):
    """The database belongs to another mode; modes never mix."""


def upgrade(url: str, now: datetime | None = None) -> None:
    """Bring the schema to the newest revision and create the partitions of this month and the next.

    `now` is the caller's clock; without it no partition is created.
    """
    # only a start of the system migrates; the stream is back sooner after a kill without Alembic
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            # two processes may start at once
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(727001)"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            if now is not None:
                ensure_months(connection, [month_of(now), next_month(now)])
    finally:
        engine.dispose()


def claim_mode(connection: sa.Connection, mode: str) -> None:
    """Mark an unmarked database with its mode; refuse one of another mode.

    Raises:
        WrongModeError: the marker names another mode.
    """
    require_mode(connection, mode)
    if _marked_mode(connection) is None:
        connection.execute(meta.insert().values(key="mode", value=mode))


def require_mode(connection: sa.Connection, mode: str) -> None:
    """Refuse a database of another mode, before anything in it is touched; one without tables belongs to nobody.

    Raises:
        WrongModeError: the marker names another mode.
    """
    found = _marked_mode(connection) if sa.inspect(connection).has_table(meta.name) else None
    if found not in (None, mode):
        raise WrongModeError(
            f"this database belongs to mode {found!r} and mode {mode!r} was asked for; modes never share a database: "
            f"start with --mode {found} or point SIGMAPILOT_DATABASE_URL elsewhere"
        )


def _marked_mode(connection: sa.Connection) -> str | None:
    return connection.execute(sa.select(meta.c.value).where(meta.c.key == "mode")).scalar()
