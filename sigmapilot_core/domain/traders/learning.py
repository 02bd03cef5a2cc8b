"""From a trader's closed episodes to what the system has learnt of him, as of any instant (spec 1.3, 1.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sigmapilot_core.domain.params import BanditParams, EpisodeParams, PosteriorParams
from sigmapilot_core.domain.traders.episode import Episode
from sigmapilot_core.domain.traders.posterior import (
    Floats,
    Posterior,
    attainable_n_eff,
    discount,
    evidence_of,
    n_eff,
    posterior_arrays,
    posterior_of,
    prior,
    weight,
)

_DEFAULTS = PosteriorParams()
_BANDIT = BanditParams()
_R_CLAMP = EpisodeParams().r_clamp


@dataclass(frozen=True, slots=True)
class LearnableEpisodes:
    """Columns of learnable closed episodes, sorted by (address, closed): what learning reads.

    All arrays have one entry an episode; `r_gross` and `result_r` are clamped, `r_gross_unclamped` is not.
    """

    address: NDArray[np.str_]
    asset: NDArray[np.str_]
    closed_at_ms: NDArray[np.int64]
    hold_ms: NDArray[np.int64]
    r_gross: NDArray[np.float64]
    r_gross_unclamped: NDArray[np.float64]
    result_r: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TraderLearning:
    """One trader as of `as_of_ms`, from learnable episodes closed before it.

    `mean_gross_unclamped` is discounted like the evidence, None without episodes. `share_below_clamp` is the plain
    share of those episodes whose unclamped gross R is below -2, None without episodes. `mean_r` and `total_r` are of
    the clamped net R, undiscounted. `n_eff_attainable` is what `n_eff` grows to at the rate known so far, None without
    episodes.
    """

    posterior: Posterior
    n_eff: float
    weight: float
    n_episodes: int
    n_wins: int
    mean_gross_unclamped: float | None
    share_below_clamp: float | None
    mean_r: float | None
    total_r: float
    last_closed_at_ms: int | None
    as_of_ms: int
    n_eff_attainable: float | None = None


def learn(
    episodes: Sequence[Episode],
    as_of_ms: int,
    params: PosteriorParams = _DEFAULTS,
    limit: float = _R_CLAMP,
) -> TraderLearning:
    """Learn from one trader's episodes, in any order; those that must not be learnt from are left out here."""
    used = [e for e in episodes if e.learnable and e.closed_at_ms < as_of_ms]
    times = np.array([e.closed_at_ms for e in used], dtype=np.int64)
    unclamped = np.array([e.r_gross_unclamped for e in used], dtype=np.float64)
    net = np.array([e.result_r for e in used], dtype=np.float64)
    evidence = evidence_of(times, unclamped, as_of_ms, params, limit)
    posterior = posterior_of(evidence, params)
    w = discount(times, as_of_ms, params)
    count = len(used)
    return TraderLearning(
        posterior=posterior,
        n_eff=n_eff(posterior, params),
        weight=weight(posterior.kappa, params),
        n_episodes=count,
        n_wins=int((unclamped > 0).sum()),
        mean_gross_unclamped=float(w @ unclamped / w.sum()) if count else None,
        share_below_clamp=float((unclamped < -limit).mean()) if count else None,
        mean_r=float(net.mean()) if count else None,
        total_r=float(net.sum()),
        last_closed_at_ms=int(times.max()) if count else None,
        as_of_ms=as_of_ms,
        n_eff_attainable=float(attainable_n_eff(n_eff(posterior, params), times.min(), as_of_ms, params))
        if count
        else None,
    )


@dataclass(frozen=True, slots=True)
class LearningTable:
    """The numbers of `TraderLearning` for many traders at once, as arrays (n,); NaN where there is no episode."""

    m: Floats
    kappa: Floats
    alpha: Floats
    beta: Floats
    n_eff: Floats
    weight: Floats
    n_episodes: NDArray[np.int64]
    mean_gross_unclamped: Floats
    share_below_clamp: Floats
    n_eff_attainable: Floats


