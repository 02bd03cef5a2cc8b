"""The simulated world as assets see a venue, without a network: for what is measured in one process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from sigmapilot_core.domain.events import Bar, Fill
from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.source import WorldSource
from sigmapilot_core.domain.simulation.world import World
from sigmapilot_core.domain.venue import FundingRate
from sigmapilot_core.ports import LeaderboardDownload, SubAccounts, UniverseEntry


class SimulatedVenue:
    """`ports.VenueReader` and `ports.LeaderboardSource` over a world that stands still."""

    name = "simulated world"

    def __init__(self, settings: WorldSettings) -> None:
        world = World(settings)
        self.now_ms = world.now_ms
        self._source = WorldSource(world)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def download(self, as_of_ms: int | None = None) -> LeaderboardDownload:
        """The leaderboard of now, or of a past instant."""
        return LeaderboardDownload(self._source.leaderboard(as_of_ms), 0, None, "", self.name)

    def universe(self) -> Sequence[UniverseEntry]:
        """All coins."""
        assets = self._source.assets
        return [UniverseEntry(i, asset, self._source.context(asset.coin)) for i, asset in enumerate(assets)]

    def candles(self, coin: str, interval_ms: int, start_ms: int, end_ms: int) -> Sequence[Bar]:
        """Closed candles."""
        bars = self._source.candles(coin, interval_ms, start_ms, max(start_ms, end_ms - 1))
        return [bar for bar in bars if bar.close_ms <= self.now_ms]

    def funding_rates(self, coin: str, start_ms: int, end_ms: int) -> Sequence[FundingRate]:
        """Hourly rates paid in [start, end]."""
        return self._source.funding_history(coin, start_ms, end_ms)

    def fill_history(self, user: str, start_ms: int, end_ms: int, limit: int) -> Sequence[Fill]:
        """Fills with slices of time-weighted orders, newest `limit`, in execution order."""
        slices = [found.fill for found in self._source.twap_slices(user, start_ms, end_ms)]
        fills = sorted([*self._source.fills(user, start_ms, end_ms), *slices], key=lambda fill: fill.time_ms)
        return fills[-limit:]

    def sub_accounts(self, user: str) -> SubAccounts:
        """Sub-accounts of a master."""
        return SubAccounts(user, tuple(found.user for found in self._source.sub_accounts(user)))

    def taker_fee_bps(self, user: str) -> float:
        """No asset of a demo asks for it.

        Raises:
            NotImplementedError: always; the world has no accounts of one's own.
        """
        raise NotImplementedError(user)

    def recorded_users(self) -> Sequence[str]:
        """Nobody: it is no recording."""
        return []
