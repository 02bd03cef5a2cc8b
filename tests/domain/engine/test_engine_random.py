"""Random traffic: the engine's views of one thing agree, and a replay says the same (spec 4.3, 4.4)."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
from engine_builders import POOL, T0, World, account, book, figures, replayed, snapshot, trader

from sigmapilot_core.domain.engine.events import (
    AccountUpdated,
    BookUpdated,
    CoinReconciled,
    GapReported,
    PositionsPrimed,
    SnapshotActivated,
    TradesReceived,
)
from sigmapilot_core.domain.engine.outputs import DecisionMade, FillStored, LateTrade
from sigmapilot_core.domain.engine.seen import WINDOW_MS
from sigmapilot_core.domain.events import Trade
from sigmapilot_core.domain.venue import Position

COINS = ["BTC", "ETH", *(f"C{number}" for number in range(10))]


def traffic(seed: int, n: int) -> World:
    """Frames of followed and other traders, late and repeated ones, snapshots, gaps, statements, and time."""
    rng = random.Random(seed)
    world = World.ready(snapshot(tracked=[trader(number) for number in range(50, 60)]))
    people = [*POOL, *(trader(number) for number in range(50, 60)), *(trader(number) for number in range(90, 95))]
    held: Counter[tuple[str, str]] = Counter()
    sent: list[Trade] = []
    for _ in range(n):
        world.wait(rng.choice([0, 0.2, 1, 5, 30]))
        what = rng.random()
        if what < 0.75:
            frame = []
            for _ in range(rng.randint(1, 4)):
                buyer, seller = rng.sample(people, 2)
                coin, size = rng.choice(["BTC", "ETH"]), Decimal(rng.randint(1, 9)) / 10
                at_ms = world.now_ms - rng.choice([0, 0, 0, 50, 2_000])
                trade = replace(world.trade(buyer, "buy", size, coin=coin, at_ms=at_ms), seller=seller)
                frame.append(trade)
                held[buyer, coin] += size  # type: ignore[assignment]
                held[seller, coin] -= size  # type: ignore[assignment]
            sent += frame
            world.send(*frame, *rng.sample(sent, min(len(sent), 2)) * rng.randint(0, 1))
        elif what < 0.85:
            world.apply(BookUpdated(book(rng.choice(["BTC", "ETH"]), 50_000, world.now_ms), world.next_seq()))
            world.apply(AccountUpdated(account(world.now_ms), world.now_ms, world.next_seq()))
        elif what < 0.92:
            _statement(world, rng, rng.choice(people), held)
        elif what < 0.95:
            user = rng.choice(POOL)
            world.apply(GapReported(world.now_ms, world.now_ms, "x", world.now_ms, world.next_seq(), user=user))
            _statement(world, rng, user, held)
        elif what < 0.98:
            world.apply(GapReported(world.now_ms, world.now_ms, "x", world.now_ms, world.next_seq(), coin="BTC"))
            world.apply(CoinReconciled("BTC", world.now_ms, world.next_seq()))
        else:
            pool = rng.sample(POOL, 4)
            model = snapshot(pool, tracked=[trader(number) for number in range(50, 60)], version=2)
            world.apply(SnapshotActivated(model, world.now_ms, world.next_seq()))
    return world


def _statement(world: World, rng: random.Random, user: str, held: Counter[tuple[str, str]]) -> None:
    """What the venue says of an account: right, some milliseconds ago."""
    positions = tuple(
        Position(coin, Decimal(held[user, coin]), Decimal(50_000)) for coin in ("BTC", "ETH") if held[user, coin]
    )
    world.apply(PositionsPrimed(user, positions, world.now_ms - rng.randint(0, 500), world.now_ms, world.next_seq()))


def assert_consistent(world: World) -> None:
    engine = world.engine
    for coin, state in engine.coins.items():
        seats = {user: held.seats[coin] for user, held in engine.traders.items() if coin in held.seats}
        assert dict(state.vote_set.votes) == {u: s.votes.vote for u, s in seats.items() if s.votes.vote is not None}
        for user, vote in state.vote_set.votes.items():
            assert engine.traders[user].member is not None
            assert seats[user].position * vote.direction.sign > 0
            assert vote.voted_at_ms + state.life_ms >= state.watermark_ms
        if state.vote_set.votes:
            assert world.deadline_ms is not None
            assert state.first_expiry_ms is not None
            assert world.deadline_ms <= state.first_expiry_ms


@pytest.mark.parametrize("seed", range(6))
def test_votes_positions_pool_and_timers_agree_and_a_replay_is_identical(seed: int) -> None:
    world = traffic(seed, 250)
    assert_consistent(world)
    assert len(world.said(DecisionMade)) > 10
    assert replayed(world.events) == world.outputs


@pytest.mark.parametrize("seed", range(3))
def test_no_fill_is_applied_twice_and_decision_ids_are_unique(seed: int) -> None:
    world = traffic(seed, 250)
    keys = [stored.fill.key for stored in world.said(FillStored)]
    assert len(keys) == len(set(keys))
    ids = [made.decision.id for made in world.said(DecisionMade)]
    assert len(ids) == len(set(ids))
    assert all(late.time_ms < late.newest_ms - WINDOW_MS for late in world.said(LateTrade))


@pytest.mark.slow
def test_one_core_takes_fifty_thousand_fills_a_second() -> None:
    """200 followed traders, 50 of them voters, in 12 coins; one trade in twenty has one of them in it."""
    rng = random.Random(1)
    followed = [trader(number) for number in range(1, 201)]
    others = [trader(number) for number in range(10_000, 15_000)]
    world = World.ready(snapshot(followed[:50], [figures(coin) for coin in COINS], followed))
    world.refresh(coins=COINS)
    sizes = [Decimal(number) / 100 for number in range(1, 200)]
    frames, tid, at_ms = [], 0, T0
    for _ in range(1_000):
        coin, at_ms, trades = rng.choice(COINS), at_ms + 2, []
        for _ in range(50):
            tid += 1
            one = rng.choice(followed if rng.random() < 0.05 else others)
            pair = [one, rng.choice(others)]
            rng.shuffle(pair)
            trades.append(Trade(coin, Decimal(50_000), rng.choice(sizes), at_ms, tid, "0x1", pair[0], pair[1], True))
        frames.append(TradesReceived(tuple(trades), at_ms, tid))
    started = time.process_time()
    for frame in frames:
        world.engine.apply(frame)
    rate = 2 * tid / (time.process_time() - started)
    assert world.engine.counters.fills > 2_000
    assert rate >= 50_000, f"{rate:.0f} fills a second"
