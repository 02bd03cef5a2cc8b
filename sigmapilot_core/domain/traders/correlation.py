"""How much two traders act alike: agreement over all their acts, per pair (spec 1.7).

A trader's sign in an (asset, 5-minute bucket) is the sign of its net signed notional filled there. The clear form
works on dictionaries and exact sums; `correlation_table` is the same on sparse matrices, held to it by a test.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sigmapilot_core.domain.events import ZERO, Fill
from sigmapilot_core.domain.frozen import Remembering, quick
from sigmapilot_core.domain.params import DAY_MS, MINUTE_MS, CorrelationParams

if TYPE_CHECKING:  # imported where pairs are measured: what only decides with them starts half a second earlier
    from scipy import sparse

Signs = dict[tuple[str, int], int]
"""(coin, bucket) -> +1 or -1; buckets without a net trade are absent."""

_DEFAULTS = CorrelationParams()
_BLOCK_ROWS = 128
_BUSY_SHARE = 0.2  # of the traders: from here on a dense product is the cheaper one
_EXACT_IN_FLOAT = 8192  # a product of four counts below it is exact in float64
_ROUNDING = 1e-9  # a float net below this share of the gross is an exact zero


@quick
@dataclass(frozen=True, slots=True)
class PairCorrelation(Remembering):
    """One row of `trader_corr`; addr_a < addr_b.

    `rho` (cosine) is None below the minimum of `n_buckets` = min(n_a, n_b); `phi_common` in [-1, 1] is None below the
    same minimum of `n_common`, and where one of both traded in one direction only.
    """

    addr_a: str
    addr_b: str
    rho: float | None
    n_buckets: int
    n_common: int
    phi_common: float | None


@dataclass(frozen=True, slots=True)
class DefaultRho:
    """rho0 of the day. `is_limited` (the measured mean touched the limit) is an alert."""

    value: float
    n_measured: int
    is_limited: bool


def bucket_of(time_ms: int, bucket_minutes: int = _DEFAULTS.bucket_minutes) -> int:
    """floor(time / bucket length), counted from the epoch."""
    return time_ms // (bucket_minutes * MINUTE_MS)


def window_ms(as_of_ms: int, params: CorrelationParams = _DEFAULTS) -> tuple[int, int]:
    """[start, end) of the fills that count as of an instant."""
    return as_of_ms - params.lookback_days * DAY_MS, as_of_ms


def signs_of(fills: Iterable[Fill], as_of_ms: int, params: CorrelationParams = _DEFAULTS) -> dict[str, Signs]:
    """Signs per trader from fills inside the lookback; every trader with a fill inside has an entry."""
    start, end = window_ms(as_of_ms, params)
    net: dict[str, dict[tuple[str, int], Decimal]] = {}
    for fill in fills:
        if start <= fill.time_ms < end:
            per_bucket = net.setdefault(fill.user, {})
            key = (fill.coin, bucket_of(fill.time_ms, params.bucket_minutes))
            per_bucket[key] = per_bucket.get(key, ZERO) + fill.px * fill.signed_size
    return {
        user: {key: (1 if value > 0 else -1) for key, value in per_bucket.items() if value}
        for user, per_bucket in net.items()
    }


def correlate(addr_a: str, a: Signs, addr_b: str, b: Signs, params: CorrelationParams = _DEFAULTS) -> PairCorrelation:
    """rho = max(0, sum s_a s_b / sqrt(n_a n_b)) and phi over the common buckets, of one pair.

    Errors: ValueError for a trader paired with itself.
    """
    if addr_a == addr_b:
        raise ValueError(f"addr_a and addr_b must differ, got {addr_a} twice")
    if addr_a > addr_b:
        addr_a, a, addr_b, b = addr_b, b, addr_a, a
    common = a.keys() & b.keys()
    n_buckets = min(len(a), len(b))
    rho = None
    if n_buckets >= max(1, params.min_common_buckets):
        rho = max(0.0, sum(a[key] * b[key] for key in common) / math.sqrt(len(a) * len(b)))
    phi = _phi([(a[key], b[key]) for key in common], params)
    return PairCorrelation(addr_a, addr_b, rho, n_buckets, len(common), phi)


def correlations(
    signs: Mapping[str, Signs], addresses: Iterable[str] | None = None, params: CorrelationParams = _DEFAULTS
) -> tuple[PairCorrelation, ...]:
    """All pairs of the addresses (default: all traders with signs), sorted; the clear form, quadratic."""
    names = sorted(signs if addresses is None else set(addresses))
    return tuple(
        correlate(a, signs.get(a, {}), b, signs.get(b, {}), params) for i, a in enumerate(names) for b in names[i + 1 :]
    )


@dataclass(frozen=True, slots=True)
class CorrelationTable:
    """All pairs of the sorted addresses as symmetric (n, n) arrays; NaN in `rho` and `phi_common` is unknown."""

    addresses: tuple[str, ...]
    rho: NDArray[np.float64]
    n_buckets: NDArray[np.int64]
    n_common: NDArray[np.int64]
    phi_common: NDArray[np.float64]

    def pairs(self) -> tuple[PairCorrelation, ...]:
        """The rows of `trader_corr`, sorted."""
        rows, columns = np.triu_indices(len(self.addresses), k=1)
        return tuple(
            PairCorrelation(
                self.addresses[i],
                self.addresses[j],
                _known(self.rho[i, j]),
                int(self.n_buckets[i, j]),
                int(self.n_common[i, j]),
                _known(self.phi_common[i, j]),
            )
            for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
        )

    def used(self, rho0: float, params: CorrelationParams = _DEFAULTS) -> NDArray[np.float64]:
        """Matrix of `used_rho` with ones on the diagonal: the input of `effective_k`."""
        is_phi = _is_phi(params)
        rho = np.maximum(self.phi_common, 0.0) if is_phi else self.rho
        n = (self.n_common if is_phi else self.n_buckets).astype(np.float64)
        shrunk = (n * rho + params.shrinkage_buckets * rho0) / (n + params.shrinkage_buckets)
        used = np.where(np.isnan(rho), rho0, shrunk)
        np.fill_diagonal(used, 1.0)
        return used


def correlation_table(
    user: Sequence[str] | NDArray[np.str_],
    coin: Sequence[str] | NDArray[np.str_],
    time_ms: Sequence[int] | NDArray[np.int64],
    signed_notional: Sequence[float] | NDArray[np.float64],
    addresses: Iterable[str],
    as_of_ms: int,
    params: CorrelationParams = _DEFAULTS,
) -> CorrelationTable:
    """The fast form over columns of fills (one row a fill, any order), for the given addresses.

    Fills of other traders and outside the lookback are left out. Time and memory grow with the square of the addresses
    and with the agreements; thousands are fine. Errors: ValueError for a notional that is not finite.
    """
    names = sorted(set(addresses))
    signs = sign_matrix(names, user, coin, np.asarray(time_ms), signed_notional, as_of_ms, params)
    return table_of_signs(tuple(names), signs, params)


def table_of_signs(
    addresses: tuple[str, ...], signs: sparse.csr_array, params: CorrelationParams = _DEFAULTS
) -> CorrelationTable:
    """All pairs of ascending addresses from their signs, one row a trader, one column a cell (coin, bucket).

    Products of the matrices of buys and of sells count how often two traders traded the same way and against each
    other. Cells in which many traded (news) are multiplied as dense columns, all others as sparse ones;
    `_BLOCK_ROWS` traders at a time with themselves and all later ones, so that what is dense stays small and a pair is
    met once. Counts are exact in every type used.
    """
    n, minimum = len(addresses), max(1, params.min_common_buckets)
    counts = np.diff(signs.indptr).astype(np.int64)
    exact = np.float64 if not n or counts.max() < _EXACT_IN_FLOAT else np.int64
    buys, sells = _Side.of(signs, 1), _Side.of(signs, -1)
    table = CorrelationTable(
        addresses,
        rho=np.empty((n, n)),
        n_buckets=np.minimum.outer(counts, counts),
        n_common=np.empty((n, n), dtype=np.int64),
        phi_common=np.empty((n, n)),
    )
    for start in range(0, n, _BLOCK_ROWS):
        ours, later = slice(start, start + _BLOCK_ROWS), slice(start, n)
        bought, sold = buys.turned(ours), sells.turned(ours)
        up, up_down = buys.common(later, bought, exact), buys.common(later, sold, exact)
        down_up, down = sells.common(later, bought, exact), sells.common(later, sold, exact)
        alike, against = up + down, up_down + down_up
        n_common = alike + against
        root = np.sqrt(np.multiply.outer(counts[later], counts[ours]))
        is_known = table.n_buckets[later, ours] >= minimum
        rho = _ratio(np.maximum(alike - against, 0), root, is_known)
        marginals = (up + up_down) * (down_up + down) * (up + down_up) * (up_down + down)
        is_known = (n_common >= minimum) & (marginals > 0)
        phi = _ratio(up * down - up_down * down_up, np.sqrt(marginals), is_known)
        for whole, part in ((table.n_common, n_common), (table.rho, rho), (table.phi_common, phi)):
            whole[later, ours] = part
            whole[ours, later] = part.T
    return table


def _ratio(above: NDArray[Any], below: NDArray[np.float64], is_known: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=is_known)


def measured(pair: PairCorrelation | None, params: CorrelationParams = _DEFAULTS) -> tuple[float, int] | None:
    """(correlation in [0, 1], buckets behind it) by `CORR_METHOD`; None when the pair is unmeasured."""
    if pair is None:
        return None
    if _is_phi(params):
        return None if pair.phi_common is None else (max(0.0, pair.phi_common), pair.n_common)
    return None if pair.rho is None else (pair.rho, pair.n_buckets)


def used_rho(pair: PairCorrelation | None, rho0: float, params: CorrelationParams = _DEFAULTS) -> float:
    """(n rho + 10 rho0) / (n + 10); rho0 where the pair is unmeasured."""
    value = measured(pair, params)
    if value is None:
        return rho0
    rho, n = value
    return (n * rho + params.shrinkage_buckets * rho0) / (n + params.shrinkage_buckets)


def default_rho(pairs: Iterable[PairCorrelation], params: CorrelationParams = _DEFAULTS) -> DefaultRho:
    """Mean measured rho over the pool's pairs, limited to [0, .24]; 0.2 if fewer than 30 are measured."""
    values = [value[0] for pair in pairs if (value := measured(pair, params)) is not None]
    if len(values) < params.min_measured_pairs:
        return DefaultRho(params.unmeasured_default_rho, len(values), is_limited=False)
    mean = math.fsum(values) / len(values)
    limited = min(params.max_default_rho, max(0.0, mean))
    return DefaultRho(limited, len(values), is_limited=mean >= params.max_default_rho)


