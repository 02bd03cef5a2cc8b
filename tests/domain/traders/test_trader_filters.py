"""The seven filters: boundaries, unknowns, funnel, parity of both forms; tracked traders (spec 1.2, 1.3)."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trader_builders import fill, leaderboard_row

from sigmapilot_core.domain.events import Verdict
from sigmapilot_core.domain.params import DAY_MS, TrackingParams
from sigmapilot_core.domain.traders.filters import (
    FilterName,
    TraderFacts,
    combined,
    evaluate,
    facts_of,
    funnel,
    orders_per_day,
    recording_pool,
    tracked_traders,
)
from sigmapilot_core.domain.traders.filters_frame import evaluate_frame, frame_of, funnel_of_frame
from sigmapilot_core.domain.venue import LeaderboardRow

GOOD = TraderFacts(orders_per_day=10.0, has_sub_accounts=False, has_major_fill=True)
PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN

figures = st.one_of(
    st.none(),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e13, 10_000.0, 100_000.0, 0.1, 0.0, -1.0]),
    st.floats(-1e7, 1e7),
)
flags = st.sampled_from([None, True, False])


def figure(field: str, value: float | None) -> dict[str, Any]:
    return {field: value}


def verdict_of(name: FilterName, row: LeaderboardRow, facts: TraderFacts = GOOD) -> Verdict:
    return {check.name: check.verdict for check in evaluate(row, facts).checks}[name]


def test_all_seven_are_evaluated_in_order_whatever_fails() -> None:
    result = evaluate(leaderboard_row(pnl=-1.0, roi=-1.0, account=1.0, volume=0.0))
    assert [check.name for check in result.checks] == list(FilterName)
    assert [check.verdict for check in result.checks] == [FAIL] * 4 + [UNKNOWN] * 3


@pytest.mark.parametrize(
    ("name", "field", "limit", "below"),
    [
        (FilterName.MONTH_PNL, "pnl", 10_000.0, 9_999.99),
        (FilterName.MONTH_ROI, "roi", 0.10, 0.0999),
        (FilterName.ACCOUNT_VALUE, "account", 100_000.0, 99_999.0),
        (FilterName.WEEK_VOLUME, "volume", 10_000.0, 9_999.0),
    ],
)
def test_equality_passes_and_less_fails(name: FilterName, field: str, limit: float, below: float) -> None:
    assert verdict_of(name, leaderboard_row(**figure(field, limit))) is PASS
    assert verdict_of(name, leaderboard_row(**figure(field, below))) is FAIL


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -math.inf, 1e13, -1e13])
@pytest.mark.parametrize(
    ("name", "field"),
    [(FilterName.MONTH_PNL, "pnl"), (FilterName.MONTH_ROI, "roi"), (FilterName.WEEK_VOLUME, "volume")],
)
def test_missing_and_absurd_figures_are_unknown(name: FilterName, field: str, bad: float | None) -> None:
    assert verdict_of(name, leaderboard_row(**figure(field, bad))) is UNKNOWN


def test_a_row_without_windows_is_unknown_not_failed() -> None:
    row = LeaderboardRow(address="0xa", account_value_usd=2e5, windows={})
    assert [c.verdict for c in evaluate(row, GOOD).checks[:4]] == [UNKNOWN, UNKNOWN, PASS, UNKNOWN]


def test_a_negative_volume_is_unknown_and_a_negative_equity_fails() -> None:
    assert verdict_of(FilterName.WEEK_VOLUME, leaderboard_row(volume=-5.0)) is UNKNOWN
    assert verdict_of(FilterName.ACCOUNT_VALUE, leaderboard_row(account=-5.0)) is FAIL


@pytest.mark.parametrize(("value", "expected"), [(100.0, PASS), (100.01, FAIL), (None, UNKNOWN), (math.nan, UNKNOWN)])
def test_hundred_orders_a_day_are_allowed(value: float | None, expected: Verdict) -> None:
    facts = TraderFacts(value, has_sub_accounts=False, has_major_fill=True)
    assert verdict_of(FilterName.NOT_HFT, leaderboard_row(), facts) is expected


@pytest.mark.parametrize(("value", "expected"), [(False, PASS), (True, FAIL), (None, UNKNOWN)])
def test_sub_accounts_fail_and_a_failed_request_is_unknown(value: bool | None, expected: Verdict) -> None:
    facts = TraderFacts(1.0, has_sub_accounts=value, has_major_fill=True)
    assert verdict_of(FilterName.NO_SUB_ACCOUNTS, leaderboard_row(), facts) is expected


@pytest.mark.parametrize(("value", "expected"), [(True, PASS), (False, FAIL), (None, UNKNOWN)])
def test_a_btc_or_eth_fill_is_needed(value: bool | None, expected: Verdict) -> None:
    facts = TraderFacts(1.0, has_sub_accounts=False, has_major_fill=value)
    assert verdict_of(FilterName.BTC_ETH_HISTORY, leaderboard_row(), facts) is expected


def test_checks_carry_value_threshold_and_a_reason_in_words() -> None:
    check = evaluate(leaderboard_row(pnl=5_000.0)).checks[0]
    assert (check.value, check.threshold, check.reason) == (5_000.0, 10_000.0, "5000 is below 10000")


def test_flags_say_what_the_trader_has() -> None:
    checks = evaluate(leaderboard_row(), TraderFacts(1.0, has_sub_accounts=True, has_major_fill=False)).checks
    assert [check.reason for check in checks[5:]] == ["has sub-accounts", "has no BTC or ETH fills"]


def test_an_approximate_roi_says_so() -> None:
    assert "(approximate)" in evaluate(leaderboard_row(roi_approximate=True)).checks[1].reason


def test_a_failure_outweighs_an_unknown_and_an_unknown_a_pass() -> None:
    assert combined([PASS, UNKNOWN, FAIL]) is FAIL
    assert combined([PASS, UNKNOWN]) is UNKNOWN
    assert combined([PASS, PASS]) is PASS
    assert combined([]) is UNKNOWN


def test_orders_are_distinct_ids_over_the_span_in_days() -> None:
    fills = [fill("buy", 1, 1, at_ms=i * DAY_MS // 2, oid=i // 2) for i in range(9)]  # 5 orders in 4 days
    assert orders_per_day(fills) == pytest.approx(5 / 4)


def test_a_burst_shorter_than_a_day_is_judged_as_a_whole_day() -> None:
    assert orders_per_day([fill("buy", 1, 1, at_ms=i, oid=i) for i in range(150)]) == 150


def test_fills_without_order_ids_tell_nothing_of_orders() -> None:
    assert orders_per_day([fill("buy", 1, 1)]) is None
    assert orders_per_day([]) is None


def test_facts_of_a_history_know_majors_only_where_there_are_fills() -> None:
    assert facts_of([], has_sub_accounts=None) == TraderFacts(None, None, None)
    assert facts_of([fill("buy", 1, 1, coin="DOGE", oid=1)], has_sub_accounts=False).has_major_fill is False
    assert facts_of([fill("buy", 1, 1, oid=1)], has_sub_accounts=False) == TraderFacts(1.0, False, True)


def test_the_funnel_counts_every_verdict_and_the_survivors() -> None:
    rows = [leaderboard_row("0xa"), leaderboard_row("0xb", pnl=1.0), leaderboard_row("0xc", roi=None)]
    counts = funnel([evaluate(row, GOOD) for row in rows])
    assert [(c.passed, c.failed, c.unknown, c.surviving) for c in counts[:3]] == [
        (2, 1, 0, 2),
        (2, 0, 1, 1),
        (3, 0, 0, 1),
    ]


@given(st.lists(st.tuples(figures, figures, st.floats(-1e6, 1e7) | st.just(math.nan), figures, figures, flags, flags)))
def test_both_forms_give_the_same_verdicts_and_funnel(rows: list[tuple[Any, ...]]) -> None:
    board = [
        leaderboard_row(f"0x{i}", pnl=r[0], roi=r[1], account=r[2], volume=r[3], roi_approximate=False)
        for i, r in enumerate(rows)
    ]
    facts = {f"0x{i}": TraderFacts(r[4], r[5], r[6]) for i, r in enumerate(rows)}
    clear = [evaluate(row, facts[row.address]) for row in board]
    fast = evaluate_frame(frame_of(board, facts))
    for result, row in zip(clear, fast.iter_rows(named=True), strict=True):
        assert {c.name.value: c.verdict.value for c in result.checks} == {n.value: row[n.value] for n in FilterName}
        assert (result.verdict.value, result.leaderboard_verdict.value) == (row["eligible"], row["leaderboard"])
    assert funnel(clear) == funnel_of_frame(fast)


def test_a_full_leaderboard_is_filtered_at_once() -> None:
    frame = frame_of([leaderboard_row(f"0x{i:040x}", pnl=float(i)) for i in range(47_000)])
    started = time.perf_counter()
    verdicts = evaluate_frame(frame)
    assert time.perf_counter() - started < 5.0  # about 0.03 s on an idle machine
    assert verdicts["month_pnl"].value_counts().height == 2


def test_the_recording_pool_passes_the_leaderboard_filters_and_occurs_in_the_recording() -> None:
    results = [
        evaluate(leaderboard_row("0xb")),
        evaluate(leaderboard_row("0xa")),
        evaluate(leaderboard_row("0xc", pnl=1.0)),
        evaluate(leaderboard_row("0xd")),
        evaluate(leaderboard_row("0xe"), TraderFacts(500.0, None, None)),
    ]
    assert recording_pool(results, {"0xa", "0xb", "0xc", "0xe"}) == ("0xa", "0xb")


def test_tracked_are_pinned_then_pool_then_active_rows_by_month_pnl() -> None:
    rows = [
        leaderboard_row("0x1", pnl=5.0),
        leaderboard_row("0x2", pnl=9.0),
        leaderboard_row("0x3", pnl=None),
        leaderboard_row("0x4", volume=0.0),
        leaderboard_row("0x5", account=9_999.0),
        leaderboard_row("0x6", volume=None),
        leaderboard_row("0x7", pnl=1.0, account=10_000.0),
        leaderboard_row("0xpool", pnl=99.0),
    ]
    assert tracked_traders(rows, pool=["0xpool"], pinned=["0xpin"]) == ("0xpin", "0xpool", "0x2", "0x1", "0x7", "0x3")


def test_the_limit_cuts_active_rows_but_never_pool_or_pinned() -> None:
    rows = [leaderboard_row(f"0x{i}", pnl=float(i)) for i in range(5)]
    assert tracked_traders(rows, ["0xp", "0xq"], ["0xr"], TrackingParams(max_traders=4)) == ("0xr", "0xp", "0xq", "0x4")
    assert len(tracked_traders(rows, ["0xp", "0xq"], ["0xr"], TrackingParams(max_traders=1))) == 3
