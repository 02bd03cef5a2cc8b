"""Is a trader better than nothing: test on daily sums of net R, and the false-discovery rate of many (spec 1.5)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from sigmapilot_core.domain.params import DAY_MS, SkillParams
from sigmapilot_core.domain.traders.episode import Episode

_DEFAULTS = SkillParams()
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class SkillTest:
    """One trader's test. `p_value` and `t` are None when unknown, `reason` then says why.

    `mean_r` is the mean net R of an episode, None without episodes.
    """

    p_value: float | None
    t: float | None
    n_episodes: int
    n_days: int
    mean_r: float | None
    reason: str = ""


def skill_test(closed_at_ms: ArrayLike, net_r: ArrayLike, params: SkillParams = _DEFAULTS) -> SkillTest:
    """One-sided t-test of mean > 0 on daily sums of net R: t = mean sqrt(D) / s, D active days, D - 1 degrees.

    `closed_at_ms` and `net_r` (clamped) are of the same length, one entry an episode; days are UTC days of closing.
    Unknown below `min_episodes` or `min_active_days`, and without variance. Errors: ValueError for a non-finite R.
    """
    times = np.asarray(closed_at_ms, dtype=np.int64)
    r = np.asarray(net_r, dtype=np.float64)
    if times.shape != r.shape or not np.isfinite(r).all():
        raise ValueError("net_r must be finite, one value for every closed_at_ms")
    sums = _daily_sums(times, r)
    n, days = int(r.size), int(sums.size)
    mean_r = float(r.mean()) if n else None
    reason = _untestable(n, sums, params)
    if reason:
        return SkillTest(None, None, n, days, mean_r, reason)
    t = float(sums.mean()) * math.sqrt(days) / float(sums.std(ddof=1))
    return SkillTest(float(special.stdtr(days - 1, -t)), t, n, days, mean_r)


def skill_of(episodes: Sequence[Episode], as_of_ms: int, params: SkillParams = _DEFAULTS) -> SkillTest:
    """`skill_test` over a trader's learnable episodes closed before an instant."""
    used = [e for e in episodes if e.learnable and e.result_r is not None and e.closed_at_ms < as_of_ms]
    return skill_test(
        np.array([e.closed_at_ms for e in used]), np.array([e.result_r for e in used], dtype=float), params
    )


def benjamini_hochberg(p_values: ArrayLike, alpha: float = _DEFAULTS.fdr_alpha) -> NDArray[np.bool_]:
    """Which of n hypotheses are accepted at false-discovery rate alpha, in the order given.

    Accepts the k smallest, k the largest i with p_(i) <= i alpha / n. No p, nothing accepted. Source: Benjamini and
    Hochberg (1995). Errors: ValueError for a p outside [0, 1]; leave unknown ones out.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p_values must be within [0, 1]; leave unknown ones out")
    order = np.sort(p)
    line = alpha * np.arange(1, p.size + 1) / max(p.size, 1)
    below = np.flatnonzero(order <= line + _ROUNDING)
    if not below.size:
        return np.zeros(p.size, dtype=np.bool_)
    accepted: NDArray[np.bool_] = p <= order[below[-1]]
    return accepted


def fdr_qualified(tests: Mapping[str, SkillTest], params: SkillParams = _DEFAULTS) -> dict[str, bool | None]:
    """Benjamini-Hochberg over all testable traders of the day; None for those that cannot be tested."""
    testable = {address: test.p_value for address, test in tests.items() if test.p_value is not None}
    accepted = benjamini_hochberg(np.array(list(testable.values()), dtype=float), params.fdr_alpha)
    labels: dict[str, bool | None] = dict.fromkeys(tests)
    labels.update({address: bool(is_in) for address, is_in in zip(testable, accepted, strict=True)})
    return labels


def _daily_sums(times: NDArray[np.int64], r: NDArray[np.float64]) -> NDArray[np.float64]:
    if not r.size:
        return np.zeros(0, dtype=np.float64)
    _, day = np.unique(times // DAY_MS, return_inverse=True)
    return np.bincount(day, weights=r).astype(np.float64)


def _untestable(n_episodes: int, daily_sums: NDArray[np.float64], params: SkillParams) -> str:
    """Why there is no test; empty if there is."""
    if n_episodes < params.min_episodes:
        return f"{n_episodes} episodes are fewer than {params.min_episodes}"
    if daily_sums.size < max(2, params.min_active_days):
        return f"{daily_sums.size} active days are fewer than {params.min_active_days}"
    spread = float(np.ptp(daily_sums))
    if spread <= _ROUNDING * max(1.0, float(np.abs(daily_sums).max())):
        return "daily sums have no variance"
    return ""
