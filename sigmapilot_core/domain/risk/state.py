"""What the governor knows: the account as last seen, and its own memory (spec 6.2).

Every value can be written with `canonical.plain` and read back with `codec.from_plain`: a restart changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from sigmapilot_core.domain.events import Direction, Verdict
from sigmapilot_core.domain.frozen import Remembering, quick
from sigmapilot_core.domain.market.regime import Regime


@dataclass(frozen=True, slots=True)
class OpenPosition:
    """An open position; `size` is signed, `mark_px` the price it is valued at."""

    coin: str
    size: Decimal
    mark_px: Decimal

    @property
    def notional_usd(self) -> float:
        """|size| x mark."""
        return float(abs(self.size) * self.mark_px)


@quick
@dataclass(frozen=True, slots=True)
class RiskAccount:
    """The account at one instant; None is unknown. A paper account has no equity floor."""

    as_of_ms: int
    equity_usd: float | None
    maintenance_margin_usd: float | None
    positions: tuple[OpenPosition, ...] = ()
    is_paper: bool = True

    @property
    def exposure_usd(self) -> float:
        """Sum of the positions' notionals; NaN if one is not finite."""
        return sum(position.notional_usd for position in self.positions)


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """No entries since `since_ms`, because of `reason`. `is_auto` releases itself after the cooldown."""

    since_ms: int
    reason: str
    is_auto: bool = False


@quick
@dataclass(frozen=True, slots=True)
class RiskState(Remembering):
    """State of the governor; the default is that of a fresh installation, in which every entry is unknown.

    `day` is the UTC day number of `opening_equity_usd`. `signal_times_ms` holds the last signal per asset.
    """

    account: RiskAccount | None = None
    day: int | None = None
    opening_equity_usd: float | None = None
    kill_switch: KillSwitch | None = None
    api_errors: int = 0
    api_error_at_ms: int | None = None
    loss_streak: int = 0
    loss_at_ms: int | None = None
    signal_times_ms: Mapping[str, int] = field(default_factory=dict)


@quick
@dataclass(frozen=True, slots=True)
class EntryIntent:
    """An entry that passed the gates. None is unknown. `notional_usd` is the size after all caps, see `size_entry`.

    `evidence_episodes` is the larger of closed outcomes and pool episodes behind the estimate.
    """

    coin: str
    direction: Direction
    p_win: float | None
    net_ev_r: float | None
    win_r: float | None
    loss_r: float | None
    stop_fraction: float | None
    regime: Regime
    evidence_episodes: int | None = None
    notional_usd: float | None = None


@quick
@dataclass(frozen=True, slots=True)
class RiskCheck:
    """One check of the governor; unknown blocks like fail."""

    name: str
    verdict: Verdict
    value: float | None
    threshold: float | None
    detail: str
