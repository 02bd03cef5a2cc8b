"""Writing to a database that may go away: nothing is lost and nothing goes on until it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import psycopg
import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

T = TypeVar("T")
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0

# bulk writes go through the driver itself, whose errors SQLAlchemy does not wrap
DATABASE_ERRORS = (DBAPIError, psycopg.Error)

_AWAY = ("08", "57P")
"""Classes of SQLSTATE: connection exception, operator intervention that ends connections."""

log = structlog.get_logger(__name__)


def is_down(error: BaseException) -> bool:
    """Whether the database did not answer: trying again can help, unlike with a statement it refuses."""
    if isinstance(error, (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


def reason_of(error: BaseException) -> str:
    """The driver's words on one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


def words_of(error: BaseException) -> str:
    """What happened: a server that is there and gave a transaction up (a deadlock, a lock not to be had) names a state
    that is not one of its connections or of its shutting down."""
    state = getattr(getattr(error, "orig", None) or error, "sqlstate", None)
    is_away = state is None or state.startswith(_AWAY)
    return "database does not answer" if is_away else "database gave the transaction up"


async def unless_down(work: Callable[[], T], consequence: str) -> T | None:
    """What a transaction in a thread gives; None while the database does not answer, and the consequence in the log."""
    try:
        return await asyncio.to_thread(work)
    except DATABASE_ERRORS as error:
        if not is_down(error):
            raise
        log.warning(f"{words_of(error)}; {consequence}", reason=reason_of(error))
        return None


async def until_written(write: Callable[[], T], what: str) -> T:
    """Run a transaction in a thread until the database takes it; errors that a retry cannot mend are raised."""
    wait = FIRST_WAIT_S
    while True:
        try:
            return await asyncio.to_thread(write)
        except DATABASE_ERRORS as error:
            if not is_down(error):
                raise
            log.warning(f"{words_of(error)}; waiting", what=what, wait_s=wait, reason=reason_of(error))
        await asyncio.sleep(wait)
        wait = min(LONGEST_WAIT_S, wait * 2)
