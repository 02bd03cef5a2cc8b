"""The seven gates: every one is evaluated every time, in this order, and says pass, fail or unknown (spec 4.1).

Equality passes, comparisons allow `tolerance`. A number that is missing or not finite is unknown and never passes.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sigmapilot_core.domain.events import Direction, Verdict
from sigmapilot_core.domain.frozen import quick
from sigmapilot_core.domain.market.checks import known
from sigmapilot_core.domain.params import ConsensusParams
from sigmapilot_core.domain.traders.effective_k import EffectiveK

GATE_NAMES = (
    "inputs_fresh",
    "min_traders",
    "supermajority",
    "effective_k",
    "freshness",
    "price_band",
    "ev_gate",
)
PASS_AT_MOST = frozenset({"inputs_fresh", "freshness", "price_band"})
"""Gates whose value may not exceed the threshold; the others must reach it."""
BPS = 10_000.0
_DEFAULTS = ConsensusParams()


@quick
@dataclass(frozen=True, slots=True)
class GateResult:
    """Verdict of one gate or risk check: `passed` is True, False, or None for unknown."""

    name: str
    passed: bool | None
    value: float | None
    threshold: float | None
    detail: str

    @property
    def verdict(self) -> Verdict:
        """The same as a word."""
        return verdict_of(self.passed)


def verdict_of(passed: bool | None) -> Verdict:
    """pass, fail or unknown."""
    if passed is None:
        return Verdict.UNKNOWN
    return Verdict.PASS if passed else Verdict.FAIL


def direction_of(n_long: int, n_short: int) -> Direction:
    """The side with more heads; none for a tie."""
    return Direction.of(n_long - n_short)


def min_traders(n_agreeing: int, params: ConsensusParams = _DEFAULTS) -> GateResult:
    """At least `min_traders` agreeing voters; of a tie, the voters of either side."""
    detail = f"{n_agreeing} agreeing traders, at least {params.min_traders} are needed"
    return GateResult("min_traders", n_agreeing >= params.min_traders, n_agreeing, params.min_traders, detail)


def supermajority(n_agreeing: int, n_voters: int, params: ConsensusParams = _DEFAULTS) -> GateResult:
    """agreeing / voters by heads >= `min_pct`; unknown without voters. A tie (one half) fails."""
    if n_voters == 0:
        return _unknown("supermajority", params.min_pct, "nobody voted")
    share = n_agreeing / n_voters
    is_tie = 2 * n_agreeing == n_voters
    needed = f"at least {100 * params.min_pct:.0f} % are needed"
    detail = f"{n_agreeing} of {n_voters} voters agree ({100 * share:.0f} %), {needed}"
    if is_tie:
        detail = f"{n_agreeing} against {n_agreeing} voters: no direction"
    passed = _at_least(share, params.min_pct, params) and not is_tie
    return GateResult("supermajority", passed, share, params.min_pct, detail)


def effective_k(k: EffectiveK | None, params: ConsensusParams = _DEFAULTS) -> GateResult:
    """K of the agreeing >= `min_effective_k`; unknown while too few of their pairs are measured (spec 1.7)."""
    if k is None or not known(k.value):
        return _unknown(
            "effective_k", params.min_effective_k, "no direction, or an agreeing trader's record is unknown"
        )
    measured = f"{100 * k.measured_share:.0f} % of {k.n_pairs} pairs measured"
    if not k.is_known:
        detail = f"K {k.value:.2f} rests on too few measured pairs ({measured}): a copy group is not excluded"
        return GateResult("effective_k", None, k.value, params.min_effective_k, detail)
    detail = f"{k.value:.2f} independent votes ({measured}), at least {params.min_effective_k:g} are needed"
    passed = _at_least(k.value, params.min_effective_k, params)
    return GateResult("effective_k", passed, k.value, params.min_effective_k, detail)


def freshness(oldest_vote_age_s: float | None, life_s: float, params: ConsensusParams = _DEFAULTS) -> GateResult:
    """Age of the oldest agreeing vote against the life of a vote; it fails for late or replayed bursts."""
    if oldest_vote_age_s is None or not known(oldest_vote_age_s):
        return _unknown("freshness", life_s, "no agreeing vote")
    detail = f"oldest agreeing vote is {oldest_vote_age_s:.1f} s old, at most {life_s:g} s are allowed"
    return GateResult("freshness", oldest_vote_age_s <= life_s + params.tolerance, oldest_vote_age_s, life_s, detail)


def price_drift_r(mid: float | None, median: float | None, stop_fraction: float | None) -> float | None:
    """|mid - median| / median / stop fraction; None unless median and stop are positive and all are known."""
    if mid is None or median is None or stop_fraction is None or not all(map(math.isfinite, (mid, median))):
        return None
    if median <= 0 or not (known(stop_fraction) and stop_fraction > 0):
        return None
    return abs(mid - median) / median / stop_fraction


def price_band(
    mid: float | None, median: float | None, stop_fraction: float | None, params: ConsensusParams = _DEFAULTS
) -> GateResult:
    """How far the price has moved from the agreeing votes' median price, in R of the trade's stop.

    A mid of zero is a price and fails by its distance; unknown: no mid, no votes, no stop.
    """
    drift = price_drift_r(mid, median, stop_fraction)
    if drift is None or mid is None or median is None:
        what = "mid" if mid is None or not known(mid) else "median vote price" if median is None else "stop"
        return _unknown("price_band", params.max_price_drift_r, f"{what} is not known")
    detail = (
        f"mid {mid:g} is {abs(mid - median) / median * BPS:.1f} bps ({drift:.2f} R) from the median vote price "
        f"{median:g}, at most {params.max_price_drift_r:g} R are allowed"
    )
    passed = drift <= params.max_price_drift_r + params.tolerance
    return GateResult("price_band", passed, drift, params.max_price_drift_r, detail)


def ev_gate(net_r: float | None, reason: str | None, params: ConsensusParams = _DEFAULTS) -> GateResult:
    """Net EV >= `ev_min_r`; unknown with its reason."""
    if net_r is None or not known(net_r):
        return _unknown("ev_gate", params.ev_min_r, reason or "net EV is not known")
    detail = f"net EV {net_r:.2f} R, at least {params.ev_min_r:.2f} R are needed"
    return GateResult("ev_gate", _at_least(net_r, params.ev_min_r, params), net_r, params.ev_min_r, detail)


def median_price(prices: Sequence[Decimal | None]) -> float | None:
    """Median of the votes' prices (mean of the middle two for an even number); None for none or an unknown one."""
    if not prices or any(price is None or not price.is_finite() for price in prices):
        return None
    return float(statistics.median([price for price in prices if price is not None]))


def margin(name: str, value: float | None, threshold: float | None) -> float | None:
    """Distance of a gate's value from its threshold, positive where it passes; None where unknown, or for no gate."""
    if value is None or threshold is None or name not in GATE_NAMES:
        return None
    return threshold - value if name in PASS_AT_MOST else value - threshold


def _at_least(value: float, threshold: float, params: ConsensusParams) -> bool:
    return value >= threshold - params.tolerance


def _unknown(name: str, threshold: float, detail: str) -> GateResult:
    return GateResult(name, None, None, threshold, f"unknown: {detail}")
