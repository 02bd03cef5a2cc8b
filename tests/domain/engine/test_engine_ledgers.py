"""Followed traders: matching, dedupe, priming, reconciling, tracking, restart (DESIGN 2.6, 3; spec 1.3)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from engine_builders import POOL, T0, World, figures, replayed, snapshot, trader

from sigmapilot_core.domain.consensus.outcome import follow
from sigmapilot_core.domain.engine import accounts
from sigmapilot_core.domain.engine.engine import Engine
from sigmapilot_core.domain.engine.events import FillsReceived, GapReported
from sigmapilot_core.domain.engine.outputs import (
    DecisionMade,
    EpisodeClosed,
    EpisodeGap,
    EpisodeOpened,
    FillStored,
    GapFound,
    GapKind,
    LateTrade,
    NextTimer,
    PositionRestated,
    TrackingChanged,
    TraderPrimed,
    VoteChanged,
)
from sigmapilot_core.domain.engine.priming import RECONCILE_DELAY_MS
from sigmapilot_core.domain.engine.seen import WINDOW_MS, SeenKeys
from sigmapilot_core.domain.events import Direction, Fill
from sigmapilot_core.domain.params import HOUR_MS
from sigmapilot_core.domain.traders.episode import ClosedReason

ALICE, BOB = POOL[0], POOL[1]


def position(world: World, user: str = ALICE, coin: str = "BTC") -> Decimal:
    state = world.engine.state_of(user, coin)
    return Decimal(0) if state is None else state.ledger.position


def test_both_halves_of_a_trade_between_followed_traders_count() -> None:
    world = World.ready()
    world.send(replace(world.trade(ALICE, "buy", 2), seller=BOB))
    assert (position(world), position(world, BOB)) == (2, -2)
    assert [stored.fill.crossed for stored in world.said(FillStored)] == [True, False]


def test_a_trade_with_oneself_moves_nothing() -> None:
    world = World.ready()
    world.send(replace(world.trade(ALICE, "buy"), seller=ALICE))
    assert world.said(FillStored) == []


def test_the_same_trade_counts_once() -> None:
    world = World.ready()
    one = world.trade(ALICE, "buy")
    world.send(one)
    world.send(one, one, is_history=True)
    assert position(world) == 1
    assert world.engine.counters.duplicate == 2


def test_trades_of_unknown_coins_are_ignored_and_counted() -> None:
    world = World.ready()
    world.fill(ALICE, "buy", coin="xyz:NEW")
    assert world.engine.counters.unknown_coin == 1
    assert world.said(FillStored) == []


def test_trades_before_the_first_snapshot_are_counted() -> None:
    world = World()
    world.fill(ALICE, "buy")
    assert world.engine.counters.before_snapshot == 1


def test_a_trade_older_than_what_is_remembered_is_late_and_not_applied() -> None:
    world = World.ready()
    world.now_ms += 2 * WINDOW_MS
    world.fill(ALICE, "buy")
    world.fill(BOB, "buy", at_ms=world.now_ms - WINDOW_MS - 1)
    assert [late.time_ms for late in world.said(LateTrade)] == [world.now_ms - WINDOW_MS - 1]
    assert position(world, BOB) == 0


def test_old_history_of_a_quiet_coin_is_no_news() -> None:
    world = World.ready()
    world.now_ms += 2 * WINDOW_MS
    world.fill(ALICE, "buy")
    world.send(world.trade(BOB, "buy", at_ms=T0), is_history=True)
    assert world.said(LateTrade) == []
    assert world.engine.counters.late == 1


def test_a_trade_without_a_usable_price_makes_its_coin_unknown() -> None:
    world = World.ready()
    world.send(replace(world.trade(ALICE, "buy"), px=Decimal("NaN")))
    world.send(replace(world.trade(ALICE, "buy"), sz=Decimal(0)))
    assert [gap.kind for gap in world.said(GapFound)] == [GapKind.BAD_TRADE] * 2
    assert world.engine.coins["BTC"].unknown_reason is not None


def test_keys_are_remembered_for_a_bounded_time() -> None:
    seen = SeenKeys()
    for minute in range(60):
        assert seen.add(minute, minute * 60_000)
    assert 49 in seen
    assert 30 not in seen
    assert not seen.is_forgotten(49 * 60_000)
    assert seen.is_forgotten(48 * 60_000)


def test_fills_wait_until_the_account_is_primed_and_those_in_the_snapshot_are_dropped() -> None:
    world = World.ready(is_primed=False)
    world.fill(ALICE, "buy", 1, at_ms=T0)
    world.fill(ALICE, "buy", 2, at_ms=T0 + 1)
    assert world.said(FillStored) == []
    world.prime(ALICE, as_of_ms=T0, BTC=1)  # the first fill is in it
    assert position(world) == 3
    assert [stored.fill.time_ms for stored in world.said(FillStored)] == [T0 + 1]


def test_a_trade_that_arrives_after_a_snapshot_that_contains_it_is_dropped() -> None:
    world = World.ready(is_primed=False)
    world.prime(ALICE, as_of_ms=T0 + 500, BTC=1)
    world.fill(ALICE, "buy", 1, at_ms=T0 + 500)
    assert position(world) == 1
    assert world.engine.counters.before_prime == 1


def test_a_position_that_was_there_before_is_met_mid_life_and_never_learnt_from() -> None:
    world = World.ready(is_primed=False)
    world.prime(ALICE, BTC=-2)
    opened = world.said(EpisodeOpened)[-1].episode
    assert (opened.direction, opened.first_seen_mid_life) == (Direction.SHORT, True)
    world.fill(ALICE, "buy", 2)
    assert not world.said(EpisodeClosed)[-1].episode.learnable


def test_an_episode_seen_from_flat_to_flat_is_learnable() -> None:
    world = World.ready()
    world.fill(ALICE, "buy", 2, 50_000)
    world.now_ms += 1000
    world.fill(ALICE, "sell", 2, 51_000)
    episode = world.said(EpisodeClosed)[-1].episode
    # 2 x 1000 over 50 000 x 2 x 2 % = 2000: 1 R, by the stop in force without the regime's factor
    assert (episode.r_gross, episode.learnable) == (pytest.approx(1.0), True)
    assert world.said(FillStored)[-1].episode_id == episode.id


def test_too_many_waiting_fills_lose_the_oldest_and_need_a_later_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MAX_WAITING", 2)
    world = World.ready(is_primed=False)
    for number in range(3):
        world.fill(ALICE, "buy", 1, at_ms=T0 + number)
    world.prime(ALICE, as_of_ms=T0 - 1)
    assert ALICE in world.engine.unprimed
    world.prime(ALICE, as_of_ms=T0, BTC=1)
    assert position(world) == 3


def test_pool_members_are_asked_for_first() -> None:
    others = [trader(number) for number in range(50, 53)]
    world = World.ready(snapshot(tracked=[*others, *POOL]), is_primed=False)
    assert world.engine.unprimed == sorted(POOL) + others


def test_a_statement_that_agrees_changes_nothing() -> None:
    world = World.ready()
    world.fill(ALICE, "buy", 1)
    world.now_ms += 10_000
    world.prime(ALICE, as_of_ms=world.now_ms - 100, BTC=1)
    world.wait(RECONCILE_DELAY_MS / 1000)
    assert world.said(GapFound) == []
    assert world.said(TraderPrimed)[-1] == TraderPrimed(ALICE, T0 + 9_900)


@pytest.mark.parametrize("stated", [0, 1, 2])
def test_a_statement_taken_while_fills_are_on_their_way_is_no_gap(stated: int) -> None:
    # fills at T0+1000 and T0+1500; whether the statement's instant T0+1200 is a block's or the server's is not known
    world = World.ready()
    world.now_ms = T0 + 1_300
    world.prime(ALICE, as_of_ms=T0 + 1_200, BTC=stated)
    world.fill(ALICE, "buy", 1, at_ms=T0 + 1_000)
    world.fill(ALICE, "buy", 1, at_ms=T0 + 1_500)
    world.wait(4)
    assert world.said(GapFound) == []
    assert position(world) == 2


def test_a_position_that_vanished_is_a_close() -> None:
    world = World.ready()
    world.fill(ALICE, "buy", 1)
    world.now_ms += 60_000
    world.prime(ALICE, as_of_ms=world.now_ms - 50)
    world.wait(4)
    closed = world.said(EpisodeClosed)[-1].episode
    assert (closed.closed_reason, closed.learnable) == (ClosedReason.RECONCILED, False)
    assert [gap.kind for gap in world.said(GapFound)] == [GapKind.LEDGER]
    assert position(world) == 0
    assert world.said(VoteChanged)[-1].vote.user == ALICE


def test_a_missed_fill_restates_the_position_and_keeps_later_fills() -> None:
    world = World.ready()
    world.fill(ALICE, "buy", 1)
    world.now_ms += 60_000
    world.prime(ALICE, as_of_ms=world.now_ms, BTC=5)
    world.now_ms += 2_500
    world.fill(ALICE, "buy", 2)
    world.wait(4)
    assert position(world) == 7
    assert [gap.user for gap in world.said(EpisodeGap)] == [ALICE]
    world.fill(ALICE, "buy", 1, at_ms=world.now_ms - 10_000)  # was in the statement
    assert position(world) == 7


def test_an_account_with_a_gap_loses_its_votes_and_waits_for_priming() -> None:
    world = World.ready()
    world.fill(ALICE, "buy", 1)
    world.apply(GapReported(T0, T0 + 5, "no frames", T0 + 5, world.next_seq(), user=ALICE))
    assert world.engine.unprimed == [ALICE]
    assert world.engine.coins["BTC"].vote_set.votes == {}
    world.now_ms += 1000
    world.fill(ALICE, "buy", 1)
    assert position(world) == 1
    world.prime(ALICE, as_of_ms=world.now_ms - 1, BTC=1)
    assert position(world) == 2


def test_a_gap_is_of_a_coin_or_of_an_account() -> None:
    with pytest.raises(ValueError, match="of a coin or of a user"):
        GapReported(0, 1, "x", 1, 1)


def test_an_overdue_episode_is_closed_at_the_mark_by_its_timer() -> None:
    world = World.ready()
    world.fill(ALICE, "buy", 1)
    world.wait(168 * 3600 - 1)
    world.refresh(51_000)
    world.wait(1)
    closed = world.said(EpisodeClosed)[-1].episode
    assert (closed.closed_reason, closed.closed_at_ms) == (ClosedReason.TIMEOUT, T0 + 168 * HOUR_MS)
    assert closed.r_gross == pytest.approx(1.0)
    assert isinstance(world.outputs[-1], PositionRestated | NextTimer)


def test_own_channel_and_public_feed_give_one_fill() -> None:
    world = World.ready()
    trade = world.trade(ALICE, "buy", 1)
    fill = Fill(ALICE, "BTC", True, trade.px, trade.sz, trade.time_ms, trade.tid, True, fee=Decimal(1))
    world.apply(FillsReceived((fill, fill), T0, world.next_seq()))
    world.send(trade)
    assert position(world) == 1
    other = world.trade(ALICE, "buy", 1)
    world.send(other)
    again = replace(fill, tid=other.tid)
    world.apply(FillsReceived((again,), T0, world.next_seq()))
    assert position(world) == 2


def test_the_other_half_still_counts_when_one_came_through_its_own_channel() -> None:
    world = World.ready()
    trade = replace(world.trade(ALICE, "buy", 1), seller=BOB)
    fill = Fill(ALICE, "BTC", True, trade.px, trade.sz, trade.time_ms, trade.tid, True)
    world.apply(FillsReceived((fill,), T0, world.next_seq()))
    world.send(trade)
    assert (position(world), position(world, BOB)) == (1, -1)


def test_a_start_position_that_contradicts_the_ledger_is_a_gap() -> None:
    world = World.ready()
    fill = Fill(ALICE, "BTC", True, Decimal(50_000), Decimal(1), T0, 7, True, start_position=Decimal(3))
    world.apply(FillsReceived((fill,), T0, world.next_seq()))
    assert position(world) == 4
    assert [gap.kind for gap in world.said(GapFound)] == [GapKind.LEDGER]


def test_a_trader_who_leaves_the_followed_set_is_followed_until_flat() -> None:
    world = World.ready(snapshot(tracked=[trader(50)]))
    world.fill(trader(50), "buy", 1)
    world.activate(snapshot(version=2))
    assert world.said(TrackingChanged)[-1].removed == (trader(50),)
    assert trader(50) in world.engine.traders
    world.now_ms += 1000
    world.fill(trader(50), "sell", 1)
    assert trader(50) not in world.engine.traders
    world.activate(snapshot(tracked=[trader(50)], version=3))
    assert world.engine.unprimed == [trader(50)]


def test_an_engine_takes_only_its_own_coins() -> None:
    world = World.ready(engine=Engine("p0", frozenset({"ETH"})))
    world.fill(ALICE, "buy", 1)
    world.fill(ALICE, "buy", 1, 2_500, coin="ETH")
    assert list(world.engine.coins) == ["ETH"]
    assert [stored.fill.coin for stored in world.said(FillStored)] == ["ETH"]


def test_a_coin_that_leaves_the_universe_takes_no_more_votes() -> None:
    world = World.ready()
    world.fill(ALICE, "buy", 1, 2_500, coin="ETH")
    world.activate(snapshot(assets=[figures("BTC")], version=2))
    world.fill(BOB, "buy", 1, 2_500, coin="ETH")
    assert world.engine.coins["ETH"].vote_set.votes == {}
    assert position(world, BOB, "ETH") == 1


def restored_from(world: World) -> World:
    """A new process that reads back what the first one stored."""
    stored = world.said(FillStored)
    engine = Engine("p0")
    engine.restore(
        states={
            (user, coin): seat.state for user, held in world.engine.traders.items() for coin, seat in held.seats.items()
        },
        primed={user: held.primed_ms for user, held in world.engine.traders.items() if held.is_primed},
        recent_fills=[item.fill for item in stored],
        last_keys={"BTC": world.said(DecisionMade)[-1].key},
        followed=[follow("d0", "BTC", Direction.LONG, T0, 50_000.0, 0.02, 0.1)],
        signal_times_ms={"BTC": world.now_ms},
    )
    new = World(engine=engine, now_ms=world.now_ms, seq=world.seq, tid=world.tid)
    new.activate(snapshot())
    return new


def test_a_restart_goes_on_with_positions_votes_and_keys() -> None:
    world = World.ready()
    world.consensus(users=POOL[:2])
    new = restored_from(world)
    assert new.engine.coins["BTC"].vote_set == world.engine.coins["BTC"].vote_set
    assert new.engine.state_of(ALICE, "BTC") == world.engine.state_of(ALICE, "BTC")
    assert new.engine.unprimed == []
    new.refresh()
    new.now_ms += 1000
    new.fill(POOL[2], "buy")
    assert new.said(DecisionMade)[-1].decision.agreeing_count == 3
    assert new.engine.coins["BTC"].followed


def test_a_restart_repeats_neither_fills_nor_decisions() -> None:
    world = World.ready()
    world.consensus(users=POOL[:2])
    new = restored_from(world)
    new.refresh()
    for event in world.events[-4:]:
        new.apply(event)  # the journal is read again from before the crash
    assert new.said(FillStored) == []
    keys = {made.key for made in world.said(DecisionMade)}
    assert all(made.key not in keys or made.decision.gate("inputs_fresh").passed for made in new.said(DecisionMade))


def test_a_cooldown_survives_a_restart() -> None:
    world = World.ready()
    world.consensus(users=POOL[:2])
    new = restored_from(world)
    new.refresh()
    new.now_ms += 1000
    new.fill(POOL[2], "buy")
    decision = new.said(DecisionMade)[-1].decision
    assert [check.name for check in decision.risk_checks if check.passed is not True] == ["cooldown"]


def test_the_ledger_story_replays_identically() -> None:
    world = World.ready(is_primed=False)
    world.fill(ALICE, "buy", 1, at_ms=T0)
    world.prime(ALICE, as_of_ms=T0 - 1)
    world.prime(BOB, BTC=2)
    world.send(replace(world.trade(BOB, "sell", 3), buyer=ALICE))
    world.now_ms += 60_000
    world.prime(ALICE, as_of_ms=world.now_ms, BTC=1)
    world.wait(10)
    world.fill(ALICE, "sell", 1)
    world.wait(1000)
    assert replayed(world.events) == world.outputs