def _is_phi(params: CorrelationParams) -> bool:
    if params.method not in ("cosine", "phi"):
        raise ValueError(f"method must be cosine or phi, got {params.method!r}")
    return params.method == "phi"


def _phi(common: list[tuple[int, int]], params: CorrelationParams) -> float | None:
    """Phi coefficient of the two-by-two table of signs; None when too few, or when a marginal is empty."""
    if len(common) < max(1, params.min_common_buckets):
        return None
    up, down = common.count((1, 1)), common.count((-1, -1))
    up_down, down_up = common.count((1, -1)), common.count((-1, 1))
    marginals = (up + up_down) * (down_up + down) * (up + down_up) * (up_down + down)
    return (up * down - up_down * down_up) / math.sqrt(marginals) if marginals else None


def sign_matrix(
    names: list[str],
    user: Sequence[str] | NDArray[np.str_],
    coin: Sequence[str] | NDArray[np.str_],
    time_ms: NDArray[np.int64],
    signed_notional: Sequence[float] | NDArray[np.float64],
    as_of_ms: int,
    params: CorrelationParams,
) -> sparse.csr_array:
    """(trader, (bucket, coin)) matrix of +1 and -1."""
    from scipy import sparse

    notional = np.asarray(signed_notional, dtype=np.float64)
    if not np.isfinite(notional).all():
        raise ValueError("signed_notional must be finite in every row")
    start, end = window_ms(as_of_ms, params)
    row = _places(user, names)
    inside = (time_ms >= start) & (time_ms < end) & (row >= 0)
    if not inside.any():
        return sparse.csr_array((len(names), 1), dtype=np.int32)
    if not inside.all():
        row, time_ms, notional = row[inside], time_ms[inside], notional[inside]
    coin_place, n_coins = _met(coin)
    bucket = time_ms // (params.bucket_minutes * MINUTE_MS)
    column = (bucket - bucket.min()) * n_coins + (coin_place if inside.all() else coin_place[inside])
    shape, place = (len(names), int(column.max()) + 1), (row, column)
    # net and gross are summed in one pass, as the two parts of one number
    sums = sparse.csr_array((notional + 1j * np.abs(notional), place), shape=shape)
    net, gross = sums.data.real, sums.data.imag
    sign = np.where(np.abs(net) > _ROUNDING * gross, np.sign(net), 0).astype(np.int32)
    signs = sparse.csr_array((sign, sums.indices, sums.indptr), shape=shape)
    signs.eliminate_zeros()
    return signs


