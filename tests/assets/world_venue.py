"""A simulated world as the assets' venue, without a wire between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sigmapilot_core.domain.events import Bar, Fill
from sigmapilot_core.domain.simulation.source import WorldSource
from sigmapilot_core.domain.simulation.world import World
from sigmapilot_core.domain.venue import FundingRate
from sigmapilot_core.ports import LeaderboardDownload, SubAccounts, UniverseEntry

from .asset_venue import Open


@dataclass
class WorldVenue(Open):
    """`ports.VenueReader` and `ports.LeaderboardSource` over a world that stands still."""

    world: World
    source: WorldSource

    @classmethod
    def of(cls, world: World) -> WorldVenue:
        return cls(world, WorldSource(world))

    @property
    def name(self) -> str:
        return "simulated world"

    def download(self, as_of_ms: int | None = None) -> LeaderboardDownload:
        is_before = as_of_ms is not None and as_of_ms < self.world.settings.start_ms
        return LeaderboardDownload([] if is_before else self.source.leaderboard(as_of_ms), 0, None, "00", self.name)

    def universe(self) -> Sequence[UniverseEntry]:
        return [UniverseEntry(i, s, self.source.context(s.coin)) for i, s in enumerate(self.source.assets)]

    def candles(self, coin: str, interval_ms: int, start_ms: int, end_ms: int) -> Sequence[Bar]:
        return self.source.candles(coin, interval_ms, max(start_ms, self.world.settings.start_ms), end_ms - 1)

    def funding_rates(self, coin: str, start_ms: int, end_ms: int) -> Sequence[FundingRate]:
        return self.source.funding_history(coin, start_ms, end_ms)

    def fill_history(self, user: str, start_ms: int, end_ms: int, limit: int) -> Sequence[Fill]:
        slices = [one.fill for one in self.source.twap_slices(user, start_ms, end_ms)]
        fills = [*self.source.fills(user, start_ms, end_ms), *slices]
        return sorted(fills, key=lambda fill: fill.time_ms)[-limit:]

    def sub_accounts(self, user: str) -> SubAccounts:
        return SubAccounts(user, tuple(one.user for one in self.source.sub_accounts(user)))

    def taker_fee_bps(self, user: str) -> float:
        raise NotImplementedError(user)

    def recorded_users(self) -> Sequence[str]:
        return []
