"""What assets touch outside themselves, put together in one place and handed in as one Dagster resource."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import sqlalchemy as sa

from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.traders.completeness import CompletenessParams
from sigmapilot_core.ports import Clock, LeaderboardSource, VenueReader


@dataclass(frozen=True, slots=True)
class Platform:
    """Database, venue, clock and parameters of one mode.

    `pool_flavour` is `normal`, or `recording` where the venue cannot answer filters 5-7 and the pool is chosen by
    filters 1-4 among the traders that occur in the recording.
    `account` is the own one, whose fee rates are asked. `retention_months` None: nothing is ever dropped.
    """

    mode: str
    pool_flavour: str
    params: Params
    engine: sa.Engine
    clock: Clock
    open_venue: Callable[[], VenueReader]
    leaderboard: LeaderboardSource
    data_dir: Path
    retention_months: int | None = None
    completeness: CompletenessParams = field(default_factory=CompletenessParams)
    account: str | None = None

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """One database transaction: commits at the end, rolls back on an error."""
        with self.engine.begin() as connection:
            yield connection

    def now(self) -> datetime:
        """Now by the feed's clock: the machine's, or the recording's virtual one."""
        return datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)

    def today(self) -> date:
        """UTC date of `now`."""
        return self.now().date()
