"""What is believed of a trader's next R: Normal-Inverse-Gamma with discounted evidence (spec 1.4).

mu | s2 ~ N(m, s2/kappa), s2 ~ InvGamma(alpha, beta). The predictive of the next R is a Student-t clamped to
[-limit, limit]. Scalars here are the clear form; `predictive_arrays` and `posterior_arrays` are the same over many
traders, held to it by tests.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sigmapilot_core.domain.frozen import quick
from sigmapilot_core.domain.params import DAY_MS, EpisodeParams, PosteriorParams
from sigmapilot_core.domain.traders.episode import clamp_r

_DEFAULTS = PosteriorParams()
_R_CLAMP = EpisodeParams().r_clamp

Floats = NDArray[np.float64]


@quick
@dataclass(frozen=True, slots=True)
class Posterior:
    """Parameters (m, kappa, alpha, beta). Errors: ValueError unless finite with kappa, alpha, beta > 0."""

    m: float
    kappa: float
    alpha: float
    beta: float

    def __post_init__(self) -> None:
        values = (self.m, self.kappa, self.alpha, self.beta)
        if not all(map(math.isfinite, values)) or min(self.kappa, self.alpha, self.beta) <= 0:
            raise ValueError(f"m must be finite and kappa, alpha, beta finite and above 0, got {values}")

    @property
    def expected_variance(self) -> float | None:
        """E[s2] = beta / (alpha - 1); None where it does not exist (alpha <= 1)."""
        return self.beta / (self.alpha - 1) if self.alpha > 1 else None

    @property
    def var_mu(self) -> float | None:
        """Var[mu] = beta / (kappa (alpha - 1)); None where it does not exist (alpha <= 1)."""
        return self.beta / (self.kappa * (self.alpha - 1)) if self.alpha > 1 else None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Discounted sufficient statistics at an instant: n = sum w, sum w r, sum w r^2, w = 0.5^(age / half-life)."""

    n: float
    sum_r: float
    sum_r2: float
    as_of_ms: int


@dataclass(frozen=True, slots=True)
class Predictive:
    """Of the clamped next R: P(R > 0), E[max(R, 0)] and E[max(-R, 0)]."""

    p_win: float
    mean_win: float
    mean_loss: float


def prior(params: PosteriorParams = _DEFAULTS) -> Posterior:
    """The belief before any episode."""
    return Posterior(params.prior_m, params.prior_kappa, params.prior_alpha, params.prior_beta)


def update(posterior: Posterior, r: float, limit: float = _R_CLAMP) -> Posterior:
    """One observation, clamped: k'=k+1; m'=(k m + r)/k'; a'=a+1/2; b'=b + k (r-m)^2 / (2 k')."""
    r = clamp_r(r, limit)
    kappa = posterior.kappa + 1
    return Posterior(
        m=(posterior.kappa * posterior.m + r) / kappa,
        kappa=kappa,
        alpha=posterior.alpha + 0.5,
        beta=posterior.beta + posterior.kappa * (r - posterior.m) ** 2 / (2 * kappa),
    )


def update_all(posterior: Posterior, rs: Iterable[float], limit: float = _R_CLAMP) -> Posterior:
    """A batch of observations at full weight; equals `update` in any order."""
    values = [clamp_r(r, limit) for r in rs]
    sums = Evidence(len(values), math.fsum(values), math.fsum(r * r for r in values), as_of_ms=0)
    return _formed(posterior, sums)


def evidence_of(
    closed_at_ms: ArrayLike,
    r: ArrayLike,
    as_of_ms: int,
    params: PosteriorParams = _DEFAULTS,
    limit: float = _R_CLAMP,
) -> Evidence:
    """Evidence of the episodes closed before an instant (strictly), each r clamped. Errors: ValueError for a NaN."""
    times = np.asarray(closed_at_ms, dtype=np.int64)
    values = _clamped(r, limit)
    w = discount(times, as_of_ms, params)
    return Evidence(float(w.sum()), float(w @ values), float(w @ values**2), as_of_ms)


