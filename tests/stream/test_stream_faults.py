"""Every fault of the feed, from the emulator through the whole stream: which counter rises, which hole is told, and
what a decision made meanwhile says of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from stream_harness import Running, publish, rows, running, trade, until, venue

from sigmapilot_core.adapters.emulator.faults import CATALOGUE, FaultOrder, Place
from sigmapilot_core.adapters.hyperliquid.liveness import LivenessParams
from sigmapilot_core.domain.events import Trade
from tests.domain.engine.engine_builders import POOL

pytestmark = pytest.mark.slow

EPOCH_MS = 20_000
"""Each trial has so much of the venue's time; its acts begin in the middle."""

LONGEST_LIFE_MS = 300_000
"""Of a vote: the window of 120 s, a quarter more, twice as long while little moves."""

QUICK = LivenessParams(ping_every_s=0.3, pong_deadline_s=0.6, backoff_base_s=0.02, backoff_cap_s=0.05,
                       refused_backoff_s=0.1)  # fmt: skip
UNKNOWN, PASSED, FAILED = None, True, False


@dataclass
class Trials:
    """A stream whose traders act once a trial: three pool members, one after another."""

    live: Running
    url: str
    number: int = 0
    before: dict[str, int] = field(default_factory=dict)

    async def acts(self, *faults: FaultOrder, wait_ms: int = 0) -> bool | None:
        """Faults on, the acts of a trial, faults off; the verdict of `inputs_fresh` of the last decision on them."""
        begin = self.number * EPOCH_MS
        await self.live.play(begin + 5_000)
        self.before = dict(self.live.stream.feed.status().counts)
        for order in faults:
            await self.live.emulator.order_fault(order)
        await self.live.play(begin + 13_000 + wait_ms)
        for order in faults:
            self.live.emulator.faults.switch_off(order.name)
        self.number += 1
        found = rows(self.url, "SELECT gates FROM decision_logs WHERE decided_at >= to_timestamp(:at / 1000.0) "
                               "ORDER BY decided_at DESC, seq DESC LIMIT 1", at=self._start_ms(begin))  # fmt: skip
        assert found, "no decision was made"
        return next(gate["passed"] for gate in orjson.loads(found[0].gates) if gate["name"] == "inputs_fresh")

    async def rest(self) -> None:
        """Until every hole is reconciled; the next trial begins on clean ground."""
        for at_ms in range(self.live.emulator.parts().venue.now_ms + 1_000, 10**15, 1_000):
            await self.live.play(at_ms - self._start_ms(0) + 9_000)
            coins = self.live.stream.worker.engine.coins
            if all(state.unknown_reason is None for state in coins.values()):
                break
        begin = self.live.emulator.parts().venue.now_ms - self._start_ms(0)
        self.number = max(self.number, begin // EPOCH_MS + 1)

    def rise(self, what: str) -> int:
        """How much a count of the feed rose since the fault."""
        return self.live.stream.feed.status().counts.get(what, 0) - self.before.get(what, 0)

    def gaps(self) -> list[Any]:
        return rows(self.url, "SELECT kind, coin FROM feed_gaps ORDER BY detected_at")

    def _start_ms(self, after_ms: int) -> int:
        return trade(0, after_ms).time_ms


def script(trials: int) -> list[Trade]:
    """Three acts a trial, in turns buying and selling."""
    found = []
    for n in range(trials):
        side = "buy" if n % 2 == 0 else "sell"
        found += [trade(100 * n + i, n * EPOCH_MS + 9_000 + 700 * i, POOL[i], side) for i in range(3)]
    return found


@asynccontextmanager
async def trials(home: Path, url: str, trades: int | Sequence[Trade], **changes: Any) -> AsyncIterator[Trials]:
    """A stream over so many trials, or over other trades."""
    publish(url)
    async with venue(*(script(trades) if isinstance(trades, int) else trades)) as (emulator, at):
        options = {"liveness": QUICK} | changes
        async with running(home, url, emulator, at, is_virtual=False, **options) as live:
            await live.ready()
            yield Trials(live, url)


FRAMES: Sequence[tuple[str, dict[str, Any], str, bool | None]] = (
    ("duplicate_trades", {}, "duplicates", PASSED),
    ("out_of_order", {}, "trades", PASSED),
    ("empty_frame", {}, "empty", PASSED),
    ("unknown_channel", {}, "unknown", PASSED),
    ("unknown_coin", {}, "trades", PASSED),
    ("null_fields", {}, "trades", PASSED),
    ("new_enum_values", {}, "trades", PASSED),
    ("error_frame", {"text": "Internal error"}, "errors", PASSED),
    ("replay_snapshot", {"channel": "trades"}, "trades", PASSED),
    ("freeze_books", {"coin": "BTC"}, "trades", FAILED),
    ("clock_skew", {"skew_s": 30.0}, "trades", FAILED),
    ("malformed_json", {}, "malformed", UNKNOWN),
)


async def test_faults_of_frames_are_counted_and_judged(tmp_path: Path, pg_url: str) -> None:
    async with trials(tmp_path, pg_url, len(FRAMES) + 10) as run:
        assert await run.acts() is PASSED
        for name, values, counter, verdict in FRAMES:
            found = await run.acts(FaultOrder(name, **values))
            assert (name, found, run.rise(counter) > 0) == (name, verdict, True)
        # only the frame that may have held trades is a hole, in every coin of its connection
        assert {gap.coin for gap in run.gaps() if gap.kind == "feed"} == {"BTC"}
        offset = run.live.world.metrics.sigmapilot_venue_clock_offset_seconds._value.get()
        assert abs(offset) < 60
    keys = rows(pg_url, "SELECT count(*), count(DISTINCT (address, coin, time_ms, tid)) FROM fills")
    assert keys == [(3 * (len(FRAMES) + 1), 3 * (len(FRAMES) + 1))]


@pytest.mark.parametrize(
    "name", ["drop_tcp", "close_1000", "close_1001", "close_1006", "close_1008", "close_1012", "half_open"]
)
async def test_a_lost_connection_comes_back_without_a_hole_and_nothing_is_decided_meanwhile(
    tmp_path: Path, pg_url: str, name: str
) -> None:
    async with trials(tmp_path, pg_url, 3) as run:
        assert await run.acts() is PASSED
        await run.live.play(EPOCH_MS + 1_000)
        losses = sum(link.losses for link in run.live.stream.feed.status().connections)
        await run.live.emulator.order_fault(FaultOrder(name))
        feed = run.live.stream.feed

        def is_back() -> bool:
            status = feed.status()
            return status.is_live and sum(link.losses for link in status.connections) > losses

        await until("it is noticed and mended", is_back)
        assert await run.acts() is PASSED
        assert run.gaps() == []  # the replay reached back to what was seen
        assert run.rise("duplicates") >= 0
        assert sum(link.connects for link in feed.status().connections) > 3
    assert rows(pg_url, "SELECT count(*) FROM fills") == [(6,)]


async def test_a_coin_whose_subscription_is_not_answered_is_not_heard(tmp_path: Path, pg_url: str) -> None:
    async with trials(tmp_path, pg_url, 3) as run:
        assert await run.acts() is PASSED
        await run.live.emulator.order_fault(FaultOrder("no_ack"))
        await run.live.emulator.order_fault(FaultOrder("freeze_channel", channel="trades"))
        await run.live.emulator.order_fault(FaultOrder("close_1012"))
        feed = run.live.stream.feed
        await until("it is connected again", lambda: all(link.state != "waiting" for link in feed.status().connections))
        await run.live.play(EPOCH_MS + 1_000)
        parts = [feed.feed.coins_of(name) for name in ("coins-0", "coins-1")]
        # the replay proves the one that has traded; the other is not heard, although its connection lives
        assert sorted(parts) == [([], ["ETH"]), (["BTC"], [])]
        coins = run.live.stream.worker.engine.coins
        await until("the decision step knows", lambda: not coins["ETH"].is_heard)
        assert coins["ETH"].feed_last_frame_ms is None
        assert coins["BTC"].is_heard
        run.live.emulator.faults.switch_off("freeze_channel")
        run.live.emulator.faults.switch_off("no_ack")


async def test_answers_that_come_late_are_answers(tmp_path: Path, pg_url: str) -> None:
    async with trials(tmp_path, pg_url, 3) as run:
        assert await run.acts() is PASSED
        feed = run.live.stream.feed.feed
        await run.live.emulator.order_fault(FaultOrder("delay_acks", delay_s=0.3))
        await run.live.emulator.order_fault(FaultOrder("close_1012"))
        await until("all are lost", lambda: all(link.losses for link in feed.status().connections))
        await until("it is answered late", lambda: feed.heard()[0] == frozenset({"BTC", "ETH"}))
        assert await run.acts() is PASSED
        assert run.gaps() == []


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("missing_trades", "only_fills"),
        ("freeze_channel", "only_fills"),
        ("missing_single_trades", "only_fills"),
        ("altered_trades", "wrong"),
    ],
)
async def test_trades_that_never_come_or_come_wrong_are_a_hole_that_the_lane_of_a_voter_shows(
    tmp_path: Path, pg_url: str, name: str, verdict: str
) -> None:
    async with trials(tmp_path, pg_url, 3) as run:
        assert await run.acts() is PASSED
        values = {"coin": "BTC"} | ({"channel": "trades"} if name == "freeze_channel" else {})
        await run.acts(FaultOrder(name, **values))
        await run.live.play(2 * EPOCH_MS + 4_000)
        assert run.live.world.metrics.sigmapilot_vip_fills_total.labels(verdict)._value.get() == 3
        assert ("feed", "BTC") in [tuple(gap) for gap in run.gaps()]
    assert rows(pg_url, "SELECT count(*) FROM fills") == [(6,)]  # the lane brought them, each once