def _places(texts: Sequence[str] | NDArray[np.str_], known: list[str]) -> NDArray[np.int64]:
    """The place of each text among the known ones, -1 for another."""
    import polars as pl

    column = pl.Series(_listed(texts), dtype=pl.String)
    return column.cast(pl.Enum(known), strict=False).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()


def _met(texts: Sequence[str] | NDArray[np.str_]) -> tuple[NDArray[np.int64], int]:
    """A number for each text, in the order in which they are met, and how many there are: one pass where few differ."""
    places: defaultdict[str, int] = defaultdict(itertools.count().__next__)
    return np.fromiter(map(places.__getitem__, _listed(texts)), np.int64, len(texts)), len(places)


def _listed(texts: Sequence[str] | NDArray[np.str_]) -> Sequence[str]:
    return texts.tolist() if isinstance(texts, np.ndarray) else texts


@dataclass(frozen=True, slots=True)
class _Side:
    """Where each trader bought, or sold: ones in the cells of many as a dense matrix, in the others as a sparse one."""

    dense: NDArray[np.float32]
    sparse: sparse.csr_array

    @classmethod
    def of(cls, signs: sparse.csr_array, sign: int) -> _Side:
        """The cells that hold this sign; which cells are of many follows from both signs."""
        from scipy import sparse

        is_busy = np.bincount(signs.indices, minlength=signs.shape[1]) > signs.shape[0] * _BUSY_SHARE
        is_ours, is_in_busy = signs.data == sign, is_busy[signs.indices]
        dense = np.zeros((signs.shape[0], int(is_busy.sum())), dtype=np.float32)
        place = np.cumsum(is_busy) - 1
        found = np.flatnonzero(is_ours & is_in_busy)
        dense[np.searchsorted(signs.indptr, found, side="right") - 1, place[signs.indices[found]]] = 1
        is_ours &= ~is_in_busy
        starts = np.concatenate(([0], np.cumsum(is_ours)))[signs.indptr]
        ones = np.ones(starts[-1], dtype=np.float32)
        rest = sparse.csr_array((ones, signs.indices[is_ours], starts), shape=signs.shape)
        return cls(dense, rest)

    def turned(self, rows: slice) -> _Side:
        """Some traders as columns."""
        return _Side(self.dense[rows].T, self.sparse[rows].T.tocsr())

    def common(self, rows: slice, columns: _Side, exact: type) -> NDArray[Any]:
        """In how many cells each of some of our traders meets each of those that stand as columns."""
        found = (self.sparse[rows] @ columns.sparse).toarray()
        found += self.dense[rows] @ columns.dense
        return found.astype(exact)


def _known(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
