"""A recorded minute of the whole exchange through the engine: every account followed, from public trades alone."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest
from engine_builders import World, figures, replayed, snapshot

from sigmapilot_core.adapters.hyperliquid.recording import Block, fills_by_user, read_blocks
from sigmapilot_core.domain.engine.events import PositionsPrimed, TradesReceived
from sigmapilot_core.domain.engine.outputs import DecisionMade, FillStored, VoteChanged
from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.venue import Position

RECORDED = Path(__file__).resolve().parents[4] / "shared" / "data" / "hl-node-fills-20251027" / "sample_data.json"
pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def blocks() -> list[Block]:
    if not RECORDED.is_file():
        pytest.skip("the recorded blocks of ../shared are absent")
    return list(read_blocks(RECORDED))


def by_seat(blocks: list[Block]) -> dict[tuple[str, str], list[Fill]]:
    found = defaultdict(list)
    for user, fills in fills_by_user(blocks).items():
        for fill in fills:
            found[user, fill.coin].append(fill)
    return dict(found)


def driven(blocks: list[Block]) -> World:
    """All accounts primed with the positions they had before the recording; the fifty busiest takers vote."""
    seats = by_seat(blocks)
    users = sorted({user for user, _ in seats})
    takers = sorted(users, key=lambda user: -sum(f.crossed for (u, _), fs in seats.items() if u == user for f in fs))
    coins = sorted({coin for _, coin in seats})
    world = World(now_ms=blocks[0].received_ms - 1000)
    world.activate(snapshot(takers[:50], [figures(coin) for coin in coins], users))
    for user in users:
        held = tuple(
            Position(coin, fills[0].start_position, fills[0].px)
            for (u, coin), fills in seats.items()
            if u == user and fills[0].start_position
        )
        world.apply(PositionsPrimed(user, held, blocks[0].time_ms - 1000, world.now_ms, world.next_seq()))
    for block in blocks:
        world.now_ms = block.received_ms
        for coin in sorted({trade.coin for trade in block.trades}):
            trades = tuple(trade for trade in block.trades if trade.coin == coin)
            world.apply(TradesReceived(trades, block.received_ms, world.next_seq()))
    return world


def test_positions_follow_from_public_trades_alone(blocks: list[Block]) -> None:
    world = driven(blocks)
    checked = 0
    for (user, coin), fills in by_seat(blocks).items():
        continued = all(a.start_position + a.signed_size == b.start_position for a, b in pairwise(fills))
        state = world.engine.state_of(user, coin)
        if not continued or state is None:
            continue
        last = fills[-1]
        assert last.start_position is not None
        assert state.ledger.position == last.start_position + last.signed_size, (user, coin)
        checked += 1
    assert checked > 1_000
    self_trades = sum(t.buyer == t.seller for b in blocks for t in b.trades)
    assert len(world.said(FillStored)) == 2 * (sum(len(block.trades) for block in blocks) - self_trades)


def test_the_recording_replays_identically_and_votes_are_cast(blocks: list[Block]) -> None:
    world = driven(blocks)
    assert len(world.said(VoteChanged)) > 20
    assert world.said(DecisionMade)
    assert replayed(world.events) == world.outputs
