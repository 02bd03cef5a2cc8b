"""Death, censoring and the daily row of a trader; neither row is ever deleted (spec 1.5)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from sigmapilot_core.domain.params import DAY_MS, SkillParams

_DEFAULTS = SkillParams()


class DailyStatus(StrEnum):
    """`event_type` of `trader_snapshots`."""

    ENTERED = "entered"
    ACTIVE = "active"
    PROMOTED = "promoted"
    DEMOTED = "demoted"
    DEATH = "death"
    CENSORED = "censored"


class DeathCause(StrEnum):
    """Why a trader counts as dead."""

    LIQUIDATION = "liquidation"
    NEGATIVE_EQUITY = "negative_equity"
    ACCOUNT_VALUE_FLOOR = "account_value_floor"
    DRAWDOWN = "drawdown_80"


class CensorCause(StrEnum):
    """Why a trader's record stops without a death."""

    INACTIVE = "inactive"
    NOT_OBSERVED = "not_observed"


@dataclass(frozen=True, slots=True)
class TraderDay:
    """What is known of a trader on a day.

    `equity_usd` and `peak_equity_usd` are None when not observed: no death can follow from that. `previous` is his
    row of the day before, None on the first. `is_observed` is False when neither leaderboard nor feed showed him.
    """

    equity_usd: float | None
    peak_equity_usd: float | None
    was_liquidated: bool
    last_fill_ms: int | None
    is_observed: bool
    in_pool: bool
    was_in_pool: bool
    previous: DailyStatus | None
    previous_death: DeathCause | None = None


@dataclass(frozen=True, slots=True)
class TraderStatus:
    """The row of the day; a cause stands beside death and censoring only."""

    status: DailyStatus
    death: DeathCause | None = None
    censor: CensorCause | None = None


def death_cause(
    equity_usd: float | None,
    peak_equity_usd: float | None,
    was_liquidated: bool,
    params: SkillParams = _DEFAULTS,
) -> DeathCause | None:
    """Liquidation, equity <= 0, equity < 10 000 USD, drawdown >= 80 % of the peak; None when none is shown.

    Equity that is not known or not a number proves nothing.
    """
    if was_liquidated:
        return DeathCause.LIQUIDATION
    if equity_usd is None or not math.isfinite(equity_usd):
        return None
    if equity_usd <= 0:
        return DeathCause.NEGATIVE_EQUITY
    if equity_usd < params.death_equity_usd:
        return DeathCause.ACCOUNT_VALUE_FLOOR
    if peak_equity_usd is None or not math.isfinite(peak_equity_usd) or peak_equity_usd <= 0:
        return None
    return DeathCause.DRAWDOWN if 1 - equity_usd / peak_equity_usd >= params.death_drawdown - 1e-12 else None


def is_alive(
    equity_usd: float | None,
    peak_equity_usd: float | None,
    was_liquidated: bool,
    params: SkillParams = _DEFAULTS,
) -> bool | None:
    """Whether the pool may hold him: False once dead, None when his equity was not observed."""
    if death_cause(equity_usd, peak_equity_usd, was_liquidated, params) is not None:
        return False
    return None if equity_usd is None or not math.isfinite(equity_usd) else True


def censor_cause(
    last_fill_ms: int | None, is_observed: bool, now_ms: int, params: SkillParams = _DEFAULTS
) -> CensorCause | None:
    """Not observed, or no fill for 30 days; a trader of whom no fill is known yet is not censored for that."""
    if not is_observed:
        return CensorCause.NOT_OBSERVED
    if last_fill_ms is not None and now_ms - last_fill_ms >= params.censor_days * DAY_MS:
        return CensorCause.INACTIVE
    return None


def status_of(day: TraderDay, now_ms: int, params: SkillParams = _DEFAULTS) -> TraderStatus:
    """The row of the day. Death is final; then censoring; then a change of the pool; then the first day."""
    if day.previous is DailyStatus.DEATH:
        return TraderStatus(DailyStatus.DEATH, death=day.previous_death)
    death = death_cause(day.equity_usd, day.peak_equity_usd, day.was_liquidated, params)
    if death is not None:
        return TraderStatus(DailyStatus.DEATH, death=death)
    censor = censor_cause(day.last_fill_ms, day.is_observed, now_ms, params)
    if censor is not None:
        return TraderStatus(DailyStatus.CENSORED, censor=censor)
    if day.in_pool != day.was_in_pool:
        return TraderStatus(DailyStatus.PROMOTED if day.in_pool else DailyStatus.DEMOTED)
    return TraderStatus(DailyStatus.ENTERED if day.previous is None else DailyStatus.ACTIVE)
