"""Writes of the stream: each effect once, restarts read back what was written."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import stream_store
from sigmapilot_core.adapters.postgres.schema.stream import (
    dead_records,
    feed_gaps,
    stream_status,
    tracked_traders,
    trades,
)
from sigmapilot_core.adapters.postgres.stream_store import AppliedFill
from sigmapilot_core.domain.engine.outputs import EpisodeClosed, EpisodeOpened, FillStored
from tests.domain.engine.engine_builders import POOL, T0, World

ALICE, BOB = POOL[:2]


@pytest.fixture
def connection(rolled_back: sa.Connection) -> sa.Connection:
    return rolled_back


def lived() -> World:
    """Alice buys 2 and sells 3; Bob buys 1."""
    world = World.ready()
    for user, side, size in ((ALICE, "buy", 2), (ALICE, "sell", 3), (BOB, "buy", 1)):
        world.now_ms += 1000
        world.fill(user, side, size)
    return world


def applied(world: World) -> list[AppliedFill]:
    return [
        AppliedFill(o.fill, o.position_after, o.realised, o.action.value, o.episode_id, o.received_ms, o.seq)
        for o in world.said(FillStored)
    ]


def test_a_trade_is_stored_once_whatever_its_market(connection: sa.Connection) -> None:
    world = World.ready()
    found = [(world.trade(ALICE, "buy"), T0), (replace(world.trade(BOB, "sell"), coin="@107"), T0 + 1)]
    assert stream_store.store_trades(connection, found).count == 2
    assert stream_store.store_trades(connection, found).count == 0
    assert connection.execute(sa.select(trades.c.coin).order_by(trades.c.coin)).scalars().all() == ["@107", "BTC"]
    assert stream_store.store_trades(connection, []).count == 0


def test_fills_come_back_in_consumed_order_as_they_were(connection: sa.Connection) -> None:
    world = lived()
    found = applied(world)
    assert stream_store.store_fills(connection, found).count == 3
    assert stream_store.store_fills(connection, found).count == 0
    back = stream_store.recent_fills(connection, T0)
    assert back == [(item.fill, item.received_ms) for item in found]
    assert stream_store.recent_fills(connection, world.now_ms) == back[-1:]


def test_states_come_back_as_they_were(connection: sa.Connection) -> None:
    world = lived()
    states = {(u, c): seat.state for u, held in world.engine.traders.items() for c, seat in held.seats.items()}
    stream_store.store_positions(connection, states)
    stream_store.store_positions(connection, states)
    assert stream_store.read_positions(connection) == states


def test_a_closed_episode_takes_the_place_of_its_open_row(connection: sa.Connection) -> None:
    world = lived()
    opened = [o.episode for o in world.said(EpisodeOpened)]
    closed = [o.episode for o in world.said(EpisodeClosed)]
    stream_store.store_episodes(connection, opened, [])
    stream_store.store_episodes(connection, opened, closed)
    rows = connection.execute(sa.text("SELECT id, status FROM position_signals ORDER BY entry_ts, id")).all()
    assert {r.id: r.status for r in rows} == {e.id: "open" for e in opened} | {e.id: "closed" for e in closed}
    assert len(closed) == 1


def test_progress_moves_on_and_never_back(connection: sa.Connection) -> None:
    assert stream_store.read_progress(connection, "0") == -1
    for seq, expected in ((5, 5), (3, 5), (9, 9)):
        stream_store.store_progress(connection, "0", seq)
        assert stream_store.read_progress(connection, "0") == expected
    assert stream_store.read_progress(connection, "1") == -1


def test_who_is_followed_again_keeps_the_first_day(connection: sa.Connection) -> None:
    stream_store.store_tracked(connection, [ALICE, BOB], 1_000)
    stream_store.mark_primed(connection, {ALICE: 1_500, BOB: 1_500})
    stream_store.store_tracked(connection, [BOB], 2_000)
    assert stream_store.read_primed(connection) == {BOB: 1_500}
    stream_store.store_tracked(connection, [ALICE, BOB], 3_000)
    query = "SELECT address, tracked_since_ms, is_active FROM tracked_traders ORDER BY address"
    assert connection.execute(sa.text(query)).all() == [(ALICE, 1_000, True), (BOB, 1_000, True)]


def test_partitions_that_tell_of_the_same_accounts_in_any_order_do_not_wait_for_each_other(
    store_engine: sa.Engine,
) -> None:
    users = [f"0x{number:040x}" for number in range(200)]
    with store_engine.begin() as connection:
        stream_store.store_tracked(connection, users, 0)

    def tell(seed: int) -> None:
        order = random.Random(seed)
        for at_ms in range(1, 41):
            with store_engine.begin() as connection:
                stream_store.mark_primed(connection, dict.fromkeys(order.sample(users, len(users)), at_ms))

    with ThreadPoolExecutor(4) as workers:
        list(workers.map(tell, range(4)))  # a deadlock would be raised here
    with store_engine.begin() as connection:
        told = stream_store.read_primed(connection)
        connection.execute(sa.delete(tracked_traders))
    assert told == dict.fromkeys(users, 40)  # the newest stays, whoever told last


def gap(number: int, coin: str = "", user: str | None = None) -> dict[str, Any]:
    of = {"id": f"g{number}", "kind": "feed", "coin": coin, "address": user}
    return of | {"from_ms": T0, "to_ms": T0 + 1, "detail": "a hole"}


def test_a_gap_is_stored_once_and_closed_when_it_is_over(connection: sa.Connection) -> None:
    found = [gap(1, "BTC"), gap(2, "ETH"), gap(3, user=ALICE), gap(4, user=BOB), gap(1, "BTC")]
    stream_store.store_gaps(connection, found)
    stream_store.store_gaps(connection, found[:1])
    stream_store.close_gaps(connection, {"BTC"}, {BOB})
    left = connection.execute(sa.select(feed_gaps.c.id).where(feed_gaps.c.reconciled_at.is_(None)).order_by("id"))
    assert left.scalars().all() == ["g2", "g3"]
    stream_store.store_gaps(connection, [])
    stream_store.close_gaps(connection, (), ())


def test_a_record_that_failed_is_kept_once_with_its_bytes(connection: sa.Connection) -> None:
    row = {"partition": "0", "seq": 7, "kind": "live", "coin": "BTC", "payload": b"\x00{", "error": "no JSON"}
    stream_store.park(connection, [row])
    stream_store.park(connection, [row])
    stream_store.park(connection, [])
    table = dead_records
    assert connection.execute(sa.select(table.c.seq, table.c.payload, table.c.resolved_at)).all() == [
        (7, b"\x00{", None)
    ]


def test_status_rows_are_replaced_and_the_heartbeat_is_read_back(connection: sa.Connection) -> None:
    assert stream_store.read_heartbeat(connection) is None
    for at_ms in (1_000, 2_000):
        beat = {"value": True, "at_ms": at_ms, "age_limit_s": 15.0, "detail": "ready"}
        stream_store.store_status(connection, {"heartbeat": beat, "feed": beat | {"value": None}})
    assert stream_store.read_heartbeat(connection) == 2_000
    assert connection.execute(sa.select(sa.func.count()).select_from(stream_status)).scalar_one() == 2
    stream_store.store_asset_status(connection, T0, {"BTC": {"mid": 1.5}})
    stream_store.store_asset_status(connection, T0 + 1, {"BTC": {"mid": None}})
    assert connection.execute(sa.text("SELECT as_of_ms, status FROM asset_status")).all() == [(T0 + 1, {"mid": None})]
