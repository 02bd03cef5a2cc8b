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

log = structlog.get_logger(__name__)


async def until_written(write: Callable[[], T], what: str) -> T:
    """Run a transaction in a thread until the database takes it; errors that a retry cannot mend are raised."""
    wait = FIRST_WAIT_S
    while True:
        try:
            return await asyncio.to_thread(write)
        # bulk writes go through the driver itself, whose errors SQLAlchemy does not wrap
        except (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError) as error:
            reason = str(getattr(error, "orig", None) or error).strip()
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            reason = str(error.orig).strip()
        log.warning("database does not answer; waiting", what=what, wait_s=wait, reason=reason)
        await asyncio.sleep(wait)
        wait = min(LONGEST_WAIT_S, wait * 2)
