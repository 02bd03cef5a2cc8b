"""How many independent votes a group of voters is worth (spec 1.7)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sigmapilot_core.domain.frozen import quick
from sigmapilot_core.domain.params import CorrelationParams
from sigmapilot_core.domain.traders.correlation import PairCorrelation, measured, used_rho

_DEFAULTS = CorrelationParams()


@quick
@dataclass(frozen=True, slots=True)
class EffectiveK:
    """`value` in [1, n]; `is_known` is False when too few of the pairs behind it are measured: shown, never passing."""

    value: float
    measured_share: float
    n_pairs: int
    is_known: bool


def effective_k(weights: ArrayLike, rho: ArrayLike) -> float:
    """(sum w_i)^2 / sum_ij w_i w_j rho_ij with rho_ii = 1.

    `weights` (n,) are not negative; `rho` (n, n) is clipped to [0, 1], its diagonal taken as 1. All independent: n;
    all identical: 1; none, or all weights 0: 0. Errors: ValueError for wrong shapes, negative or non-finite input.
    """
    w = np.asarray(weights, dtype=np.float64)
    matrix = np.array(rho, dtype=np.float64)
    if w.ndim != 1 or (w.size and matrix.shape != (w.size, w.size)):
        raise ValueError(f"rho must be an (n, n) matrix for n weights, got shapes {matrix.shape} and {w.shape}")
    if not np.isfinite(w).all() or (w < 0).any():
        raise ValueError("weights must be finite and not negative")
    if not np.isfinite(matrix).all():
        raise ValueError("rho must be finite; put the default where a pair is unknown")
    total = w.sum()
    if not w.size or total == 0:
        return 0.0
    matrix = np.clip(matrix, 0.0, 1.0)
    np.fill_diagonal(matrix, 1.0)
    return _of_shares(w / total, matrix)  # scale first: tiny weights must not underflow when squared


def _of_shares(share: NDArray[np.float64], matrix: NDArray[np.float64]) -> float:
    return float(1.0 / (share @ matrix @ share))


def assess(
    addresses: Sequence[str],
    weights: Sequence[float],
    pairs: Mapping[tuple[str, str], PairCorrelation],
    rho0: float,
    params: CorrelationParams = _DEFAULTS,
) -> EffectiveK:
    """Effective K of agreeing voters and whether it may be believed.

    `pairs` is keyed by (addr_a, addr_b) with addr_a < addr_b; an absent pair is unmeasured. With fewer measured pairs
    than `min_measured_share` K is not known. Errors: ValueError for a repeated address, and those of `effective_k`.
    """
    if len(set(addresses)) != len(addresses) or len(addresses) != len(weights):
        raise ValueError("addresses must be distinct and as many as the weights")
    n = len(addresses)
    matrix = np.eye(n)
    n_measured = 0
    for i, a in enumerate(addresses):
        for j in range(i + 1, n):
            pair = pairs.get((min(a, addresses[j]), max(a, addresses[j])))
            n_measured += measured(pair, params) is not None
            matrix[i, j] = matrix[j, i] = used_rho(pair, rho0, params)
    n_pairs = n * (n - 1) // 2
    share = n_measured / n_pairs if n_pairs else 1.0
    return EffectiveK(effective_k(weights, matrix), share, n_pairs, is_known=share >= params.min_measured_share)


class PairMatrix:
    """The correlations of all who may vote, laid out once: `assess` for any of them without asking pair by pair.

    The numbers are those of `used_rho` and `measured`, so K is the same to the last bit. Memory: 9 bytes a pair of
    addresses, twice. Errors: ValueError for rho0 or a correlation that is not finite.
    """

    __slots__ = ("_index", "_is_measured", "_params", "_rho")

    def __init__(
        self,
        addresses: Sequence[str],
        pairs: Iterable[PairCorrelation],
        rho0: float,
        params: CorrelationParams = _DEFAULTS,
    ) -> None:
        n = len(addresses)
        self._params = params
        self._index = {address: i for i, address in enumerate(addresses)}
        self._is_measured = np.zeros((n, n), dtype=np.bool_)
        self._rho = constant_rho(n, rho0)
        for pair in pairs:
            i, j = self._index.get(pair.addr_a), self._index.get(pair.addr_b)
            if i is not None and j is not None and measured(pair, params) is not None:
                self._rho[i, j] = self._rho[j, i] = used_rho(pair, rho0, params)
                self._is_measured[i, j] = self._is_measured[j, i] = True
        if not np.isfinite(self._rho).all():
            raise ValueError("rho must be finite; put the default where a pair is unknown")
        np.clip(self._rho, 0.0, 1.0, out=self._rho)

    def assess(self, addresses: Sequence[str], weights: Sequence[float]) -> EffectiveK:
        """`assess` of these pairs for some of the addresses.

        Errors: ValueError for a repeated address and for weights that are negative or not finite, KeyError for an
        address that may not vote.
        """
        n = len(addresses)
        if len(set(addresses)) != n or n != len(weights):
            raise ValueError("addresses must be distinct and as many as the weights")
        at = np.array([self._index[address] for address in addresses], dtype=np.intp)
        n_pairs = n * (n - 1) // 2
        if not all(0 <= weight < math.inf for weight in weights):
            raise ValueError("weights must be finite and not negative")
        w = np.array(weights, dtype=np.float64)
        total = w.sum()
        if not n_pairs:  # nobody, or one who is as independent as he is heavy
            return EffectiveK(float(total > 0), 1.0, 0, is_known=self._params.min_measured_share <= 1.0)
        place = (at[:, None], at)
        share = int(np.count_nonzero(self._is_measured[place])) // 2 / n_pairs
        value = 0.0 if total == 0 else _of_shares(w / total, self._rho[place])
        return EffectiveK(value, share, n_pairs, is_known=share >= self._params.min_measured_share)


def by_pair(pairs: Sequence[PairCorrelation]) -> dict[tuple[str, str], PairCorrelation]:
    """The lookup `assess` takes."""
    return {(pair.addr_a, pair.addr_b): pair for pair in pairs}


def constant_rho(n: int, rho: float) -> NDArray[np.float64]:
    """(n, n) matrix with one value for every pair."""
    matrix = np.full((n, n), rho, dtype=np.float64)
    np.fill_diagonal(matrix, 1.0)
    return matrix
