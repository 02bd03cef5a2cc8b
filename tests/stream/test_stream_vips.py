"""The VIP lane: who gets one, what two lanes say of each other, and that no fill counts twice."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_harness import Running, asked, publish, rows, running, trade, until, venue

from sigmapilot_core.adapters.emulator.faults import FaultOrder
from sigmapilot_core.adapters.hyperliquid.messages import TradesMessage, UserFillsMessage
from sigmapilot_core.adapters.hyperliquid.received import FrameKind, ReceivedFrame
from sigmapilot_core.domain.events import Fill, Trade
from sigmapilot_stream.services import vips
from sigmapilot_stream.services.vips import Comparison, Verdict
from tests.domain.engine.engine_builders import POOL, T0, snapshot, trader

VIP, OTHER = POOL[0], POOL[1]
COINS, USERS = frozenset({"BTC"}), frozenset({VIP})


def one(number: int, user: str = VIP, side: str = "buy") -> Trade:
    return trade(number, 1_000 * number, user, side)


def half(of: Trade, user: str = VIP, **changes: object) -> Fill:
    is_buy = of.buyer == user
    fill = Fill(user, of.coin, is_buy, of.px, of.sz, of.time_ms, of.tid, crossed=True, hash=of.hash)
    return replace(fill, **changes)  # type: ignore[arg-type]


def public(*trades: Trade, at_ms: int = 0, kind: FrameKind = FrameKind.LIVE) -> ReceivedFrame:
    return ReceivedFrame(T0 + at_ms, "coins-0", "trades", b"", TradesMessage(trades), kind)


def own(*fills: Fill, at_ms: int = 0, kind: FrameKind = FrameKind.LIVE) -> ReceivedFrame:
    message = UserFillsMessage(VIP, fills, is_snapshot=kind is FrameKind.HISTORY)
    return ReceivedFrame(T0 + at_ms, "users", "userFills", b"", message, kind)


def verdicts(*frames: ReceivedFrame, coins: frozenset[str] = COINS, users: frozenset[str] = USERS) -> list[str]:
    lanes = Comparison(USERS)
    found = [finding for frame in frames for finding in lanes.see(frame, coins, users)]
    found += lanes.overdue(T0 + vips.PATIENCE_MS + 1_000)
    assert lanes.overdue(T0 + vips.PATIENCE_MS + 2_000) == []  # each is told once
    return [finding.verdict.value for finding in found]


def test_a_fill_that_both_lanes_bring_is_matched_whichever_comes_first() -> None:
    assert verdicts(public(one(1)), own(half(one(1)))) == ["matched"]
    assert verdicts(own(half(one(1))), public(one(1))) == ["matched"]


@pytest.mark.parametrize("changes", [{"px": Decimal(1)}, {"sz": Decimal(2)}])
def test_another_price_or_size_is_wrong(changes: dict[str, Decimal]) -> None:
    assert verdicts(public(one(1)), own(half(one(1), **changes))) == ["wrong"]


def test_what_one_lane_alone_brings_is_told_once_its_time_is_over() -> None:
    assert verdicts(own(half(one(1)))) == ["only_fills"]
    assert verdicts(public(one(1))) == ["only_trades"]
    assert verdicts(public(replace(one(1), hash="0x" + "0" * 64))) == ["twap"]


def test_what_was_not_heard_or_is_history_is_not_owed() -> None:
    assert verdicts(own(half(one(1))), coins=frozenset()) == []
    assert verdicts(public(one(1)), users=frozenset()) == []
    assert verdicts(own(half(one(1)), kind=FrameKind.HISTORY)) == []
    assert verdicts(public(one(1), kind=FrameKind.HISTORY)) == []
    assert verdicts(public(one(1, OTHER))) == []


def test_history_still_matches_what_the_other_lane_brings() -> None:
    assert verdicts(public(one(1), kind=FrameKind.HISTORY), own(half(one(1)))) == ["matched"]
    assert verdicts(own(half(one(1)), kind=FrameKind.HISTORY), public(one(1))) == ["matched"]


def test_what_is_kept_is_bounded_by_time() -> None:
    lanes = Comparison(USERS)
    lanes.see(public(*(one(n) for n in range(1, 100))), COINS, USERS)
    lanes.overdue(T0 + 700_000)
    assert not lanes._said


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(1, 30)), st.sets(st.integers(1, 30)), st.randoms(use_true_random=False))
def test_every_fill_gets_exactly_one_verdict_in_any_order(told: set[int], filled: set[int], rng: random.Random) -> None:
    frames = [public(one(n)) for n in told] + [own(half(one(n))) for n in filled]
    rng.shuffle(frames)
    found = verdicts(*frames)
    assert found.count("matched") == len(told & filled)
    assert found.count("only_fills") == len(filled - told)
    assert found.count("only_trades") == len(told - filled)
    assert len(found) == len(told | filled)


def test_pinned_accounts_come_first_then_the_best_of_the_pool_up_to_the_limit() -> None:
    pool = [trader(n) for n in range(1, 31)]
    assert vips.chosen(snapshot(pool)) == pool[:10]
    pinned = [trader(99), trader(3)]
    assert vips.chosen(snapshot(pool), pinned) == [trader(3), trader(99), *(pool[:2] + pool[3:9])]


# the whole stream


def counted(live: Running) -> dict[str, float]:
    """Fills by the verdict of both lanes."""
    count = live.world.metrics.sigmapilot_vip_fills_total
    return {v.value: n for v in Verdict if (n := count.labels(v.value)._value.get())}


async def test_two_lanes_feed_one_ledger_and_no_fill_counts_twice(tmp_path: Path, pg_url: str) -> None:
    publish(pg_url)
    acts = [trade(n, 300 * n, POOL[n % 5], "buy" if n % 3 else "sell") for n in range(1, 21)]
    acts += [replace(trade(30, 6_300, POOL[0]), seller=POOL[1])]  # both sides have a lane
    async with venue(*acts) as (emulator, url), running(tmp_path, pg_url, emulator, url, is_virtual=False) as live:
        await live.ready()
        assert live.stream.feed.feed.heard()[1] == frozenset(POOL)
        await live.play(7_000)
        assert counted(live) == {"matched": 22}
    assert rows(pg_url, "SELECT count(*), count(DISTINCT (address, coin, time_ms, tid)) FROM fills") == [(22, 22)]
    assert rows(pg_url, "SELECT count(*) FROM feed_gaps") == [(0,)]
    assert rows(pg_url, "SELECT value FROM stream_status WHERE key = 'lanes'")[0].value["value"] == 5


@pytest.mark.slow
async def test_a_fill_the_public_feed_lost_is_applied_told_as_a_hole_and_reconciled(
    tmp_path: Path, pg_url: str
) -> None:
    publish(pg_url)
    acts = [trade(1, 1_000, POOL[0]), trade(2, 2_000, POOL[0])]
    async with venue(*acts) as (emulator, url), running(tmp_path, pg_url, emulator, url, is_virtual=False) as live:
        await live.ready()
        await live.play(1_500)
        await emulator.order_fault(FaultOrder("missing_trades", coin="BTC"))
        await live.play(2_500)
        emulator.faults.switch_off("missing_trades")
        await live.play(13_000)
        assert counted(live) == {"matched": 1, "only_fills": 1}
        await until("the coin is unknown", lambda: rows(pg_url, "SELECT 1 FROM feed_gaps WHERE coin = 'BTC'"))
        # the service looks for holes by the machine's time and waits by the feed's: a clock played to its end before
        # that look would stand still during the wait
        await until("the pool was asked", lambda: asked(live, "gap") == len(POOL))
        assert live.stream.worker.engine.coins["BTC"].unknown_reason is not None
        await live.play(25_000)
        await until("it is reconciled", lambda: live.stream.worker.engine.coins["BTC"].unknown_reason is None)
    assert [r.tid for r in rows(pg_url, "SELECT tid FROM fills ORDER BY tid")] == [1, 2]
    assert rows(pg_url, "SELECT 1 FROM feed_gaps WHERE reconciled_at IS NULL") == []
