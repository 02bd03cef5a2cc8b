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
_APART = 2.0**26  # twice what a count of cells reaches, and its square is exact in float64
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

    Four products of signs s and of acts |s| say all of a pair: in how many cells both traded, how many more alike than
    against each other, and how many more buys than sells either had among them. Cells in which many traded (news) are
    multiplied as dense columns, all others as sparse ones; `_BLOCK_ROWS` traders at a time with themselves and all
    later ones, so that what is dense stays small and a pair is met once. Counts, their products and their squares'
    differences are integers that every type used here holds exactly.
    """
    n, minimum = len(addresses), max(1, params.min_common_buckets)
    counts = np.diff(signs.indptr).astype(np.int64)
    acts = _Acts.of(signs)
    table = CorrelationTable(
        addresses,
        rho=np.empty((n, n)),
        n_buckets=np.minimum.outer(counts, counts),
        n_common=np.empty((n, n), dtype=np.int64),
        phi_common=np.empty((n, n)),
    )
    for start in range(0, n, _BLOCK_ROWS):
        ours, later = slice(start, start + _BLOCK_ROWS), slice(start, n)
        n_common, alike, our_net, their_net = acts.met(ours, later)
        root = np.sqrt(np.multiply.outer(counts[ours], counts[later]))
        rho = _ratio(np.maximum(alike, 0), root, table.n_buckets[ours, later] >= minimum)
        # the two-by-two table by its sums: 4 (up down - up_down down_up), and 16 times the product of its marginals
        squared = n_common * n_common
        marginals = (squared - our_net * our_net) * (squared - their_net * their_net)
        is_known = (n_common >= minimum) & (marginals > 0)
        phi = _ratio(n_common * alike - our_net * their_net, np.sqrt(marginals), is_known)
        for whole, part in ((table.n_common, n_common), (table.rho, rho), (table.phi_common, phi)):
            whole[ours, later] = part
            whole[later, ours] = part.T
    # cells in which nobody else acted were left out, so a trader's own row is said here
    own, n_bought = np.arange(n), np.bincount(_row_of(signs)[signs.data > 0], minlength=n)
    is_known, is_two_sided = counts >= minimum, (n_bought > 0) & (n_bought < counts)
    table.n_common[own, own] = counts
    table.rho[own, own] = np.where(is_known, 1.0, np.nan)
    table.phi_common[own, own] = np.where(is_known & is_two_sided, 1.0, np.nan)
    return table


def _row_of(signs: sparse.csr_array) -> NDArray[np.int64]:
    return np.repeat(np.arange(signs.shape[0]), np.diff(signs.indptr))


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
        return sparse.csr_array((len(names), 1), dtype=np.int8)
    coin_place, n_coins = _met(coin)
    if not inside.all():
        row, time_ms, notional, coin_place = row[inside], time_ms[inside], notional[inside], coin_place[inside]
    column = time_ms // (params.bucket_minutes * MINUTE_MS)
    column -= column.min()
    column *= n_coins
    column += coin_place
    width = int(column.max()) + 1
    row *= width
    row += column
    cell, order = _sorted(row)
    is_first = np.concatenate(([True], cell[1:] != cell[:-1]))
    place, notional = np.cumsum(is_first) - 1, notional[order]
    net, gross = np.bincount(place, weights=notional), np.bincount(place, weights=np.abs(notional))
    is_act = np.abs(net) > _ROUNDING * gross
    cell, sign = cell[is_first][is_act], np.sign(net[is_act]).astype(np.int8)
    starts = np.searchsorted(cell, np.arange(len(names) + 1) * width)
    return sparse.csr_array((sign, cell % width, starts), shape=(len(names), width))


def _sorted(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(values from 0 on in order, where each stood): equal ones stay in their order.

    A value and its place sorted as one number take half of what `argsort` takes.
    """
    bits = len(values).bit_length()
    if int(values.max()) >> (63 - bits):
        order = np.argsort(values, kind="stable")
        return values[order], order
    both = values << bits
    both |= np.arange(len(values))
    both.sort()
    return both >> bits, both & ((1 << bits) - 1)