async def test_late_trades_are_applied_and_too_old_to_act_on(
    tmp_path: Path, pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # whose turn in the rolling sample it is hangs on real time, and what the venue states overtakes what is late
    monkeypatch.setattr("sigmapilot_stream.run.ROLLING_S", None)
    bought = [trade(i, 9_000 + 700 * i, POOL[i]) for i in range(3)]
    added = [trade(100 + i, EPOCH_MS + 9_000 + 700 * i, POOL[i]) for i in range(3)]
    async with trials(tmp_path, pg_url, [*bought, *added]) as run:
        assert await run.acts() is PASSED
        await run.live.play(EPOCH_MS + 5_000)
        await run.live.emulator.order_fault(FaultOrder("delay_trades", coin="BTC"))
        await run.live.play(EPOCH_MS + 11_000)
        await run.live.play(EPOCH_MS + 11_000 + LONGEST_LIFE_MS, step_ms=5_000)
        assert run.live.stream.feed.status().counts["trades"] == 3
        run.live.emulator.faults.switch_off("delay_trades")
        await run.live.play(EPOCH_MS + 13_000 + LONGEST_LIFE_MS)
        assert run.live.stream.feed.status().counts["trades"] == 6
    assert rows(pg_url, "SELECT count(*) FROM fills") == [(6,)]
    since = f"decided_at >= to_timestamp({(added[0].time_ms + LONGEST_LIFE_MS) / 1000})"
    decided = rows(pg_url, f"SELECT decision_type, gates FROM decision_logs WHERE {since}")
    failed = [{gate["name"] for gate in orjson.loads(row.gates) if not gate["passed"]} for row in decided]
    assert decided, "votes are heard, late as they are"
    assert all(row.decision_type == "skip" for row in decided)
    assert all("freshness" in names for names in failed)


@pytest.mark.parametrize(
    "name",
    ["http_429", "http_422", "http_502", "http_503", "http_not_json", "http_truncated", "http_disconnect"],
)
async def test_a_hole_stays_open_while_the_venue_does_not_say_what_accounts_hold(
    tmp_path: Path, pg_url: str, name: str
) -> None:
    async with trials(tmp_path, pg_url, 4) as run:
        await run.live.emulator.order_fault(FaultOrder(name, request="clearinghouseState"))
        verdict = await run.acts(FaultOrder("malformed_json"), wait_ms=6_000)
        assert verdict is UNKNOWN
        assert run.gaps()
        assert rows(pg_url, "SELECT count(*) FROM feed_gaps WHERE kind = 'feed' AND reconciled_at IS NOT NULL") == [
            (0,)
        ]
        limiter = run.live.world.limiter
        if name == "http_429":
            await until("the request is refused and everyone pauses", lambda: limiter.status().throttled > 0)
        else:
            assert limiter.status().throttled == 0


@pytest.mark.parametrize("name", ["http_slow", "http_late"])
async def test_an_answer_that_takes_its_time_closes_the_hole_and_nothing_is_counted_twice(
    tmp_path: Path, pg_url: str, name: str
) -> None:
    """`http_late` is the hard one: what the answer says was true when it was asked, and trades have come since."""
    async with trials(tmp_path, pg_url, 12) as run:
        assert await run.acts() is PASSED
        await run.live.emulator.order_fault(FaultOrder(name, request="clearinghouseState", delay_s=0.3))
        await run.acts(FaultOrder("malformed_json"))
        assert {tuple(gap) for gap in run.gaps() if gap.kind == "feed"} == {("feed", "BTC")}
        await run.rest()
        run.live.emulator.faults.switch_off(name)
        assert await run.acts() is PASSED
        unclosed = "SELECT count(*) FROM feed_gaps WHERE reconciled_at IS NULL"
        await until("every hole is closed in the database", lambda: rows(run.url, unclosed) == [(0,)])
        seats = [run.live.stream.worker.engine.traders[user].seats["BTC"] for user in POOL[:3]]
        venue_of = run.live.emulator.parts().venue
        told = [venue_of.account(seat.user).positions for seat in seats]
        assert [seat.position for seat in seats] == [sum(p.size for p in positions) for positions in told]
    keys = rows(pg_url, "SELECT count(*), count(DISTINCT (address, coin, time_ms, tid)) FROM fills")
    assert keys[0][0] == keys[0][1]


def test_every_fault_that_concerns_the_feed_has_a_trial_here() -> None:
    here = Path(__file__).read_text() + Path(__file__).with_name("test_stream_priming.py").read_text()
    of_feed = [s.name for s in CATALOGUE.values() if s.place in (Place.CONNECTION, Place.FRAMES, Place.ACKS)]
    of_feed += [name for name in CATALOGUE if name.startswith("http_")]
    of_feed += ["leader_liquidated"]
    of_prices = {"shift_books", "widen_books"}  # what they do is told by the gates on price and cost
    assert [name for name in of_feed if f'"{name}"' not in here and name not in of_prices] == []
