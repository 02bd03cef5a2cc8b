"""Probability, payoff and expected value of following a group of voters, in multiples of risk (spec 3)."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sigmapilot_core.domain.frozen import changed, quick, remember
from sigmapilot_core.domain.market.checks import finite, known, not_negative, positive
from sigmapilot_core.domain.params import PosteriorParams, ProbabilityParams
from sigmapilot_core.domain.traders.posterior import weight

BPS = 10_000.0
_P_EDGE = 1e-12
"""A predictive saturated at 0 or 1 in float64 is moved inside by this much: its logit would be infinite."""


@dataclass(frozen=True, slots=True)
class CalibrationMap:
    """A published, monotone map of an estimate to what was realised: piecewise linear through (x, y), flat outside.

    Without knots it is the identity (until enough outcomes exist, spec 3). `canonical.plain` and `codec.from_plain`
    write and read it. Errors: ValueError unless x ascends strictly, y never falls, and both are finite.
    """

    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise ValueError(f"x has {len(self.x)} knots and y {len(self.y)}; allowed is the same number.")
        for name in ("x", "y"):
            for value in getattr(self, name):
                finite(name, value)
        if any(after <= before for before, after in itertools.pairwise(self.x)):
            raise ValueError(f"x is {self.x}; allowed is a strictly ascending sequence.")
        if any(after < before for before, after in itertools.pairwise(self.y)):
            raise ValueError(f"y is {self.y}; allowed is a sequence that never falls.")

    @property
    def is_identity(self) -> bool:
        """True for the map without knots."""
        return not self.x

    def __call__(self, value: float) -> float:
        """The mapped value. Errors: ValueError for a value that is not finite."""
        finite("value", value)
        if self.is_identity:
            return value
        right = bisect_right(self.x, value)
        if right == 0:
            return self.y[0]
        if right == len(self.x):
            return self.y[-1]
        x0, x1, y0, y1 = self.x[right - 1], self.x[right], self.y[right - 1], self.y[right]
        return y0 + (y1 - y0) * ((value - x0) / (x1 - x0))


IDENTITY = CalibrationMap()


@dataclass(frozen=True, slots=True)
class CalibrationMaps:
    """Published maps: pooled to realised probability, gross EV to realised gross R under our own exits."""

    probability: CalibrationMap = IDENTITY
    gross_ev: CalibrationMap = IDENTITY


class _WithTerms:
    """Room for the terms of a voter's edge, made once (see `_terms`)."""

    __slots__ = ("_terms",)

    _terms: tuple[PosteriorParams, _Terms]


class _Terms(NamedTuple):
    """What one voter adds to each sum of spec 3; c is the weight of the voter's record."""

    c_logit_p: float
    c_p_win: float
    c_p_loss: float
    c_gain: float
    c_loss: float


@quick
@dataclass(frozen=True, slots=True)
class VoterEdge(_WithTerms):
    """What one agreeing voter's clamped predictive of gross R says, and how much it rests on.

    `p_win` = P(R > 0), `gain_r` = E[max(R, 0)], `loss_r` = E[max(-R, 0)], `kappa` of the posterior.
    Errors: ValueError for numbers that are not finite, p outside [0, 1], a negative gain or loss, kappa <= 0.
    """

    p_win: float
    gain_r: float
    loss_r: float
    kappa: float

    def __post_init__(self) -> None:
        if not (known(self.p_win) and 0 <= self.p_win <= 1):
            raise ValueError(f"p_win is {self.p_win}; allowed is a number in [0, 1].")
        not_negative("gain_r", self.gain_r)
        not_negative("loss_r", self.loss_r)
        positive("kappa", self.kappa)


@quick
@dataclass(frozen=True, slots=True)
class ExpectedValue:
    """Every part of the estimate; None is unknown and then `reason` says why.

    `p_raw` is before the calibration map, `p_win` after it. `win_r` and `loss_r` are the average win and the average
    loss, both positive. `gross_raw_r` = p W - (1-p) L; `gross_r` after its map; `net_r` = gross_r - cost_r.
    """

    n_voters: int
    effective_k: float
    p_raw: float | None = None
    p_win: float | None = None
    win_r: float | None = None
    loss_r: float | None = None
    gross_raw_r: float | None = None
    gross_r: float | None = None
    cost_bps: float | None = None
    stop_bps: float | None = None
    cost_r: float | None = None
    net_r: float | None = None
    reason: str | None = None


