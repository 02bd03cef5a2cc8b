"""How much to risk on one entry: Kelly's fraction, its fallback, and the rule that a negative EV risks nothing
(spec 6.1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from sigmapilot_core.domain.frozen import quick
from sigmapilot_core.domain.market.checks import known
from sigmapilot_core.domain.market.regime import EFFECTS, Regime
from sigmapilot_core.domain.params import KellyParams, RiskParams


class SizeMethod(StrEnum):
    """How a size came about."""

    KELLY = "kelly"
    FALLBACK = "fallback"
    FIXED = "fixed"
    NEGATIVE_EV = "negative_ev"
    UNKNOWN = "unknown"


@quick
@dataclass(frozen=True, slots=True)
class KellySize:
    """Size before any cap, as a share of equity; None is unknown and blocks.

    `full_fraction` is f*, `risk_fraction` what is risked between entry and stop (both None where not used),
    `position_fraction` the notional over equity.
    """

    method: SizeMethod
    full_fraction: float | None
    risk_fraction: float | None
    position_fraction: float | None
    reason: str | None = None


def payoff_ratio(win_r: float, loss_r: float) -> float:
    """b = W/L of the average win and the average loss, both given as positive R; infinite for a loss of zero."""
    return win_r / loss_r if loss_r else math.copysign(math.inf, win_r)


def kelly_fraction(p: float, b: float) -> float:
    """f* = p - (1-p)/b, at least 0 (spec 6.1); p outside [0, 1] or not finite, b <= 0 or not finite -> 0."""
    if not (math.isfinite(p) and 0 <= p <= 1 and math.isfinite(b) and b > 0):
        return 0.0
    return max(0.0, p - (1 - p) / b)


def position_share(
    *,
    p_win: float | None,
    win_r: float | None,
    loss_r: float | None,
    net_ev_r: float | None,
    stop_fraction: float | None,
    regime: Regime,
    evidence_episodes: int | None,
    kelly: KellyParams,
    risk: RiskParams,
) -> KellySize:
    """Share of equity for one entry, before caps (spec 6.1).

    Negative EV -> 0, always. Kelly off: `max_position_pct` of equity. On: risk fraction = 0.25 f* x regime with at
    least 30 episodes behind the estimate, else the fallback 0.01; notional share = risk fraction / stop fraction.
    """
    if net_ev_r is None or not known(net_ev_r):
        return KellySize(SizeMethod.UNKNOWN, None, None, None, "net EV is not known")
    if net_ev_r < 0:
        return KellySize(SizeMethod.NEGATIVE_EV, 0.0, 0.0, 0.0, f"net EV is {net_ev_r:.3f} R")
    if not kelly.enabled:
        return KellySize(SizeMethod.FIXED, None, None, min(risk.max_position_pct, risk.hard_max_position_pct))
    if stop_fraction is None or not known(stop_fraction) or stop_fraction <= 0:
        return KellySize(SizeMethod.UNKNOWN, None, None, None, "stop fraction is not known")
    if evidence_episodes is None or evidence_episodes < kelly.min_episodes:
        share = kelly.fallback_pct
        reason = f"{evidence_episodes or 0} episodes behind the estimate, {kelly.min_episodes} are needed"
        return KellySize(SizeMethod.FALLBACK, None, share, share / stop_fraction, reason)
    if p_win is None or win_r is None or loss_r is None:
        return KellySize(SizeMethod.UNKNOWN, None, None, None, "probability or payoff is not known")
    full = kelly_fraction(p_win, payoff_ratio(win_r, loss_r))
    share = kelly.fraction * full * EFFECTS[regime].kelly_factor
    return KellySize(SizeMethod.KELLY, full, share, share / stop_fraction)
