"""Settings that are each allowed but make no sense together; above all gates that nothing could ever pass."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sigmapilot_core.domain.params import Params


def contradictions(params: Params) -> Iterator[str]:
    """One sentence for each contradiction, naming the settings, their values and what would be allowed."""
    yield from _voters(params)
    yield from _expected_value(params)
    yield from _sizes(params)
    yield from _windows(params)


def _voters(params: Params) -> Iterator[str]:
    """Effective K of n equal voters who all correlate by rho is n / (1 + (n-1) rho) (spec 1.7).

    Pairs without a measurement count with a default of up to `max_default_rho`, so the least number of voters must
    reach the K gate at that value; the predecessor asked for three voters and silently needed four.
    """
    voters, wanted = params.consensus.min_traders, params.consensus.min_effective_k
    rho = params.correlation.max_default_rho
    if voters > params.bandit.pool_size:
        yield (
            f"CONSENSUS_MIN_TRADERS={voters} can never be reached by BANDIT_POOL_SIZE={params.bandit.pool_size} "
            "traders; allowed: at most the pool size"
        )
    reached = voters / (1 + (voters - 1) * rho)
    if wanted > reached + params.consensus.tolerance:
        needed = _least_voters(wanted, rho)
        yield (
            f"CONSENSUS_MIN_EFFECTIVE_K={wanted:g} is out of reach of CONSENSUS_MIN_TRADERS={voters}: at the default "
            f"correlation of up to {rho:g} their effective K is {reached:.2f}; allowed: at most {reached:.2f}"
            + (f", or at least {needed} traders" if needed else "")
        )


def _least_voters(wanted: float, rho: float) -> int | None:
    """Smallest n with n / (1 + (n-1) rho) >= wanted; None where even infinitely many stay below 1/rho."""
    if wanted * rho >= 1:
        return None
    return math.ceil(wanted * (1 - rho) / (1 - wanted * rho) - 1e-9)


def _expected_value(params: Params) -> Iterator[str]:
    best = params.probability.p_max * params.episodes.r_clamp
    if params.consensus.ev_min_r >= best:
        yield (
            f"CONSENSUS_EV_MIN_R={params.consensus.ev_min_r:g} can never be reached: no estimate exceeds {best:g} R; "
            f"allowed: below {best:g}"
        )


def _sizes(params: Params) -> Iterator[str]:
    risk = params.risk
    if risk.max_position_pct > risk.hard_max_position_pct:
        yield (
            f"RISK_MAX_POSITION_PCT={risk.max_position_pct:g} exceeds the hard ceiling; allowed: above 0 up to "
            f"{risk.hard_max_position_pct:g} (a fraction: 0.02 is 2 %)"
        )
    if risk.max_position_pct > risk.max_exposure_pct:
        yield (
            f"RISK_MAX_POSITION_PCT={risk.max_position_pct:g} exceeds RISK_MAX_EXPOSURE_PCT={risk.max_exposure_pct:g}; "
            "allowed: one position may not be larger than all together"
        )
    largest = risk.paper_equity_usd * risk.max_position_pct
    if largest < risk.min_notional_usd:
        yield (
            f"PAPER_EQUITY_USD={risk.paper_equity_usd:g} x RISK_MAX_POSITION_PCT={risk.max_position_pct:g} allows "
            f"{largest:g} USD a position, below the venue's minimum of {risk.min_notional_usd:g} USD"
        )


def _windows(params: Params) -> Iterator[str]:
    corr = params.correlation
    buckets = corr.lookback_days * 1440 // corr.bucket_minutes
    if corr.min_common_buckets > buckets:
        yield (
            f"CORR_MIN_COMMON_BUCKETS={corr.min_common_buckets} exceeds the {buckets} buckets of "
            f"CORR_LOOKBACK_DAYS={corr.lookback_days} and CORR_BUCKET_MINUTES={corr.bucket_minutes}"
        )
    if params.volatility.atr_period >= params.volatility.seed_bars:
        yield (
            f"ATR_PERIOD={params.volatility.atr_period} leaves nothing to smooth; allowed: below "
            f"{params.volatility.seed_bars} bars"
        )