def pooled_probability(
    voters: Sequence[VoterEdge],
    effective_k: float,
    params: ProbabilityParams | None = None,
    posterior: PosteriorParams | None = None,
) -> float:
    """logit p = (K/n) sum c_i logit p_i, clamped to [0.05, 0.95]: n voters counted as K independent ones (spec 3).

    c_i = k_i/(k_i + 10). Errors: ValueError without voters, or for K below zero.
    """
    params, posterior = params or ProbabilityParams(), posterior or PosteriorParams()
    if not voters:
        raise ValueError("voters is empty; allowed is one voter or more.")
    evidence = math.fsum([_terms(voter, posterior).c_logit_p for voter in voters])
    logit = not_negative("effective_k", effective_k) / len(voters) * evidence
    p = 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))
    return min(params.p_max, max(params.p_min, p))


def average_payoffs(
    voters: Sequence[VoterEdge], posterior: PosteriorParams | None = None
) -> tuple[float | None, float | None]:
    """(W, L): W = sum c_i g_i / sum c_i p_i, L = sum c_i l_i / sum c_i (1 - p_i) (spec 3).

    None where no voter can win, or none can lose.
    """
    if not voters:
        return None, None
    posterior = posterior or PosteriorParams()
    columns = zip(*[_terms(voter, posterior) for voter in voters], strict=True)
    _, wins, losses, gain, damage = map(math.fsum, columns)
    return (gain / wins if wins > 0 else None), (damage / losses if losses > 0 else None)


def _terms(voter: VoterEdge, posterior: PosteriorParams) -> _Terms:
    """The voter's terms, remembered on the edge: pools change once a minute, decisions come many times a second."""
    try:
        held = voter._terms
        if held[0] is posterior:
            return held[1]
    except AttributeError:
        pass
    c = weight(voter.kappa, posterior)
    p = min(1 - _P_EDGE, max(_P_EDGE, voter.p_win))
    terms = _Terms(
        c * (math.log(p) - math.log1p(-p)), c * voter.p_win, c * (1 - voter.p_win), c * voter.gain_r, c * voter.loss_r
    )
    remember(voter, "_terms", (posterior, terms))
    return terms


def expected_value(
    voters: Sequence[VoterEdge],
    effective_k: float,
    *,
    cost_bps: float | None,
    stop_fraction: float | None,
    maps: CalibrationMaps | None = None,
    params: ProbabilityParams | None = None,
    posterior: PosteriorParams | None = None,
) -> ExpectedValue:
    """Estimate for the agreeing voters (spec 3); `stop_fraction` is the stop of the trade, `cost_bps` its round trip.

    Sums are exactly rounded, so the order of the voters does not matter. Unknown cost or stop leaves the net unknown
    and the rest known; without voters everything is unknown. Errors: ValueError for a K below zero or not finite.
    """
    maps = maps or CalibrationMaps()
    not_negative("effective_k", effective_k)
    stop_bps = stop_fraction * BPS if stop_fraction is not None and known(stop_fraction) and stop_fraction > 0 else None
    win, loss = average_payoffs(voters, posterior)
    if win is None or loss is None or effective_k <= 0:
        reason = "no voter can win, or none can lose" if voters and effective_k > 0 else "no agreeing voters"
        return at_cost(ExpectedValue(len(voters), effective_k, win_r=win, loss_r=loss, stop_bps=stop_bps,
                                     reason=reason), cost_bps)  # fmt: skip
    p_raw = pooled_probability(voters, effective_k, params, posterior)
    p = min(1.0, max(0.0, maps.probability(p_raw)))
    raw = p * win - (1 - p) * loss
    before_cost = ExpectedValue(
        len(voters), effective_k, p_raw, p, win, loss, raw, maps.gross_ev(raw), stop_bps=stop_bps,
        reason="stop is not known" if stop_bps is None else "cost is not known",
    )  # fmt: skip
    return at_cost(before_cost, cost_bps)


def at_cost(before: ExpectedValue, cost_bps: float | None) -> ExpectedValue:
    """An estimate of which no cost was known, at this cost: cost in R = cost / stop, net = gross - cost in R.

    An unknown cost changes nothing; without a stop the cost stands in bps only.
    """
    if cost_bps is None or not known(cost_bps):
        return before
    if before.stop_bps is None:
        return changed(before, cost_bps=cost_bps)
    cost_r = cost_bps / before.stop_bps
    if before.gross_r is None:
        return changed(before, cost_bps=cost_bps, cost_r=cost_r)
    return changed(before, cost_bps=cost_bps, cost_r=cost_r, net_r=before.gross_r - cost_r, reason=None)
