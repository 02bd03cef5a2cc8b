"""Kinds, shares and what each kind does."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from sim_worlds import EPOCH_MS

from sigmapilot_core.domain.params import DAY_MS
from sigmapilot_core.domain.simulation.kinds import SHARES, Kind
from sigmapilot_core.domain.simulation.orders import Flag
from sigmapilot_core.domain.simulation.population import build_population, counts_of
from sigmapilot_core.domain.simulation.probe import all_fills
from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.source import WorldSource
from sigmapilot_core.domain.simulation.truth import Truth
from sigmapilot_core.domain.simulation.world import World
from sigmapilot_core.domain.traders.filters import orders_per_day


def of_kind(kind: Kind, world: World) -> list[str]:
    """Addresses of a kind."""
    return [world.population.addresses[i] for i in np.flatnonzero(world.population.kind == kind)]


def test_shares_are_those_of_the_specification(world: World) -> None:
    counts = Counter(Kind(k) for k in world.population.kind[:300].tolist())
    assert counts == {kind: round(share * 300) for kind, share in SHARES.items()}
    assert sum(SHARES.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("traders", [20, 60, 299, 10_000])
def test_counts_sum_to_the_population(traders: int) -> None:
    counts = counts_of(traders)
    assert sum(counts.values()) == traders
    assert all(abs(counts[kind] - share * traders) <= 1 for kind, share in SHARES.items())


def test_addresses_are_lower_case_and_distinct(source: WorldSource) -> None:
    users = list(source.users())
    assert len(set(users)) == len(users)
    assert all(len(user) == 42 and user.startswith("0x") and user == user.lower() for user in users)


def test_copy_groups_have_three_to_ten_members_and_both_kinds_of_leaders(world: World, truth: Truth) -> None:
    groups = Counter(truth.leader(user) for user in of_kind(Kind.COPY, world))
    assert all(3 <= size <= 10 for size in groups.values())
    kinds = Counter(truth.kind(leader) for leader in groups if leader)
    assert set(kinds) == {"skilled", "unskilled"}
    assert abs(kinds["skilled"] - kinds["unskilled"]) <= 1


def test_copies_repeat_their_leader_within_a_minute_with_some_misses(
    world: World, source: WorldSource, truth: Truth
) -> None:
    copy = of_kind(Kind.COPY, world)[0]
    leader = truth.leader(copy)
    assert leader is not None
    acts = sorted((fill.time_ms, fill.coin, fill.is_buy) for fill in all_fills(source, leader))
    by_side: dict[tuple[str, bool], np.ndarray] = {
        key: np.array([t for t, coin, is_buy in acts if (coin, is_buy) == key]) for key in {act[1:] for act in acts}
    }
    gaps = []
    for fill in all_fills(source, copy):
        times = by_side[fill.coin, fill.is_buy]
        before = times[times <= fill.time_ms]
        gaps.append((fill.time_ms - before[-1]) / 1000 if before.size else np.inf)
    assert np.mean(np.array(gaps) <= 75) > 0.98  # 60 s, and the fills of one resting order take seconds
    oids = {fill.oid for fill in all_fills(source, copy)}
    assert 0.3 < len(oids) / len({fill.oid for fill in all_fills(source, leader)}) < 1.0


def test_copies_end_flat_when_their_leader_does(world: World, truth: Truth) -> None:
    position = world.accounts.now.position
    open_trips = {(int(t["user"]), int(t["coin"])) for t in world.desk.open_trips}
    for copy in of_kind(Kind.COPY, world):
        index, leader = world.population.index_of[copy], world.population.index_of[str(truth.leader(copy))]
        for coin in np.flatnonzero(position[index]).tolist():
            # a leader who closed within the last minute is still being followed
            closed = [c for c in world.closed_trips[-1] if c["user"] == leader and c["coin"] == coin]
            recent = any(world.now_ms - int(c["exit_ms"]) < 120_000 for c in closed)
            assert (leader, coin) in open_trips or recent


def test_market_makers_rest_on_both_sides_thousands_of_times_and_stay_flat_on_average(
    world: World, source: WorldSource
) -> None:
    for maker in of_kind(Kind.MAKER, world)[:1]:
        fills = all_fills(source, maker)
        assert len(fills) > 3_000
        assert np.mean([not fill.crossed for fill in fills]) > 0.99
        assert np.mean([fill.is_buy for fill in fills]) == pytest.approx(0.5, abs=0.05)
        exposure = defaultdict(list)
        for fill in fills:
            exposure[fill.coin].append(float(fill.start_position or 0) * float(fill.px))
        for values in exposure.values():
            assert abs(np.mean(values)) < 0.35 * np.abs(values).max()


def test_high_frequency_traders_and_makers_exceed_a_hundred_orders_a_day_and_nobody_else(
    world: World, source: WorldSource, truth: Truth
) -> None:
    fast: dict[str, list[float]] = {
        kind: [] for kind in ("maker", "hft", "skilled", "unskilled", "copy", "chaser", "doomed")
    }
    for user in source.users():
        if truth.kind(user) in fast and len(fast[truth.kind(user)]) < 4:
            fills = source.fills(user, source.now_ms - 5 * DAY_MS, source.now_ms)
            fast[truth.kind(user)].append(orders_per_day(fills) or 0.0)
    for kind, rates in fast.items():
        assert (min(rates) > 100) if kind in ("maker", "hft") else (max(rates) < 60), (kind, rates)


def test_masters_show_the_profit_of_their_subs_who_are_not_listed(
    world: World, source: WorldSource, truth: Truth
) -> None:
    rows = {row.address: row for row in source.leaderboard()}
    masters = of_kind(Kind.MASTER, world)
    assert len(masters) == 6
    for master in masters:
        subs = source.sub_accounts(master)
        assert 2 <= len(subs) <= 4
        assert not source.account(master).positions
        assert not source.fills(master, 0, source.now_ms)
        assert all(source.master_of(sub.user) == master and sub.user not in rows for sub in subs)
        pnl = sum(h.pnl[-1][1] for sub in subs for h in source.portfolio(sub.user) if h.period == "month")
        assert rows[master].windows["month"].pnl_usd == pytest.approx(pnl, abs=0.01)
    ordinary = of_kind(Kind.SKILLED, world)[0]
    assert source.sub_accounts(ordinary) == []
    assert source.master_of(ordinary) is None


def test_the_doomed_are_liquidated_and_vanish_from_the_leaderboard(
    world: World, source: WorldSource, truth: Truth
) -> None:
    dead = [world.population.addresses[i] for i in world.desk.dead]
    assert dead
    assert all(truth.kind(user) == "doomed" for user in dead)
    now = {row.address for row in source.leaderboard()}
    early = {row.address for row in source.leaderboard(world.settings.start_ms + DAY_MS)}
    for user in dead:
        fills = source.fills(user, 0, source.now_ms)
        last = [fill for fill in fills if fill.time_ms == fills[-1].time_ms]
        assert all(fill.is_liquidation and fill.crossed for fill in last)
        assert last[-1].dir is not None
        assert last[-1].dir.startswith("Liquidated")
        assert user in early
        if source.now_ms - last[-1].time_ms > 2 * DAY_MS:
            assert user not in now
            assert source.account(user).account_value == 0
            assert source.cash_flows(user, last[-1].time_ms, source.now_ms)[0].kind == "withdraw"


def test_slices_of_time_weighted_orders_are_kept_apart_and_have_no_hash(world: World, source: WorldSource) -> None:
    patient = [i for i in np.flatnonzero(world.population.traits["is_twap"]).tolist() if i < 300][:3]
    assert patient
    zero = "0x" + "0" * 64
    for user in (world.population.addresses[i] for i in patient):
        slices, fills = source.twap_slices(user, 0, source.now_ms), source.fills(user, 0, source.now_ms)
        assert slices
        assert all(s.fill.hash == zero and s.fill.twap_id == s.twap_id > 0 for s in slices)
        assert all(fill.twap_id is None and fill.hash != zero for fill in fills)
        assert not {s.fill.key for s in slices} & {fill.key for fill in fills}


def test_slices_appear_in_the_trades_with_a_zero_hash(world: World) -> None:
    rows = np.flatnonzero((world.tape.rows()["flags"] & Flag.TWAP) > 0)[:50]
    assert len(rows) == 50
    assert all(set(trade.hash[2:]) == {"0"} for trade in world.tape.trades(rows))


def test_some_deposit_and_some_withdraw(world: World) -> None:
    flows = world.accounts.flows(world.settings.start_ms, world.now_ms)
    assert (flows["amount"] > 0).sum() > 50
    assert (flows["amount"] < 0).sum() > 50
    assert len(np.unique(flows["user"])) < 0.5 * 300


def test_entries_adds_partial_exits_and_turns_all_occur(source: WorldSource, world: World) -> None:
    words: Counter[str] = Counter()
    for user in of_kind(Kind.SKILLED, world)[:4]:
        words.update(fill.dir or "" for fill in source.fills(user, 0, source.now_ms))
    assert {"Open Long", "Open Short", "Close Long", "Close Short", "Long > Short", "Short > Long"} <= set(words)
    trips = np.concatenate(world.closed_trips)
    assert (trips["add_ms"] < trips["exit_ms"]).mean() > 0.01
    assert (trips["part_ms"] < trips["exit_ms"]).mean() > 0.05
    assert (trips["exit_ms"] == trips["timeout_ms"]).mean() > 0.2


def test_whales_hold_for_days_and_act_rarely(world: World) -> None:
    trips = np.concatenate(world.closed_trips)
    whales = trips[world.population.kind[trips["user"]] == Kind.WHALE]
    assert np.median(whales["exit_ms"] - whales["t"]) > 1.0 * DAY_MS
    assert len(whales) < 9 * 60 * 0.3


def test_ten_thousand_traders_have_the_same_shares() -> None:

    population = build_population(WorldSettings(seed=1, epoch_ms=EPOCH_MS, traders=10_000))
    counts = Counter(population.kind[:10_000].tolist())
    assert all(counts[kind] == round(share * 10_000) for kind, share in SHARES.items())
    sizes = np.diff(population.copy_start)
    assert sizes[sizes > 0].min() >= 3