def discount(closed_at_ms: ArrayLike, as_of_ms: int, params: PosteriorParams = _DEFAULTS) -> Floats:
    """0.5^(age / half-life) of each episode; 0 for one that closed at or after the instant."""
    age_days = (as_of_ms - np.asarray(closed_at_ms, dtype=np.int64)) / DAY_MS
    return np.where(age_days > 0, np.exp2(-np.maximum(age_days, 0.0) / params.half_life_days), 0.0)


def attainable_n_eff(
    n_effective: ArrayLike, first_closed_at_ms: ArrayLike, as_of_ms: int, params: PosteriorParams = _DEFAULTS
) -> Floats:
    """Effective episodes a trader comes to in the long run if he goes on as since his first known episode.

    At a steady rate evidence of age t is (1 - 0.5^(t / half-life)) of what it grows to: (n_eff + 1) over that share.
    One is added so that few episodes do not rule out somebody who may well be faster. NaN where no episode is known
    (a first one at or after the instant).
    """
    age_days = (as_of_ms - np.asarray(first_closed_at_ms, dtype=np.int64)) / DAY_MS
    reached = -np.expm1(-np.log(2.0) * np.where(age_days > 0, age_days, np.nan) / params.half_life_days)
    return np.asarray((np.asarray(n_effective, dtype=np.float64) + 1.0) / reached)


def aged(evidence: Evidence, as_of_ms: int, params: PosteriorParams = _DEFAULTS) -> Evidence:
    """The same evidence at a later instant. Errors: ValueError for an earlier one: what was forgotten is gone."""
    if as_of_ms < evidence.as_of_ms:
        raise ValueError(f"as_of_ms must not precede the evidence's {evidence.as_of_ms}, got {as_of_ms}")
    d = 0.5 ** ((as_of_ms - evidence.as_of_ms) / DAY_MS / params.half_life_days)
    return Evidence(evidence.n * d, evidence.sum_r * d, evidence.sum_r2 * d, as_of_ms)


def observed(
    evidence: Evidence | None,
    r: float,
    closed_at_ms: int,
    params: PosteriorParams = _DEFAULTS,
    limit: float = _R_CLAMP,
) -> Evidence:
    """The step form: one more episode, in any order; the evidence moves to the later of both instants."""
    r = clamp_r(r, limit)
    if evidence is None:
        return Evidence(1.0, r, r * r, closed_at_ms)
    held = aged(evidence, max(evidence.as_of_ms, closed_at_ms), params)
    w = 0.5 ** ((held.as_of_ms - closed_at_ms) / DAY_MS / params.half_life_days)
    return Evidence(held.n + w, held.sum_r + w * r, held.sum_r2 + w * r * r, held.as_of_ms)


def posterior_of(evidence: Evidence, params: PosteriorParams = _DEFAULTS) -> Posterior:
    """The posterior formed from the prior and the discounted evidence."""
    return _formed(prior(params), evidence)


def n_eff(posterior: Posterior, params: PosteriorParams = _DEFAULTS) -> float:
    """kappa - prior kappa: the discounted number of episodes."""
    return posterior.kappa - params.prior_kappa


def weight(kappa: float, params: PosteriorParams = _DEFAULTS) -> float:
    """kappa / (kappa + 10): how much a trader's own record counts (1: .0909, 10: .5, 100: .909)."""
    return kappa / (kappa + params.weight_kappa)


def predictive(posterior: Posterior, limit: float = _R_CLAMP) -> Predictive:
    """The clamped predictive: t with 2 alpha degrees, location m, scale sqrt(beta (kappa+1) / (alpha kappa)).

    With z = (x - m)/scale the partial expectation of z f(z) is -(nu + z^2)/(nu - 1) f(z); the mass beyond the limit
    counts as the limit. Errors: ValueError for alpha <= 0.5, where the t has no mean.
    """
    # a sixth of what the stream imports: it starts without, and has it by the time of its first decision
    from scipy import special

    nu, m = 2 * posterior.alpha, posterior.m
    if nu <= 1:
        raise ValueError(f"alpha must exceed 0.5 for a predictive mean, got {posterior.alpha}")
    scale = math.sqrt(posterior.beta * (posterior.kappa + 1) / (posterior.alpha * posterior.kappa))
    low, zero, high = (-limit - m) / scale, -m / scale, (limit - m) / scale

    def below(z: float) -> float:
        return float(special.stdtr(nu, z))

    def moment(z: float) -> float:
        return -(nu + z * z) / (nu - 1) * _t_density(z, nu)

    win = m * (below(high) - below(zero)) + scale * (moment(high) - moment(zero)) + limit * below(-high)
    loss = -m * (below(zero) - below(low)) - scale * (moment(zero) - moment(low)) + limit * below(low)
    return Predictive(p_win=below(-zero), mean_win=max(0.0, win), mean_loss=max(0.0, loss))


