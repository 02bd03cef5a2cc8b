"""Agreement of two traders: cosine, phi, unknown pairs, shrinkage, parity of both forms (spec 1.7)."""

from __future__ import annotations

import dataclasses
import math
import random

import numpy as np
import pytest
import scipy.sparse  # loaded when pairs are measured, which must not count for the first example
from hypothesis import given
from hypothesis import strategies as st
from trader_builders import T0, fill

from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.params import DAY_MS, CorrelationParams
from sigmapilot_core.domain.traders import correlation
from sigmapilot_core.domain.traders.correlation import (
    CorrelationTable,
    PairCorrelation,
    Signs,
    bucket_of,
    correlate,
    correlation_table,
    correlations,
    default_rho,
    signs_of,
    used_rho,
)
from sigmapilot_core.domain.traders.effective_k import effective_k

SLOT = 300_000
AS_OF = T0 + DAY_MS
COSINE = CorrelationParams()
PHI = CorrelationParams(method="phi")


def row_of(**signs: str) -> Signs:
    """BTC signs from text: + and - trade, . does not."""
    return {(coin, i): 1 if c == "+" else -1 for coin, text in signs.items() for i, c in enumerate(text) if c != "."}


def pair(rho: float | None, n: int = 30, **more: object) -> PairCorrelation:
    return dataclasses.replace(PairCorrelation("0xa", "0xb", rho, n, n, None), **more)  # type: ignore[arg-type]


def fast(fills: list[Fill], addresses: list[str], params: CorrelationParams = COSINE) -> CorrelationTable:
    return correlation_table(
        [f.user for f in fills],
        [f.coin for f in fills],
        [f.time_ms for f in fills],
        [float(f.px * f.signed_size) for f in fills],
        addresses,
        AS_OF,
        params,
    )


def test_the_sign_of_a_bucket_is_that_of_its_net_signed_notional() -> None:
    fills = [
        fill("buy", 1, 100, 0, tid=1, user="0xa"),
        fill("sell", 2, 60, 1, tid=2, user="0xa"),  # net -20
        fill("buy", 1, 100, SLOT, tid=3, user="0xa"),
        fill("sell", 1, 100, SLOT, tid=4, user="0xa"),  # net 0: no sign
        fill("buy", 1, 100, SLOT, tid=5, user="0xa", coin="ETH"),
    ]
    first = bucket_of(T0)
    assert signs_of(fills, AS_OF) == {"0xa": {("BTC", first): -1, ("ETH", first + 1): 1}}


def test_only_the_lookback_counts_its_start_included_its_end_not() -> None:
    start = AS_OF - 30 * DAY_MS
    times = [start - 1, start, AS_OF - 1, AS_OF]
    fills = [fill("buy", 1, 1, time - T0, user=f"0x{i}") for i, time in enumerate(times)]
    assert sorted(signs_of(fills, AS_OF)) == ["0x1", "0x2"]


def test_rho_is_agreement_over_all_acts_of_both() -> None:
    a, b = row_of(BTC="+" * 16), row_of(BTC="+" * 10 + "-" * 2 + "." * 4 + "+" * 13)
    got = correlate("0xa", a, "0xb", b)
    assert got.rho == pytest.approx((10 - 2) / math.sqrt(16 * 25))  # 12 common, 16 and 25 acts
    assert (got.n_buckets, got.n_common) == (16, 12)


def test_opposite_traders_have_rho_zero_not_below() -> None:
    assert correlate("0xa", row_of(BTC="+" * 12), "0xb", row_of(BTC="-" * 12)).rho == 0


def test_a_perfect_copy_has_rho_one() -> None:
    acts = row_of(BTC="+-+-+-+-+-", ETH="++--")
    assert correlate("0xa", acts, "0xb", acts).rho == pytest.approx(1)


def test_the_same_time_in_another_asset_is_no_agreement() -> None:
    assert correlate("0xa", row_of(BTC="+" * 12), "0xb", row_of(ETH="+" * 12)).rho == 0


@pytest.mark.parametrize(("n", "expected"), [(9, None), (10, 1.0)])
def test_fewer_than_ten_buckets_of_either_are_unknown_not_zero(n: int, expected: float | None) -> None:
    got = correlate("0xa", row_of(BTC="+" * n), "0xb", row_of(BTC="+" * n))
    assert got.rho == expected
    assert got.n_buckets == n


def test_addresses_are_ordered_and_distinct() -> None:
    got = correlate("0xb", row_of(BTC="+" * 10), "0xa", row_of(BTC="+" * 20))
    assert (got.addr_a, got.addr_b) == ("0xa", "0xb")
    with pytest.raises(ValueError, match="must differ"):
        correlate("0xa", {}, "0xa", {})


def test_phi_is_the_correlation_of_signs_over_common_buckets() -> None:
    a, b = "++++++----++--+-", "+++-++---+++-++-"
    got = correlate("0xa", row_of(BTC=a), "0xb", row_of(BTC=b))
    expected = np.corrcoef([x == "+" for x in a], [x == "+" for x in b])[0, 1]  # phi is Pearson of two indicators
    assert got.phi_common == pytest.approx(expected)


