"""A database connection for one command; a server that is away is one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sigmapilot_cli.errors import CommandError

if TYPE_CHECKING:
    import sqlalchemy as sa

    from sigmapilot_core.adapters.settings import Settings


@contextmanager
def answering(settings: Settings) -> Iterator[sa.Engine]:
    """The mode's database. Errors: CommandError when it does not answer."""
    # SQLAlchemy is slow to import, and most commands do without
    from sqlalchemy.exc import DBAPIError

    from sigmapilot_core.adapters.postgres.engine import create_engine

    engine = create_engine(settings.database_url.get_secret_value())
    try:
        yield engine
    except DBAPIError as error:
        raise unanswered(str(settings.mode), error.orig) from error
    finally:
        engine.dispose()


def unanswered(mode: str, error: BaseException | None) -> CommandError:
    """What to say of a database that does not answer, or refuses."""
    first = (str(error).strip().splitlines() or ["no answer"])[0]
    return CommandError(f"the database of mode {mode} does not answer ({first}); start it with `sigmapilot up`.")
