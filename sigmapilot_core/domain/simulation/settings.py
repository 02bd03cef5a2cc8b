"""What a world is made of: seed, epoch, size, coins, news and the two live profiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from sigmapilot_core.domain.params import DAY_MS

EARLIEST_EPOCH_MS = 1_000 * DAY_MS
LAWS = 2
"""Counts up whenever the same seed, epoch and settings make another world."""


class Profile(StrEnum):
    """`NATURAL`: the specification's rates. `DEMO`: the same world, with frequent news once it is marked ready."""

    NATURAL = "natural"
    DEMO = "demo"


@dataclass(frozen=True, slots=True)
class CoinSettings:
    """One perpetual. `hourly_sigma` is the standard deviation of an hourly log return without news, in a trending
    regime; `beta` its loading on the common factor; `depth_usd` what a taker finds at one level of the book;
    `news_per_day` the mean number of information events, herd events come as often.
    """

    coin: str
    sz_decimals: int
    max_leverage: int
    start_px: float
    hourly_sigma: float
    beta: float
    half_spread_bps: float
    depth_usd: float
    day_volume_usd: float
    open_interest_usd: float
    news_per_day: float
    trades_per_s: float
    is_major: bool = False


DEFAULT_COINS = (
    CoinSettings("BTC", 5, 40, 92_000.0, 0.0044, 0.95, 0.15, 1.2e6, 9.0e8, 1.5e9, 6.0, 0.40, True),
    CoinSettings("ETH", 4, 25, 3_300.0, 0.0060, 1.15, 0.25, 8.0e5, 5.0e8, 9.0e8, 6.0, 0.30, True),
    CoinSettings("SOL", 2, 20, 165.0, 0.0072, 1.30, 0.50, 4.0e5, 2.5e8, 4.0e8, 6.0, 0.25, True),
    CoinSettings("XRP", 0, 20, 2.2, 0.0065, 0.80, 0.90, 2.0e5, 6.0e7, 1.2e8, 1.5, 0.08),
    CoinSettings("DOGE", 0, 10, 0.19, 0.0085, 1.20, 1.20, 1.5e5, 4.0e7, 9.0e7, 1.5, 0.08),
    CoinSettings("LINK", 1, 10, 17.5, 0.0080, 1.10, 1.30, 1.2e5, 3.0e7, 6.0e7, 1.5, 0.08),
    CoinSettings("AVAX", 2, 10, 22.4, 0.0085, 1.40, 1.40, 1.2e5, 2.5e7, 5.0e7, 1.5, 0.08),
    CoinSettings("HYPE", 2, 10, 31.0, 0.0095, 0.60, 1.10, 1.5e5, 5.0e7, 1.0e8, 1.5, 0.08),
)


@dataclass(frozen=True, slots=True)
class MarketSettings:
    """The price process without news. Volatility is a product of regime, time of day and two log-AR(1) factors."""

    factor_sigma: float = 0.0040
    tail_degrees: float = 5.0
    common_vol_std: float = 0.22
    common_vol_half_life_min: float = 360.0
    own_vol_std: float = 0.15
    own_vol_half_life_min: float = 120.0
    daily_season: float = 0.20
    season_peak_hour: float = 15.0
    jumps_per_day: float = 0.15
    jump_sigmas: tuple[float, float] = (1.0, 3.0)
    regime_days: tuple[float, float] = (1.5, 6.0)
    premium_std: float = 0.0003
    premium_memory: float = 0.90
    premium_of_trend: float = 0.0002


@dataclass(frozen=True, slots=True)
class NewsSettings:
    """Information and herd events. Strength is a total move in hourly sigmas, spread evenly over the duration;
    information is 1 + 3 x Beta(a, b) sigmas. `trend_share` is the share of information events that agree with the
    trend of a trending regime.
    """

    strength_sigmas: tuple[float, float] = (1.0, 4.0)
    strength_shape: tuple[float, float] = (1.3, 1.5)
    duration_h: tuple[float, float] = (2.0, 12.0)
    reversal_share: float = 0.5
    reversal_sigmas: tuple[float, float] = (0.1, 0.6)
    reversal_h: tuple[float, float] = (1.0, 3.0)
    trend_share: float = 0.60


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """News of the demo profile after readiness. Herd events come half an interval after information events; a leader
    of a copy group acts on an idea of his own every `group_every_s`. Directions are balanced within every
    `balance_events` events of a coin, so that a demo of many hours does not drift away.
    """

    first_s: tuple[float, float] = (30.0, 60.0)
    every_s: float = 90.0
    jitter_s: float = 8.0
    min_sigmas: float = 2.5
    max_sigmas: float = 4.0
    duration_h: tuple[float, float] = (2.0, 12.0)
    balance_events: int = 48
    group_first_s: float = 150.0
    group_every_s: float = 240.0


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """A world is a function of these values alone. `epoch_ms` is its first start; history ends there.

    Errors: ValueError for a number out of range.
    """

    seed: int
    epoch_ms: int
    traders: int = 300
    history_days: int = 60
    profile: Profile = Profile.NATURAL
    coins: tuple[CoinSettings, ...] = DEFAULT_COINS
    market: MarketSettings = field(default_factory=MarketSettings)
    news: NewsSettings = field(default_factory=NewsSettings)
    demo: DemoSettings = field(default_factory=DemoSettings)

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is {self.seed}; allowed is 0 to 2^63 - 1.")
        if self.epoch_ms < EARLIEST_EPOCH_MS:
            raise ValueError(f"epoch_ms is {self.epoch_ms}; allowed is {EARLIEST_EPOCH_MS} or later.")
        if self.traders < 20:
            raise ValueError(f"traders is {self.traders}; allowed is 20 or more, so that every kind is present.")
        if not 1 <= self.history_days <= 900:
            raise ValueError(f"history_days is {self.history_days}; allowed is 1 to 900.")
        if len(self.coins) < 3 or sum(coin.is_major for coin in self.coins) < 1:
            raise ValueError(f"coins holds {len(self.coins)} coins; allowed are three or more, one of them a major.")

    @property
    def live_start_ms(self) -> int:
        """Where minute steps end and second steps begin: the UTC midnight at or before the epoch."""
        return self.epoch_ms // DAY_MS * DAY_MS

    @property
    def start_ms(self) -> int:
        """The beginning of the world."""
        return self.live_start_ms - self.history_days * DAY_MS

    @property
    def coin_names(self) -> tuple[str, ...]:
        """Names of the coins; the position is the asset id."""
        return tuple(coin.coin for coin in self.coins)