def _places(texts: Sequence[str] | NDArray[np.str_], known: list[str]) -> NDArray[np.int64]:
    """The place of each text among the known ones, -1 for another."""
    places = dict(zip(known, itertools.count()))
    return np.fromiter(map(places.get, _listed(texts), itertools.repeat(-1)), np.int64, len(texts))


def _met(texts: Sequence[str] | NDArray[np.str_]) -> tuple[NDArray[np.int64], int]:
    """A number for each text, in the order in which they are met, and how many there are: one pass where few differ."""
    places: defaultdict[str, int] = defaultdict(itertools.count().__next__)
    return np.fromiter(map(places.__getitem__, _listed(texts)), np.int64, len(texts)), len(places)


def _listed(texts: Sequence[str] | NDArray[np.str_]) -> Sequence[str]:
    return texts.tolist() if isinstance(texts, np.ndarray) else texts


@dataclass(frozen=True, slots=True)
class _Acts:
    """Signs and acts of each trader: cells of many as dense matrices, the others as sparse ones.

    Sparse signs and acts share their places: they stand in one matrix as the two parts of a complex number, and in
    the turned one, a trader a column, as one number that holds the sign `_APART` times. One product counts all.
    """

    signs: NDArray[np.float32]
    acts: NDArray[np.float32]
    rest: sparse.csr_array
    turned: sparse.csr_array

    @classmethod
    def of(cls, signs: sparse.csr_array) -> _Acts:
        """Cells in which one trader acted are left out: they are of no pair."""
        from scipy import sparse

        n_acts = np.bincount(signs.indices, minlength=signs.shape[1])
        is_busy = n_acts > signs.shape[0] * _BUSY_SHARE
        is_shared = (n_acts > 1) & ~is_busy
        dense = np.zeros((signs.shape[0], int(is_busy.sum())), dtype=np.float32)
        found = np.flatnonzero(is_busy[signs.indices])
        dense[_row_of(signs)[found], (np.cumsum(is_busy) - 1)[signs.indices[found]]] = signs.data[found]
        is_ours = is_shared[signs.indices]
        place = (np.cumsum(is_shared, dtype=np.int32) - 1)[signs.indices[is_ours]]
        starts = np.concatenate(([0], np.cumsum(is_ours)))[signs.indptr].astype(np.int32)
        shape, sign = (signs.shape[0], int(is_shared.sum())), signs.data[is_ours]
        rest = sparse.csr_array((1 + 1j * sign, place, starts), shape=shape)
        turned = sparse.csr_array((1 + _APART * sign, place, starts), shape=shape).T.tocsr()
        return cls(dense, np.abs(dense), rest, turned)

    def met(self, ours: slice, later: slice) -> tuple[NDArray[np.float64], ...]:
        """Over the cells in which one of ours and one of the later traders both acted: their number, the sum of the
        product of both signs, and the sums of the signs of ours and of theirs.

        A sparse product costs what its left side holds, so that the few stand there.
        """
        found = self.rest[ours] @ self.turned
        both = found.data.view(np.float64)
        of_signs = np.rint(both / _APART)
        of_acts = both - of_signs * _APART
        acts, signs = (
            type(found)((part.view(np.complex128), found.indices, found.indptr), shape=found.shape).toarray()[:, later]
            for part in (of_acts, of_signs)
        )
        their_acts, their_signs = self.acts[later].T, self.signs[later].T
        return (
            np.add(acts.real, self.acts[ours] @ their_acts, dtype=np.float64),
            np.add(signs.imag, self.signs[ours] @ their_signs, dtype=np.float64),
            np.add(acts.imag, self.signs[ours] @ their_acts, dtype=np.float64),
            np.add(signs.real, self.acts[ours] @ their_signs, dtype=np.float64),
        )


def _known(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
