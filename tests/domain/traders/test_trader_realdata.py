"""Ledger, episodes and filters against recorded fills and a recorded leaderboard; skipped where they are absent."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path

import pytest

from sigmapilot_core.domain.events import Fill, Verdict
from sigmapilot_core.domain.traders import ledger
from sigmapilot_core.domain.traders.filters import TraderFacts, evaluate, funnel, orders_per_day, recording_pool
from sigmapilot_core.domain.traders.filters_frame import evaluate_frame, frame_of, funnel_of_frame
from sigmapilot_core.domain.traders.history import build_history
from sigmapilot_core.domain.venue import LeaderboardRow, LeaderboardWindow

pytestmark = pytest.mark.realdata

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def path(name: str) -> Path:
    found = DATA / name
    if not found.exists():
        pytest.skip(f"recorded data is not beside the project (../shared/data/{name})")
    return found


def fill_of(user: str, raw: dict) -> Fill:
    return Fill(
        user=user,
        coin=raw["coin"],
        is_buy=raw["side"] == "B",
        px=Decimal(raw["px"]),
        sz=Decimal(raw["sz"]),
        time_ms=raw["time"],
        tid=raw["tid"],
        crossed=raw["crossed"],
        oid=raw["oid"],
        start_position=Decimal(raw["startPosition"]),
        fee=Decimal(raw["fee"]),
        closed_pnl=Decimal(raw["closedPnl"]),
    )


@pytest.fixture(scope="module")
def exchange_fills() -> list[Fill]:
    """Every perp fill of the exchange for 81 seconds, in the order it was recorded."""
    lines = path("hl-node-fills-20251027/sample_data.json").read_text().splitlines()
    events = (event for line in lines for event in json.loads(line)["events"])
    return [fill_of(user, raw) for user, raw in events if not raw["coin"].startswith("@") and "/" not in raw["coin"]]


@pytest.fixture(scope="module")
def leader_fills() -> list[Fill]:
    """Exact fills of eight leaders over two and a half days; overlapping queries, so with repeats."""
    raw = json.loads(path("hl-leader-fills-202607/exchange_leader_fills.json").read_text())
    return [fill_of(query["slot"], row) for query in raw["queries"] for row in query["fills"]]


def lots(fills: list[Fill]) -> dict[str, int]:
    """Decimals of a coin's sizes, from the sizes and positions themselves."""
    decimals: dict[str, int] = {}
    for f in fills:
        assert f.start_position is not None
        for number in (f.sz, f.start_position):
            places = -int(number.normalize().as_tuple().exponent)
            decimals[f.coin] = max(decimals.get(f.coin, 0), places)
    return decimals


@pytest.fixture(scope="module")
def leaderboard() -> list[LeaderboardRow]:
    """27,650 rows without ROI, which is approximated from PnL and account value."""
    rows = []
    with path("hl-leaderboard-20251202/traders-2025-12-02_233247.csv").open(errors="replace") as file:
        for raw in csv.DictReader(file):
            value, pnl = float(raw["Account Value"]), float(raw["PNL (1m)"])
            month = LeaderboardWindow(pnl, pnl / max(100.0, value - pnl), float(raw["Trading Volume (1m)"]))
            week = LeaderboardWindow(float(raw["PNL (7d)"]), None, float(raw["Trading Volume (7d)"]))
            windows = {"month": month, "week": week}
            rows.append(LeaderboardRow(raw["Trader Address"], value, windows, roi_approximate=True))
    return rows


def test_the_ledger_meets_the_venues_start_position_at_every_consecutive_fill(leader_fills: list[Fill]) -> None:
    done = build_history(leader_fills, sz_decimals=lots(leader_fills), stop_at=lambda _coin, _ms: 0.02)
    checked = len({f.key for f in leader_fills}) - len(done.states)
    assert (checked, done.gap_count) == (checked, 0)
    assert checked > 2_000


