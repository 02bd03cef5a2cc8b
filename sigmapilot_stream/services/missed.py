"""Traders of whom a completeness sample found fills missed: their positions are asked anew at once.

Only addresses and instants are read here; what they hold comes from the venue and is journalled, so that a replay sees
the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

import sqlalchemy as sa
import structlog

from sigmapilot_core.adapters.postgres import completeness_store
from sigmapilot_stream.retrying import unless_down
from sigmapilot_stream.together import repeat

POLL_S = 5.0

log = structlog.get_logger(__name__)


class MissedFills:
    """Watches for new samples; `lost` primes accounts anew, `followed` says who is followed."""

    def __init__(
        self,
        database: sa.Engine,
        lost: Callable[[Sequence[str], int, str], Awaitable[None]],
        followed: Callable[[], Collection[str]],
    ) -> None:
        self._database = database
        self._lost = lost
        self._followed = followed
        self._seen: int | None = None

    async def run(self) -> None:
        """Watch until cancelled. Samples of before the start are done with: then everybody was primed anew."""
        await repeat(self.look, POLL_S)

    async def look(self) -> None:
        """Ask anew about everybody in samples that came since the last look."""
        found = await unless_down(self._newer, "samples of the feed's completeness are not read")
        if found is None:
            return
        newest, missed = found
        followed = self._followed()
        for user, (first_ms, _) in missed.items():
            if user in followed:
                await self._lost([user], first_ms, f"a sample of the feed's completeness found fills missed ({newest})")
        self._seen = newest

    def _newer(self) -> tuple[int, dict[str, tuple[int, int]]]:
        with self._database.connect() as connection:
            if self._seen is None:
                last = completeness_store.last_sample(connection)
                return (0 if last is None else last[0]), {}
            return completeness_store.missed_since(connection, self._seen)