def test_phi_is_unknown_with_few_common_buckets_or_one_sided_traders() -> None:
    assert correlate("0xa", row_of(BTC="+-" * 4), "0xb", row_of(BTC="+-" * 4 + "+" * 20)).phi_common is None
    assert correlate("0xa", row_of(BTC="+" * 20), "0xb", row_of(BTC="+-" * 10)).phi_common is None


def test_used_rho_is_shrunk_to_the_default_by_ten_buckets() -> None:
    assert used_rho(pair(0.8, 30), 0.2) == pytest.approx((30 * 0.8 + 10 * 0.2) / 40)


def test_an_unmeasured_pair_uses_the_default() -> None:
    assert used_rho(pair(None), 0.17) == 0.17
    assert used_rho(None, 0.17) == 0.17


def test_the_method_phi_uses_phi_and_its_common_buckets() -> None:
    assert used_rho(pair(0.1, 30, n_common=10, phi_common=0.9), 0.2, PHI) == pytest.approx((10 * 0.9 + 10 * 0.2) / 20)
    assert used_rho(pair(0.1, 30, phi_common=-0.9, n_common=10), 0.2, PHI) == pytest.approx(0.1)
    assert used_rho(pair(0.1, 30), 0.2, PHI) == 0.2


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="method must be cosine or phi"):
        used_rho(pair(0.1), 0.2, CorrelationParams(method="pearson"))


def test_default_rho_is_the_mean_of_measured_pairs() -> None:
    got = default_rho([pair(0.1)] * 20 + [pair(0.2)] * 20 + [pair(None)] * 100)
    assert (got.value, got.n_measured, got.is_limited) == (pytest.approx(0.15), 40, False)


def test_default_rho_is_limited_and_touching_the_limit_is_told() -> None:
    assert default_rho([pair(0.5)] * 30).value == 0.24
    assert default_rho([pair(0.5)] * 30).is_limited
    assert default_rho([pair(0.24)] * 32).is_limited


def test_default_rho_without_thirty_measured_pairs_is_a_fifth() -> None:
    got = default_rho([pair(0.1)] * 29)
    assert (got.value, got.is_limited) == (0.2, False)


def test_three_equal_voters_pass_at_the_limit_of_the_default() -> None:
    assert effective_k([1, 1, 1], np.full((3, 3), 0.24)) > 2.0
    assert effective_k([1, 1, 1], np.full((3, 3), 0.26)) < 2.0


rows = st.lists(
    st.tuples(
        st.sampled_from(["0xa", "0xb", "0xc", "0xd"]),
        st.sampled_from(["BTC", "ETH"]),
        st.integers(0, 11),
        st.sampled_from(["buy", "sell"]),
        st.integers(1, 3),
    ),
    max_size=120,
)


@pytest.mark.parametrize("minimum", [1, 3])
@given(rows=rows)
def test_the_fast_form_gives_the_rows_of_the_clear_form(
    minimum: int, rows: list[tuple[str, str, int, str, int]]
) -> None:
    params = CorrelationParams(min_common_buckets=minimum)
    fills = [
        fill(side, size, 100, bucket * SLOT, tid=i, user=user, coin=coin)
        for i, (user, coin, bucket, side, size) in enumerate(rows)
    ]
    names = ["0xc", "0xa", "0xb"]
    clear = correlations(signs_of(fills, AS_OF, params), names, params)
    table = fast(fills, names, params)
    for a, b in zip(clear, table.pairs(), strict=True):
        assert (a.addr_a, a.addr_b, a.n_buckets, a.n_common) == (b.addr_a, b.addr_b, b.n_buckets, b.n_common)
        assert a.rho == pytest.approx(b.rho, abs=1e-12)
        assert a.phi_common == pytest.approx(b.phi_common, abs=1e-12)


@pytest.mark.parametrize(
    "params", [CorrelationParams(min_common_buckets=3), CorrelationParams(min_common_buckets=3, method="phi")]
)
@given(rows=rows)
def test_the_used_matrix_is_used_rho_of_each_pair(
    params: CorrelationParams, rows: list[tuple[str, str, int, str, int]]
) -> None:
    fills = [fill(s, z, 100, b * SLOT, tid=i, user=u, coin=c) for i, (u, c, b, s, z) in enumerate(rows)]
    table = fast(fills, ["0xa", "0xb", "0xc"], params)
    used = table.used(0.2, params)
    assert np.array_equal(used, used.T)
    assert np.array_equal(np.diag(used), np.ones(3))
    for got in table.pairs():
        i, j = table.addresses.index(got.addr_a), table.addresses.index(got.addr_b)
        assert used[i, j] == pytest.approx(used_rho(got, 0.2, params))


def test_traders_without_fills_are_unknown_pairs_of_the_fast_form() -> None:
    assert [p.rho for p in fast([], ["0xa", "0xb"]).pairs()] == [None]
    assert fast([], []).pairs() == ()


