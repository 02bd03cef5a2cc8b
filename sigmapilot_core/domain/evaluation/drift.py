"""Whether what is decided on still looks like what was fitted on: PSI and Kolmogorov-Smirnov per input (spec 8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from sigmapilot_core.domain.evaluation.replay import Judged
from sigmapilot_core.domain.evaluation.walk_forward import Walk

BINS = 10
MIN_VALUES = 50
ALERT_PSI = 0.25
"""Above it a population has shifted by the usual reading of the index: below .1 little, to .25 some."""

INPUTS: dict[str, Callable[[Judged], float | None]] = {
    "voters": lambda one: float(one.n_voters),
    "effective_k": lambda one: one.effective_k,
    "p_raw": lambda one: one.p_raw,
    "win_r": lambda one: one.win_r,
    "loss_r": lambda one: one.loss_r,
    "cost_r": lambda one: one.cost_r,
    "trade_stop": lambda one: one.trade_stop,
    "age_s": lambda one: one.age_s,
    "drift_r": lambda one: one.drift_r,
}


@dataclass(frozen=True, slots=True)
class InputDrift:
    """One input now against the fitting period; None with too few values on either side."""

    name: str
    n_fit: int
    n_now: int
    psi: float | None
    ks: float | None

    @property
    def is_shifted(self) -> bool | None:
        """PSI above .25; None is unknown."""
        return None if self.psi is None else self.psi > ALERT_PSI


def drift_of(walk: Walk) -> tuple[InputDrift, ...]:
    """Decisions of the last fold against those it was fitted on."""
    last = walk.folds[-1]
    fit = [one for one in walk.judged if one.decided_at_ms < last.fit_until_ms]
    now = [one for one in walk.judged if one.decided_at_ms >= last.start_ms]
    return drift_between(fit, now)


def drift_between(fit: Sequence[Judged], now: Sequence[Judged]) -> tuple[InputDrift, ...]:
    """One row an input: decisions now against those of the fitting period."""
    return tuple(input_drift(name, _values(fit, read), _values(now, read)) for name, read in INPUTS.items())


def input_drift(name: str, fit: Sequence[float], now: Sequence[float]) -> InputDrift:
    """PSI over tenths of the fitting period and the two-sample KS distance."""
    if min(len(fit), len(now)) < MIN_VALUES:
        return InputDrift(name, len(fit), len(now), None, None)
    distance = float(stats.ks_2samp(fit, now).statistic)
    return InputDrift(name, len(fit), len(now), psi(fit, now), distance)


def psi(fit: ArrayLike, now: ArrayLike, bins: int = BINS) -> float:
    """Population stability index: sum (q - p) ln(q / p) over quantile bins of the fitting period.

    Counts get half an observation each, so that an empty bin is finite.
    """
    base, new = np.asarray(fit, dtype=np.float64), np.asarray(now, dtype=np.float64)
    edges = np.unique(np.quantile(base, np.linspace(0, 1, bins + 1)[1:-1]))
    shares = []
    for values in (base, new):
        count = np.bincount(np.searchsorted(edges, values, side="right"), minlength=edges.size + 1) + 0.5
        shares.append(count / count.sum())
    p, q = shares
    return float(((q - p) * np.log(q / p)).sum())


def _values(judged: Sequence[Judged], read: Callable[[Judged], float | None]) -> list[float]:
    return [value for one in judged if (value := read(one)) is not None]