def predictive_arrays(
    m: ArrayLike, kappa: ArrayLike, alpha: ArrayLike, beta: ArrayLike, limit: float = _R_CLAMP
) -> tuple[Floats, Floats, Floats]:
    """(p_win, mean_win, mean_loss) of many traders; arrays of one shape, the formulas of `predictive`."""
    from scipy import special  # see `predictive`

    m, kappa, alpha, beta = (np.asarray(x, dtype=np.float64) for x in (m, kappa, alpha, beta))
    if not (alpha > 0.5).all():
        raise ValueError("alpha must exceed 0.5 for a predictive mean")
    nu = 2 * alpha
    scale = np.sqrt(beta * (kappa + 1) / (alpha * kappa))
    low, zero, high = (-limit - m) / scale, -m / scale, (limit - m) / scale
    log_norm = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)

    def moment(z: Floats) -> Floats:
        density = np.exp(log_norm - (nu + 1) / 2 * np.log1p(z * z / nu))
        return np.asarray(-(nu + z * z) / (nu - 1) * density)

    at_low, at_zero, at_high = (special.stdtr(nu, z) for z in (low, zero, high))
    win = m * (at_high - at_zero) + scale * (moment(high) - moment(zero)) + limit * special.stdtr(nu, -high)
    loss = -m * (at_zero - at_low) - scale * (moment(zero) - moment(low)) + limit * at_low
    return special.stdtr(nu, -zero), np.maximum(win, 0.0), np.maximum(loss, 0.0)


def posterior_arrays(
    n: ArrayLike, sum_r: ArrayLike, sum_r2: ArrayLike, params: PosteriorParams = _DEFAULTS
) -> tuple[Floats, Floats, Floats, Floats]:
    """(m, kappa, alpha, beta) of many traders from their discounted sums; the formulas of `posterior_of`."""
    n, sum_r, sum_r2 = (np.asarray(x, dtype=np.float64) for x in (n, sum_r, sum_r2))
    k0, m0 = params.prior_kappa, params.prior_m
    kappa = k0 + n
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(n > 0, sum_r / n, m0)
        spread = np.where(n > 0, np.maximum(0.0, sum_r2 - sum_r * mean), 0.0)
    beta = params.prior_beta + spread / 2 + k0 * n * (mean - m0) ** 2 / (2 * kappa)
    return (k0 * m0 + sum_r) / kappa, kappa, params.prior_alpha + n / 2, beta


def _formed(base: Posterior, sums: Evidence) -> Posterior:
    """Batch form: b_n = b + S/2 + k n (rbar - m)^2 / (2 k_n), S = sum w (r - rbar)^2, not negative by rounding."""
    if sums.n <= 0:
        return base
    mean = sums.sum_r / sums.n
    spread = max(0.0, sums.sum_r2 - sums.sum_r * mean)
    kappa = base.kappa + sums.n
    return Posterior(
        m=(base.kappa * base.m + sums.sum_r) / kappa,
        kappa=kappa,
        alpha=base.alpha + sums.n / 2,
        beta=base.beta + spread / 2 + base.kappa * sums.n * (mean - base.m) ** 2 / (2 * kappa),
    )


def _clamped(r: ArrayLike, limit: float) -> Floats:
    values = np.asarray(r, dtype=np.float64)
    if np.isnan(values).any():
        raise ValueError("r must be a number in every row, got nan")
    return np.clip(values, -limit, limit)


def _t_density(z: float, nu: float) -> float:
    log_norm = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi)
    return math.exp(log_norm - (nu + 1) / 2 * math.log1p(z * z / nu))
