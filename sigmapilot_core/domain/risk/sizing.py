"""Size of an entry: what the method asks for, scaled, then capped; the cap that binds is named (spec 6.1, 6.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sigmapilot_core.domain.frozen import quick
from sigmapilot_core.domain.market.checks import not_negative, positive
from sigmapilot_core.domain.params import KellyParams, RiskParams
from sigmapilot_core.domain.risk.kelly import SizeMethod, position_share
from sigmapilot_core.domain.risk.state import EntryIntent, RiskState


@dataclass(frozen=True, slots=True)
class Scale:
    """A factor in (0, 1] on the size, switched on by its caller."""

    name: str
    factor: float


@quick
@dataclass(frozen=True, slots=True)
class Cap:
    """A limit on the notional of the new position."""

    name: str
    limit_usd: float


@quick
@dataclass(frozen=True, slots=True)
class SizedEntry:
    """Size of an entry; `notional_usd` None is unknown and blocks.

    `wanted_usd` is before the caps; `binding_cap` names the cap that shrank it, None if none did. `position_pct` is
    the share of equity the method asked for, `kelly_fraction` f* where Kelly was used.
    """

    method: SizeMethod
    notional_usd: float | None
    wanted_usd: float | None
    binding_cap: str | None
    caps: tuple[Cap, ...]
    scales: tuple[Scale, ...]
    kelly_fraction: float | None
    risk_fraction: float | None
    position_pct: float | None
    reason: str | None = None


def volatility_scale(target_fraction: float, current_fraction: float) -> Scale:
    """target/current volatility, at most 1: targeting shrinks a size and never lifts it (spec 6.1).

    Errors: ValueError for volatilities that are not finite and above zero.
    """
    ratio = positive("target_fraction", target_fraction) / positive("current_fraction", current_fraction)
    return Scale("volatility_target", min(1.0, ratio))


def correlation_scale(rhos: Sequence[float]) -> Scale:
    """1/sqrt(1 + sum of the correlations with the open positions), negative ones counted as 0 (spec 6.1).

    Errors: ValueError for a correlation that is not finite.
    """
    total = sum(not_negative("rho", max(0.0, rho) if math.isfinite(rho) else rho) for rho in rhos)
    return Scale("open_correlation", 1 / math.sqrt(1 + total))


def entry_caps(equity_usd: float, exposure_usd: float, params: RiskParams) -> tuple[Cap, ...]:
    """Limits on a new position's notional: position, hard ceiling, exposure and leverage left (spec 6.2)."""
    return (
        Cap("max_position", params.max_position_pct * equity_usd),
        Cap("hard_max_position", params.hard_max_position_pct * equity_usd),
        Cap("max_exposure", max(0.0, params.max_exposure_pct * equity_usd - exposure_usd)),
        Cap("max_leverage", max(0.0, params.max_leverage * equity_usd - exposure_usd)),
    )


def size_entry(
    state: RiskState, intent: EntryIntent, risk: RiskParams, kelly: KellyParams, scales: Sequence[Scale] = ()
) -> SizedEntry:
    """Notional of an entry in USD: share of equity by method x scales, then the smallest cap (spec 6.1, 6.2).

    Unknown or non-finite equity, exposure or estimate gives no size. Errors: ValueError for a scale outside (0, 1].
    """
    for scale in scales:
        if not 0 < scale.factor <= 1:
            raise ValueError(f"{scale.name} is {scale.factor}; allowed is a factor above 0 and at most 1.")
    share = position_share(
        p_win=intent.p_win, win_r=intent.win_r, loss_r=intent.loss_r, net_ev_r=intent.net_ev_r,
        stop_fraction=intent.stop_fraction, regime=intent.regime, evidence_episodes=intent.evidence_episodes,
        kelly=kelly, risk=risk,
    )  # fmt: skip
    account = state.account
    equity = account.equity_usd if account else None
    exposure = account.exposure_usd if account else math.nan
    is_known = equity is not None and math.isfinite(equity) and equity > 0 and math.isfinite(exposure)
    if share.position_fraction is None or equity is None or not is_known:
        reason = share.reason if share.position_fraction is None else "equity or exposure is not known"
        return SizedEntry(
            SizeMethod.UNKNOWN, None, None, None, (), tuple(scales), share.full_fraction, share.risk_fraction,
            share.position_fraction, reason,
        )  # fmt: skip
    wanted = share.position_fraction * equity * math.prod(scale.factor for scale in scales)
    caps = entry_caps(equity, exposure, risk)
    smallest = min(caps, key=lambda cap: cap.limit_usd)
    notional = min(wanted, smallest.limit_usd)
    return SizedEntry(
        method=share.method, notional_usd=notional, wanted_usd=wanted,
        binding_cap=smallest.name if smallest.limit_usd < wanted else None, caps=caps, scales=tuple(scales),
        kelly_fraction=share.full_fraction, risk_fraction=share.risk_fraction,
        position_pct=share.position_fraction, reason=share.reason,
    )  # fmt: skip