def learn_many(
    trader: ArrayLike,
    closed_at_ms: ArrayLike,
    r_gross_unclamped: ArrayLike,
    n_traders: int,
    as_of_ms: int,
    params: PosteriorParams = _DEFAULTS,
    limit: float = _R_CLAMP,
) -> LearningTable:
    """The fast form over columns of learnable episodes; `trader` is an index in [0, n_traders).

    Errors: ValueError for an R that is not finite or an index outside.
    """
    index = np.asarray(trader, dtype=np.int64)
    unclamped = np.asarray(r_gross_unclamped, dtype=np.float64)
    if not np.isfinite(unclamped).all():
        raise ValueError("r_gross_unclamped must be finite in every row; leave unknown ones out")
    if index.size and (index.min() < 0 or index.max() >= n_traders):
        raise ValueError(f"trader must be an index in [0, {n_traders})")
    closed = np.asarray(closed_at_ms, dtype=np.int64)
    w = discount(closed, as_of_ms, params)
    is_in = w > 0
    index, unclamped, w, closed = index[is_in], unclamped[is_in], w[is_in], closed[is_in]
    r = np.clip(unclamped, -limit, limit)

    def total(weights: Floats) -> Floats:
        return np.bincount(index, weights=weights, minlength=n_traders).astype(np.float64)

    n = total(w)
    m, kappa, alpha, beta = posterior_arrays(n, total(w * r), total(w * r * r), params)
    count = np.bincount(index, minlength=n_traders)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total(w * unclamped) / n
        share = total((unclamped < -limit).astype(np.float64)) / count
    first = np.full(n_traders, as_of_ms, dtype=np.int64)
    np.minimum.at(first, index, closed)
    n_effective = kappa - params.prior_kappa
    return LearningTable(
        m,
        kappa,
        alpha,
        beta,
        n_effective,
        kappa / (kappa + params.weight_kappa),
        count,
        mean,
        share,
        attainable_n_eff(n_effective, first, as_of_ms, params),
    )


def learnings(
    episodes: LearnableEpisodes,
    as_of_ms: int,
    params: PosteriorParams = _DEFAULTS,
    limit: float = _R_CLAMP,
) -> dict[str, TraderLearning]:
    """`learn` for every trader of the columns, all of whose episodes closed before the instant."""
    names, index = np.unique(episodes.address, return_inverse=True)
    size = len(names)
    table = learn_many(index, episodes.closed_at_ms, episodes.r_gross_unclamped, size, as_of_ms, params, limit)
    net = np.bincount(index, weights=episodes.result_r, minlength=size)
    wins = np.bincount(index, weights=episodes.r_gross_unclamped > 0, minlength=size)
    last = np.zeros(size, dtype=np.int64)
    np.maximum.at(last, index, episodes.closed_at_ms)
    return {
        str(name): TraderLearning(
            posterior=Posterior(float(table.m[i]), float(table.kappa[i]), float(table.alpha[i]), float(table.beta[i])),
            n_eff=float(table.n_eff[i]),
            weight=float(table.weight[i]),
            n_episodes=int(table.n_episodes[i]),
            n_wins=int(wins[i]),
            mean_gross_unclamped=known_or_none(table.mean_gross_unclamped[i]),
            share_below_clamp=known_or_none(table.share_below_clamp[i]),
            mean_r=float(net[i] / table.n_episodes[i]) if table.n_episodes[i] else None,
            total_r=float(net[i]),
            last_closed_at_ms=int(last[i]) if last[i] else None,
            as_of_ms=as_of_ms,
            n_eff_attainable=known_or_none(table.n_eff_attainable[i]),
        )
        for i, name in enumerate(names)
    }


def nothing_learnt(as_of_ms: int, params: PosteriorParams = _DEFAULTS) -> TraderLearning:
    """What is believed of a trader without a learnable episode: the prior."""
    base = prior(params)
    return TraderLearning(base, 0.0, weight(base.kappa, params), 0, 0, None, None, None, 0.0, None, as_of_ms)


def known_or_none(value: np.float64) -> float | None:
    """A figure of a table; NaN stands for what is not known."""
    return float(value) if np.isfinite(value) else None


def has_enough_mean(n_effective: float, mean_gross_unclamped: float | None, params: BanditParams = _BANDIT) -> bool:
    """Whether the discounted mean of the unclamped gross R allows the pool: above 0 once n_eff >= 10 (spec 1.3)."""
    if n_effective < params.mean_check_episodes:
        return True
    return mean_gross_unclamped is not None and mean_gross_unclamped > 0
