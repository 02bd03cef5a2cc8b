"""Role, databases, schema and mode marker of one mode, made ready before any part starts."""

from __future__ import annotations

from sigmapilot_cli.errors import CommandError
from sigmapilot_core.adapters.settings import Settings


def prepare_databases(settings: Settings) -> None:
    """Create what is missing, migrate, mark.

    Raises:
        CommandError: the server does not answer or refuses, or the database belongs to another mode.
    """
    # slow to import, and most commands do without
    import psycopg
    from sqlalchemy.exc import SQLAlchemyError

    from sigmapilot_core.adapters.postgres.databases import ensure_database, ensure_role, prepare_database
    from sigmapilot_core.adapters.postgres.migrate import WrongModeError

    url = settings.libpq_url.get_secret_value()
    try:
        if not settings.database_is_external:
            ensure_role(settings.server_paths)
        ensure_database(url)
        prepare_database(url, str(settings.mode))
        ensure_database(settings.dagster_database_url.get_secret_value())
    except WrongModeError as error:
        raise CommandError(f"{error}.") from None
    except (psycopg.Error, SQLAlchemyError) as error:
        # the driver's message names host and user, never the password
        raise CommandError(f"the database cannot be prepared: {str(error).strip().splitlines()[0]}") from error
