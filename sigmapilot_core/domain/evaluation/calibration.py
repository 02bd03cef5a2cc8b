"""Calibration: maps from what was estimated to what was realised, and how good estimates of a probability are (spec 3).

Both maps are monotone: pooled probability to P(R > 0), gross EV to mean gross R under our own exits. They are fitted
on outcomes that were known before an instant, and are the identity below `calibration_min_outcomes` of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from sigmapilot_core.domain.consensus.expected_value import IDENTITY, CalibrationMap, CalibrationMaps
from sigmapilot_core.domain.params import ProbabilityParams

Floats = NDArray[np.float64]
MIN_PER_KNOT = 25
"""Outcomes behind a knot at least: isotonic regression alone follows the noise at both ends."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one closed decision had estimated, raw, and what came of it."""

    closed_ms: int
    p_raw: float
    win_r: float
    loss_r: float
    gross_r: float


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a reliability curve: mean estimate, realised share, how many."""

    estimated: float
    realised: float
    n: int


@dataclass(frozen=True, slots=True)
class ProbabilityScore:
    """Brier score = mean (p - y)^2, log score = -mean ln of the probability given to what happened; lower is better.

    `base` is the Brier score of always saying the share that won.
    """

    n: int
    brier: float
    log_score: float
    base: float
    curve: tuple[Bin, ...]


def fit_maps(estimates: Sequence[Estimate], params: ProbabilityParams, known_until_ms: int) -> CalibrationMaps:
    """Maps from the outcomes that had closed before an instant; identities with too few of them.

    The second map is of what the first one makes of the estimate: gross EV = p' W - (1 - p') L, p' the mapped p.
    """
    known = [one for one in estimates if one.closed_ms < known_until_ms]
    if len(known) < params.calibration_min_outcomes:
        return CalibrationMaps()
    names = ("p_raw", "win_r", "loss_r", "gross_r")
    p, win, loss, gross = (np.array([getattr(one, name) for one in known]) for name in names)
    probability = monotone_map(p, (gross > 0).astype(np.float64))
    mapped = np.array([probability(value) for value in p.tolist()])
    return CalibrationMaps(probability, monotone_map(mapped * win - (1 - mapped) * loss, gross))


def monotone_map(x: ArrayLike, y: ArrayLike, min_per_knot: int = MIN_PER_KNOT) -> CalibrationMap:
    """Isotonic regression of y on x over groups of at least `min_per_knot` neighbours, as a piecewise linear map.

    Knots stand at the mean x of each group; between them the map is a straight line, outside it is flat. Fewer than
    two groups give a constant, no data the identity. Errors: ValueError for numbers that are not finite.
    """
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if xs.shape != ys.shape or not (np.isfinite(xs).all() and np.isfinite(ys).all()):
        raise ValueError("x and y must be finite and of one length")
    if not xs.size:
        return IDENTITY
    order = np.argsort(xs, kind="stable")
    groups = np.array_split(order, max(1, xs.size // max(1, min_per_knot)))
    size = np.array([group.size for group in groups], dtype=np.float64)
    at = np.array([xs[group].mean() for group in groups])
    mean = np.array([ys[group].mean() for group in groups])
    knots, where = np.unique(at, return_inverse=True)
    weight = np.bincount(where, weights=size)
    level = np.bincount(where, weights=size * mean) / weight
    fitted = isotonic_regression(level, weights=weight).x
    return CalibrationMap(tuple(knots.tolist()), tuple(np.maximum.accumulate(fitted).tolist()))


def score_probability(p: ArrayLike, won: ArrayLike, bins: int = 10) -> ProbabilityScore | None:
    """Brier, log score and reliability over bins of equal counts; None without outcomes.

    Errors: ValueError for a p outside (0, 1) where the log score is infinite.
    """
    ps, ys = np.asarray(p, dtype=np.float64), np.asarray(won, dtype=np.float64)
    if not ps.size:
        return None
    given = np.where(ys > 0.5, ps, 1 - ps)
    if not (given > 0).all():
        raise ValueError("p gives no chance to something that happened; keep it inside (0, 1)")
    order = np.argsort(ps, kind="stable")
    curve = tuple(
        Bin(float(ps[part].mean()), float(ys[part].mean()), int(part.size))
        for part in np.array_split(order, min(bins, ps.size))
    )
    share = float(ys.mean())
    return ProbabilityScore(
        n=int(ps.size),
        brier=float(((ps - ys) ** 2).mean()),
        log_score=float(-math.fsum(np.log(given).tolist()) / ps.size),
        base=share * (1 - share),
        curve=curve,
    )


@dataclass(frozen=True, slots=True)
class Closed:
    """One outcome beside what its decision had estimated: raw, and through the maps in force then."""

    closed_ms: int
    p_raw: float
    p_win: float
    win_r: float
    loss_r: float
    estimated_r: float
    gross_r: float


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """One nightly fit. The scores are of what was said before each outcome was known, so they are out of sample:
    `raw` of the pooled probability, `mapped` of what the maps in force made of it."""

    maps: CalibrationMaps
    n_outcomes: int
    mean_gap_r: float | None
    raw: ProbabilityScore | None
    mapped: ProbabilityScore | None


def calibrate(closed: Sequence[Closed], params: ProbabilityParams, known_until_ms: int) -> CalibrationReport:
    """Fit the maps on the outcomes known at an instant and score what had been said of them."""
    known = [one for one in closed if one.closed_ms < known_until_ms]
    estimates = [Estimate(one.closed_ms, one.p_raw, one.win_r, one.loss_r, one.gross_r) for one in known]
    won = [one.gross_r > 0 for one in known]
    return CalibrationReport(
        maps=fit_maps(estimates, params, known_until_ms),
        n_outcomes=len(known),
        mean_gap_r=float(np.mean([one.gross_r - one.estimated_r for one in known])) if known else None,
        raw=score_probability(_inside([one.p_raw for one in known]), won),
        mapped=score_probability(_inside([one.p_win for one in known]), won),
    )


def _inside(p: Sequence[float]) -> Floats:
    """A mapped probability may be 0 or 1, whose log score is infinite."""
    return np.clip(np.asarray(p, dtype=np.float64), 1e-6, 1 - 1e-6)
