"""What a perpetuals venue says about its assets and accounts, free of any wire format.

The exchange client turns wire messages into these values; the emulator turns them back. Money is `Decimal`, rates
are float64 fractions, instants are integer milliseconds since the epoch, UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.frozen import quick


@dataclass(frozen=True, slots=True)
class AssetSpec:
    """One perpetual of the first dex; its index in the universe is the asset id on the wire."""

    coin: str
    sz_decimals: int
    max_leverage: int
    is_delisted: bool = False


@quick
@dataclass(frozen=True, slots=True)
class AssetContext:
    """Market figures of one asset. `funding_rate` is hourly; `open_interest` is in base units."""

    coin: str
    time_ms: int
    mark_px: Decimal
    oracle_px: Decimal
    mid_px: Decimal | None
    prev_day_px: Decimal
    day_notional_volume: float
    open_interest: float
    funding_rate: float
    premium: float | None


@quick
@dataclass(frozen=True, slots=True)
class Position:
    """An open position; `size` is signed, `liquidation_px` None where the venue gives none."""

    coin: str
    size: Decimal
    entry_px: Decimal
    unrealised_pnl: Decimal = Decimal(0)
    leverage: int = 1
    max_leverage: int = 20
    liquidation_px: Decimal | None = None
    margin_used: Decimal = Decimal(0)
    funding_since_open: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class AccountState:
    """All open positions and the margin summary of one account at one instant."""

    user: str
    time_ms: int
    account_value: Decimal
    maintenance_margin: Decimal
    withdrawable: Decimal
    positions: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class LeaderboardWindow:
    """Performance over one window; None where the source does not carry the figure."""

    pnl_usd: float | None
    roi: float | None
    volume_usd: float | None


@dataclass(frozen=True, slots=True)
class LeaderboardRow:
    """One row of the leaderboard; windows by the venue's names: day, week, month, allTime.

    `roi_approximate` marks a return computed from PnL and account value because the source carried none.
    """

    address: str
    account_value_usd: float
    windows: dict[str, LeaderboardWindow]
    display_name: str | None = None
    prize: float = 0.0
    roi_approximate: bool = False


@dataclass(frozen=True, slots=True)
class FundingRate:
    """One hourly funding rate of an asset."""

    coin: str
    time_ms: int
    rate: float
    premium: float


@dataclass(frozen=True, slots=True)
class FundingPayment:
    """Funding of one position; `usdc` is negative when the account paid."""

    user: str
    coin: str
    time_ms: int
    usdc: Decimal
    size: Decimal
    rate: float


@dataclass(frozen=True, slots=True)
class CashFlow:
    """A deposit (positive) or withdrawal (negative) of one account."""

    user: str
    time_ms: int
    usdc: Decimal
    kind: str


@dataclass(frozen=True, slots=True)
class SubAccount:
    """A sub-account and its master."""

    name: str
    user: str
    master: str


@dataclass(frozen=True, slots=True)
class PortfolioHistory:
    """Account value and PnL over one period (day, week, month, allTime), as the venue charts them."""

    period: str
    account_value: tuple[tuple[int, float], ...]
    pnl: tuple[tuple[int, float], ...]
    volume_usd: float


@dataclass(frozen=True, slots=True)
class TwapSlice:
    """A fill that is a slice of a time-weighted order."""

    twap_id: int
    fill: Fill