def test_realised_pnl_is_the_venues_closed_pnl(leader_fills: list[Fill]) -> None:
    states: dict[tuple[str, str], ledger.LedgerState] = {}
    decimals = lots(leader_fills)
    compared = 0
    for f in ledger.ordered_fills(leader_fills):
        key = (f.user, f.coin)
        states[key], change = ledger.step(states.get(key), f, decimals[f.coin])
        if change.closed and change.realised is not None:
            assert f.closed_pnl is not None
            # the venue rounds average entry and PnL at every fill: a few millionths of the price, and of a USD a unit
            rounding = change.closed * (f.px * Decimal("5e-6") + Decimal("1e-5")) + Decimal("1e-6")
            assert abs(change.realised - f.closed_pnl) <= rounding, f.id
            compared += 1
    assert compared > 1_000


def test_the_ledger_follows_the_whole_exchange(exchange_fills: list[Fill]) -> None:
    done = build_history(exchange_fills, sz_decimals=lots(exchange_fills), stop_at=lambda _coin, _ms: 0.02)
    for (user, coin), state in done.states.items():
        last = [f for f in exchange_fills if (f.user, f.coin) == (user, coin)][-1]
        if state.ledger.gap_count == 0:
            assert last.start_position is not None
            assert state.ledger.position == last.start_position + last.signed_size
    assert done.gap_count < len(exchange_fills) / 50  # positions also change without fills; all of them are noticed


def test_primed_from_each_first_start_position_the_ledger_meets_those_the_recording_links(
    exchange_fills: list[Fill],
) -> None:
    decimals = lots(exchange_fills)
    states: dict[tuple[str, str], ledger.LedgerState] = {}
    met = missed = above_one_lot = reported = 0
    for fill in exchange_fills:
        held = states.get((fill.user, fill.coin))
        assert fill.start_position is not None
        if held is not None:
            is_met = held.position == fill.start_position
            met, missed = met + is_met, missed + (not is_met)
            above_one_lot += not ledger.is_same_position(held.position, fill.start_position, decimals[fill.coin])
        states[(fill.user, fill.coin)], change = ledger.step(held, fill, decimals[fill.coin])
        reported += change.is_gap
    # of the recording's 5,290 later fills 4,919 are of perps; the other 371 are spot, where a buy pays its fee in the
    # bought token and the balance moves without fills, so that no ledger of fills can follow it
    assert (met, met + missed) == (4_878, 4_919)
    assert reported == above_one_lot, "every break of more than one lot is reported as a gap"


def test_episodes_of_the_exchange_are_either_complete_or_not_learnt(exchange_fills: list[Fill]) -> None:
    done = build_history(exchange_fills, sz_decimals=lots(exchange_fills), stop_at=lambda _coin, _ms: 0.02)
    assert done.episodes
    for e in done.episodes:
        assert e.learnable == (not e.is_gap and not e.first_seen_mid_life)
        assert not e.learnable or (e.realised is not None and e.entry_vwap is not None and e.exit_vwap is not None)


def test_a_burst_of_81_seconds_is_judged_as_a_day(exchange_fills: list[Fill]) -> None:
    by_user: dict[str, list[Fill]] = {}
    for f in exchange_fills:
        by_user.setdefault(f.user, []).append(f)
    for fills in by_user.values():
        assert orders_per_day(fills) == len({f.oid for f in fills})


def test_both_filter_forms_agree_on_a_full_leaderboard(leaderboard: list[LeaderboardRow]) -> None:
    clear = [evaluate(row) for row in leaderboard]
    fast = evaluate_frame(frame_of(leaderboard))
    assert funnel(clear) == funnel_of_frame(fast)
    assert [r.leaderboard_verdict.value for r in clear] == fast["leaderboard"].to_list()


def test_a_fifteen_billion_account_without_volume_does_not_pass(leaderboard: list[LeaderboardRow]) -> None:
    (row,) = (row for row in leaderboard if row.account_value_usd > 1.5e10)
    facts = TraderFacts(orders_per_day=1.0, has_sub_accounts=False, has_major_fill=True)
    assert evaluate(row, facts).verdict is Verdict.FAIL


def test_the_recording_pool_is_found_in_the_leaderboard(
    leaderboard: list[LeaderboardRow], exchange_fills: list[Fill]
) -> None:
    pool = recording_pool([evaluate(row) for row in leaderboard], {f.user for f in exchange_fills})
    assert 3 <= len(pool) <= 250  # 250 of the 899 users are in the leaderboard at all