def test_a_notional_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="signed_notional must be finite"):
        correlation_table(["0xa"], ["BTC"], [T0], [math.nan], ["0xa"], AS_OF)


def simulated(kind: str, rng: np.random.Generator, events: np.ndarray, market: np.ndarray) -> Signs:
    """Signs of a skilled trader who notices 40 % of 180 events and trades 60 times on his own."""
    own = rng.choice(np.arange(1000, 9000), 60, replace=False)
    signs = {("BTC", int(b)): int(s) for b, s in zip(own, rng.choice([-1, 1], 60), strict=True)}
    noticed = rng.random(events.size) < 0.4
    signs.update({("BTC", int(b)): int(s) for b, s in zip(events[noticed], market[noticed], strict=True)})
    return signs


def test_independent_skilled_traders_keep_two_votes_of_three_and_copies_one() -> None:
    # spec 1.7: K of three is 2.0-2.8 for independents and 1.1 for copies
    rng = np.random.Generator(np.random.Philox(key=5))
    events, market = np.arange(180), rng.choice([-1, 1], 180)
    free = {f"0x{i}": simulated("skilled", rng, events, market) for i in range(3)}
    leader = free["0x0"]
    copies = {f"0x{i}": {k: s for k, s in leader.items() if rng.random() < 0.9} for i in range(3)}

    def k_of(signs: dict[str, Signs]) -> float:
        used = [used_rho(p, 0.2) for p in correlations(signs)]
        matrix = np.eye(3)
        matrix[0, 1], matrix[0, 2], matrix[1, 2] = used
        return effective_k([1, 1, 1], np.maximum(matrix, matrix.T))

    assert 2.0 <= k_of(free) <= 2.8
    assert k_of(copies) == pytest.approx(1.1, abs=0.06)


@pytest.mark.parametrize("busy_share", [0.0, 0.2, 2.0])
def test_dense_and_sparse_cells_in_any_block_give_the_rows_of_the_clear_form(
    busy_share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correlation, "_BUSY_SHARE", busy_share)
    monkeypatch.setattr(correlation, "_BLOCK_ROWS", 7)
    rng = random.Random(3)
    news = [("BTC", bucket) for bucket in range(15)]
    signs: dict[str, Signs] = {}
    for trader in range(25):
        own = [("ETH", rng.randrange(400)) for _ in range(rng.randrange(40))]
        signs[f"0x{trader:02d}"] = {cell: rng.choice((-1, 1)) for cell in [*rng.sample(news, 12), *own]}
    fills = [
        fill("buy" if sign > 0 else "sell", 1, 100, bucket * SLOT, tid=i, user=user, coin=coin)
        for user, cells in signs.items()
        for i, ((coin, bucket), sign) in enumerate(cells.items())
    ]
    params = CorrelationParams(min_common_buckets=8)
    assert fast(fills, list(signs), params).pairs() == correlations(signs_of(fills, AS_OF, params), signs, params)


def test_a_trader_agrees_with_himself_in_all_he_did() -> None:
    both, one_sided, few = row_of(BTC="+-" * 6), row_of(ETH="+" * 12), row_of(BTC="+-")
    fills = [
        fill("buy" if sign > 0 else "sell", 1, 100, bucket * SLOT, tid=bucket, user=user, coin=coin)
        for user, signs in (("0xa", both), ("0xb", one_sided), ("0xc", few))
        for (coin, bucket), sign in signs.items()
    ]
    table = fast(fills, ["0xa", "0xb", "0xc"])
    assert np.array_equal(np.diag(table.n_common), [12, 12, 2])
    assert np.array_equal(np.diag(table.rho), [1, 1, np.nan], equal_nan=True)
    assert np.array_equal(np.diag(table.phi_common), [1, np.nan, np.nan], equal_nan=True)


def test_traders_of_very_many_acts_are_counted_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    # the product of four counts of 30,000 is beyond what a float64 holds, and 16 times it beyond an int64
    rng = np.random.Generator(np.random.Philox(key=11))
    acted = rng.choice([-1, 1], (2, 120_000), p=[0.47, 0.53]).astype(np.int8)
    a, b = ({("BTC", i): sign for i, sign in enumerate(row)} for row in acted.tolist())
    clear = correlate("0xa", a, "0xb", b)
    for busy_share in (0.2, 2.0):
        monkeypatch.setattr(correlation, "_BUSY_SHARE", busy_share)
        assert correlation.table_of_signs(("0xa", "0xb"), scipy.sparse.csr_array(acted)).pairs() == (clear,)


def test_columns_sort_alike_whether_or_not_value_and_place_fit_into_one_number() -> None:
    rng = np.random.Generator(np.random.Philox(key=12))
    values = rng.integers(0, 50, 1_000)
    order = np.argsort(values, kind="stable")
    for wide in (values, values << 50):
        in_order, places = correlation._sorted(wide)
        assert np.array_equal(in_order, wide[order])
        assert np.array_equal(places, order)
