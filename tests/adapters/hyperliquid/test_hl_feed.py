"""The feed hears everything wanted, survives every loss, tells what it missed, and leaves nothing behind."""

import asyncio
import random
from contextlib import asynccontextmanager
from decimal import Decimal

import orjson
import pytest
from hl_venue import Peer, Venue, running_venue, within

from sigmapilot_core.adapters.hyperliquid import encode
from sigmapilot_core.adapters.hyperliquid import subscriptions as want
from sigmapilot_core.adapters.hyperliquid.connection import ConnectionParams
from sigmapilot_core.adapters.hyperliquid.feed import Feed, FeedParams
from sigmapilot_core.adapters.hyperliquid.liveness import LivenessParams
from sigmapilot_core.adapters.hyperliquid.messages import GapMessage, LinkMessage, MalformedMessage, TradesMessage
from sigmapilot_core.adapters.hyperliquid.pacing import LoopPace, ManualPace
from sigmapilot_core.adapters.hyperliquid.received import FrameKind, ReceivedFrame, replayed
from sigmapilot_core.domain.events import Book, Fill, Level, Trade

BUYER, SELLER = "0x" + "11" * 20, "0x" + "22" * 20
QUICK = LivenessParams(backoff_base_s=0.01, backoff_cap_s=0.02)


def trade(tid: int, at: int | None = None, coin: str = "BTC") -> Trade:
    return Trade(coin, Decimal(100), Decimal(1), at or 1000 + tid, tid, "0x0", BUYER, SELLER, True)


class Now:
    def now_ms(self) -> int:
        return 5000


@asynccontextmanager
async def feeding(venue: Venue, wanted, pace=None, liveness=QUICK, **options):
    before = asyncio.all_tasks()
    link = ConnectionParams(venue.url, close_timeout_s=0.2, liveness=liveness)
    params = FeedParams(link, **({"coin_connections": 1, "sends_per_s": 1000.0} | options))
    feed = Feed(params, Now(), pace or LoopPace(), random.Random(3))
    feed.want(wanted)
    async with feed:
        yield feed, Stream(feed)
    left = {t for t in asyncio.all_tasks() - before if "feed" in t.get_name() or "coins" in t.get_name()}
    assert not left
    await asyncio.gather(*(within(peer.socket.wait_closed()) for peer in venue.peers))


class Stream:
    """Frames of a feed, one awaited at a time."""

    def __init__(self, feed: Feed) -> None:
        self.frames = feed.frames()
        self.links: list[LinkMessage] = []

    async def next(self) -> ReceivedFrame:
        """The next frame that is not a note about a connection."""
        while True:
            frame = await within(anext(self.frames))
            if not isinstance(frame.parsed, LinkMessage):
                return frame
            self.links.append(frame.parsed)

    async def link(self) -> LinkMessage:
        while True:
            frame = await within(anext(self.frames))
            if isinstance(frame.parsed, LinkMessage):
                return frame.parsed


def tids(frame: ReceivedFrame) -> list[int]:
    assert isinstance(frame.parsed, TradesMessage)
    return [t.tid for t in frame.parsed.trades]


def is_subscribe(request: dict) -> bool:
    return request["method"] == "subscribe"


async def test_the_first_frame_after_a_subscribe_is_history_and_the_next_is_live():
    async with running_venue() as venue:
        venue.replay["BTC"] = [trade(1), trade(2)]
        async with feeding(venue, [want.trades("BTC")]) as (_, stream):
            first = await stream.next()
            assert (first.kind, tids(first), first.connection) == (FrameKind.HISTORY, [1, 2], "coins-0")
            await venue.peers[0].send(encode.trades_frame([trade(3)]))
            second = await stream.next()
            assert (second.kind, tids(second), second.received_ms) == (FrameKind.LIVE, [3], 5000)
            assert orjson.loads(second.raw)["channel"] == second.channel == "trades"


async def test_a_dropped_connection_is_opened_again_and_an_overlapping_replay_is_no_gap():
    async with running_venue() as venue:
        venue.replay["BTC"] = [trade(1), trade(2)]
        async with feeding(venue, [want.trades("BTC")]) as (feed, stream):
            await stream.next()
            venue.replay["BTC"] = [trade(2), trade(3)]
            venue.peers[0].drop()
            again = await stream.next()
            assert (again.kind, tids(again)) == (FrameKind.HISTORY, [3])
            assert feed.status().counts["duplicates"] == 1
            assert feed.status().counts["gaps"] == 0
            assert [link.is_up for link in stream.links] == [True, False, True]
            assert stream.links[1].coins == ("BTC",)


async def test_a_replay_that_does_not_reach_back_is_told_as_a_gap_before_its_trades():
    async with running_venue() as venue:
        venue.replay["BTC"] = [trade(1)]
        async with feeding(venue, [want.trades("BTC")]) as (_, stream):
            await stream.next()
            venue.replay["BTC"] = [trade(8), trade(9)]
            venue.peers[0].drop()
            gap = await stream.next()
            assert gap.kind is FrameKind.GAP
            assert gap.parsed == GapMessage("BTC", 1001, 1008)
            assert tids(await stream.next()) == [8, 9]


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1012])
async def test_a_connection_the_venue_closes_is_opened_again(code):
    liveness = LivenessParams(backoff_base_s=0.01, backoff_cap_s=0.02, refused_backoff_s=0.05)
    async with running_venue() as venue, feeding(venue, [want.trades("BTC")], liveness=liveness) as (feed, stream):
        assert (await stream.link()).is_up
        await venue.peers[0].socket.close(code, "Inactive")
        down = await stream.link()
        assert (down.is_up, down.reason) == (False, f"closed {code} Inactive")
        assert feed.coins_of("coins-0") == ([], ["BTC"])
        assert (await stream.link()).is_up
        assert feed.coins_of("coins-0") == (["BTC"], [])
        assert len(venue.peers) == 2
        assert feed.status().connections[0].losses == 1


async def test_a_silent_half_open_connection_is_noticed_by_its_missing_pong():
    pace = ManualPace()
    async with running_venue() as venue, feeding(venue, [want.trades("BTC")], pace) as (_, stream):
        await _until_asked(venue, pace, 1)
        await stream.link()
        venue.peers[0].is_silent = True
        await pace.advance(21)
        await venue.until(lambda: bool(venue.asked("ping")))
        await pace.advance(11)
        assert (await stream.link()).reason.startswith("no pong")
        await _until_asked(venue, pace, 2)
        assert len(venue.peers) == 2


async def _until_asked(venue: Venue, pace: ManualPace, subscribes: int, step: float = 0.1) -> None:
    """Move the clock until the venue has been asked so often."""

    async def move() -> None:
        while len(venue.asked("subscribe")) < subscribes:
            await pace.advance(step)
            await asyncio.sleep(0.001)

    await within(move())


async def test_pings_keep_an_idle_connection_alive():
    pace = ManualPace()
    async with running_venue() as venue, feeding(venue, [want.trades("BTC")], pace) as (feed, stream):
        await _until_asked(venue, pace, 1)
        await stream.link()
        for pings in (1, 2, 3):
            await pace.advance(21)
            await venue.until(lambda pings=pings: len(venue.asked("ping")) >= pings)
            await _answered(feed)
        assert len(venue.peers) == 1


async def _until(condition) -> None:
    """Wait until the feed has read what makes the condition true."""

    async def look() -> None:
        while not condition():
            await asyncio.sleep(0.001)

    await within(look())


async def _answered(feed: Feed) -> None:
    await _until(lambda: feed.status().connections[0].unanswered_ping_s is None)


async def test_a_frozen_channel_ends_the_connection_although_pongs_arrive():
    pace = ManualPace()
    liveness = LivenessParams(backoff_base_s=0.01, backoff_cap_s=0.02, stale_after_s={"bbo": 30.0})
    async with running_venue() as venue, feeding(venue, [want.bbo("BTC")], pace, liveness) as (feed, stream):
        await _until_asked(venue, pace, 1)
        await stream.link()
        await pace.advance(21)
        await venue.until(lambda: bool(venue.asked("ping")))
        await _answered(feed)
        await pace.advance(15)
        assert (await stream.link()).reason.startswith("bbo silent")


async def test_a_subscribe_without_an_answer_is_sent_again_and_then_given_up_for_a_minute_without_ending_the_others():
    pace = ManualPace()
    async with running_venue() as venue:
        venue.answer = lambda _peer, request: is_subscribe(request) and request["subscription"]["coin"] == "NEW"
        async with feeding(venue, [want.trades("BTC"), want.trades("NEW")], pace) as (feed, stream):
            await _until_asked(venue, pace, 2)
            await _until(lambda: feed.status().connections[0].acked == 1)
            for sent in (3, 4):
                await pace.advance(12)
                await venue.until(lambda sent=sent: len(venue.asked("subscribe")) == sent)
            await pace.advance(12)
            assert (await stream.link()).is_up
            status = feed.status().connections[0]
            assert status.refused == {"NEW/trades": "no answer"}
            assert (status.acked, len(venue.peers)) == (1, 1)
            assert feed.coins_of("coins-0") == (["BTC"], ["NEW"])
            venue.answer = lambda _peer, _request: False
            await pace.advance(49)
            await venue.until(lambda: len(venue.asked("ping")) >= 2)
            await pace.advance(13)  # a minute after it was given up it is asked for again
            await venue.until(lambda: len(venue.asked("subscribe")) == 5)
            await _until(lambda: feed.coins_of("coins-0") == (["BTC", "NEW"], []))
            assert len(venue.peers) == 1


async def test_a_venue_that_never_says_anything_is_left():
    pace = ManualPace()
    async with running_venue() as venue:

        def mute(peer: Peer, _request: dict) -> bool:
            peer.is_silent = True
            return True

        venue.answer = mute
        async with feeding(venue, [want.trades("BTC")], pace) as (_, stream):
            await _until_asked(venue, pace, 1)
            await pace.advance(60)
            down = await stream.link()
            assert not down.is_up
            await _until_asked(venue, pace, 2)
            assert len(venue.peers) >= 2


async def test_too_many_users_refuses_the_account_that_waits_and_keeps_the_rest():
    users = ["0x" + f"{n:040x}" for n in range(3)]
    async with running_venue() as venue:

        def limited(peer: Peer, request: dict) -> bool:
            if is_subscribe(request) and request["subscription"]["user"] == users[1]:
                text = orjson.dumps(encode.error_frame("Cannot track more than 15 total users.")).decode()
                asyncio.get_running_loop().create_task(peer.raw(text))
                return True
            return False

        venue.answer = limited
        async with feeding(venue, [want.user_fills(u) for u in users]) as (feed, stream):
            assert (await stream.link()).is_up
            status = feed.status().connections[-1]
            assert (status.name, status.acked) == ("users", 2)
            assert status.refused == {f"userFills/{users[1]}": "Cannot track more than 15 total users."}
            assert feed.status().last_error.startswith("Cannot track")


async def test_already_subscribed_counts_as_an_answer_and_invalid_as_a_refusal():
    async with running_venue() as venue:

        def odd(peer: Peer, request: dict) -> bool:
            echo = orjson.dumps(request["subscription"]).decode()
            coin = request["subscription"]["coin"]
            text = f"Already subscribed: {echo}" if coin == "BTC" else f"Invalid subscription {echo}"
            asyncio.get_running_loop().create_task(peer.send(encode.error_frame(text)))
            return True

        venue.answer = odd
        async with feeding(venue, [want.trades("BTC"), want.trades("NEW")]) as (feed, stream):
            assert (await stream.link()).is_up
            status = feed.status().connections[0]
            assert (status.acked, status.refused) == (1, {"NEW/trades": "invalid"})


async def test_data_without_an_acknowledgement_proves_the_subscription():
    async with running_venue() as venue:

        def unacked(peer: Peer, _request: dict) -> bool:
            asyncio.get_running_loop().create_task(peer.send(encode.trades_frame([trade(1)])))
            return True

        venue.answer = unacked
        async with feeding(venue, [want.trades("BTC")]) as (feed, stream):
            assert (await stream.next()).is_history
            assert (await stream.link()).is_up
            assert feed.status().connections[0].acked == 1


async def test_malformed_empty_and_unknown_frames_are_counted_and_never_fatal():
    async with running_venue() as venue, feeding(venue, [want.trades("BTC")]) as (feed, stream):
        assert (await stream.link()).is_up
        peer = venue.peers[0]
        bad = encode.trade(trade(1)) | {"px": "NaN"}
        for text in ("[]", "", '{"channel":"trades","data":[]}', '{"channel":"webData9","data":1}', "{not json"):
            await peer.raw(text)
        await peer.send(encode.frame("trades", [bad]))
        await peer.send(encode.trades_frame([trade(2, coin="a~new~grammar")]))
        await peer.send(encode.trades_frame([trade(3)]))
        garbage, broken, good = [await stream.next() for _ in range(3)]
        assert isinstance(garbage.parsed, MalformedMessage)
        assert isinstance(broken.parsed, MalformedMessage)
        assert (broken.channel, broken.parsed.coin) == ("trades", "BTC")
        assert tids(good) == [3]
        counts = feed.status().counts
        assert [counts[k] for k in ("malformed", "empty", "unknown", "ignored")] == [2, 3, 1, 1]
        assert feed.status().unknown_channels == {"webData9": 1}
        assert len(venue.peers) == 1


async def test_duplicate_trades_are_handed_on_once():
    async with running_venue() as venue, feeding(venue, [want.trades("BTC")]) as (_, stream):
        assert (await stream.link()).is_up
        for batch in ([trade(1)], [trade(1)], [trade(1), trade(2)], [trade(2, at=1)]):
            await venue.peers[0].send(encode.trades_frame(batch))
        got = [tids(await stream.next()) for _ in range(3)]
        assert got == [[1], [2], [2]]  # the last has another time: by (time, coin, tid) it is another trade


async def test_a_snapshot_of_fills_is_history_and_its_repetition_is_dropped():
    user = "0x" + "ab" * 20
    one = Fill(user, "BTC", True, Decimal(1), Decimal(1), 7, 8, True, "0x0")
    async with running_venue() as venue, feeding(venue, [want.user_fills(user)]) as (_, stream):
        assert (await stream.link()).is_up
        peer = venue.peers[0]
        await peer.send(encode.user_fills_frame(user, [one], is_snapshot=True))
        await peer.send(encode.user_fills_frame(user, [one]))
        await peer.send(encode.user_fills_frame(user, [one, Fill(user, "BTC", False, one.px, one.sz, 9, 9, True)]))
        first, second = await stream.next(), await stream.next()
        assert (first.kind, len(first.parsed.fills)) == (FrameKind.HISTORY, 1)
        assert (second.kind, [f.tid for f in second.parsed.fills]) == (FrameKind.LIVE, [9])


async def test_a_slow_consumer_slows_the_reader_and_loses_nothing():
    count = 3000
    async with running_venue() as venue, feeding(venue, [want.trades("BTC")], queue_frames=10) as (feed, stream):
        assert (await stream.link()).is_up

        async def pour() -> None:
            for n in range(count):
                await venue.peers[0].send(encode.trades_frame([trade(n)]))

        pouring = asyncio.create_task(pour())
        got = []
        while len(got) < count:
            got += tids(await stream.next())
            assert feed.status().queued <= 10
        await pouring
        assert got == list(range(count))


async def test_a_reader_held_up_by_its_consumer_is_not_taken_for_a_dead_connection():
    pace = ManualPace()
    async with running_venue() as venue, feeding(venue, [want.trades("BTC")], pace, queue_frames=1) as (_, stream):
        await _until_asked(venue, pace, 1)
        await stream.link()
        for n in range(4):
            await venue.peers[0].send(encode.trades_frame([trade(n)]))
        await within(_full(stream, pace))
        await pace.advance(120)
        assert [tids(await stream.next()) for _ in range(4)] == [[0], [1], [2], [3]]
        assert len(venue.peers) == 1


async def _full(stream: Stream, pace: ManualPace) -> None:
    for _ in range(50):
        await pace.advance(0.01)
        await asyncio.sleep(0.001)


async def test_what_is_wanted_can_change_while_connected():
    async with running_venue() as venue, feeding(venue, [want.trades("BTC")]) as (feed, stream):
        assert (await stream.link()).is_up
        feed.want([want.trades("ETH")])
        await venue.until(lambda: len(venue.asked("subscribe")) == 2 and len(venue.asked("unsubscribe")) == 1)
        assert venue.asked("unsubscribe")[0]["subscription"] == {"type": "trades", "coin": "BTC"}
        assert len(venue.peers) == 1


async def test_a_connection_without_anything_wanted_is_not_opened():
    async with running_venue() as venue, feeding(venue, []) as (feed, stream):
        feed.want([want.trades("BTC")])
        assert (await stream.link()).is_up
        assert len(venue.peers) == 1
        assert feed.status().is_live


async def test_subscribes_are_paced_over_all_connections_together():
    pace = ManualPace()
    wanted = [want.trades(f"C{n}") for n in range(20)]
    async with (
        running_venue() as venue,
        feeding(venue, wanted, pace, coin_connections=2, sends_per_s=10.0) as _,
    ):
        begin = pace.now()
        await _until_asked(venue, pace, 20)
        assert 1.8 <= pace.now() - begin <= 3.0  # 20 at 10 a second, the first at once
        assert [len(p.requests) for p in venue.peers] == [10, 10]


async def test_a_venue_that_is_away_is_tried_again_within_the_limit_of_new_connections():
    pace = ManualPace()
    liveness = LivenessParams(backoff_base_s=0.001, backoff_cap_s=0.002)
    async with running_venue() as venue:
        refusals: list[float] = []

        def refuse(peer: Peer, _request: dict) -> bool:
            refusals.append(pace.now())
            peer.drop()
            return True

        venue.answer = refuse
        async with feeding(venue, [want.trades("BTC")], pace, liveness, connects_per_minute=5):
            await _until_asked(venue, pace, 12, step=1.0)
        begin = refusals[0]
        assert sum(at < begin + 59 for at in refusals) <= 5


async def test_frames_read_back_from_a_journal_are_those_that_were_received():
    async with running_venue() as venue:
        venue.replay["BTC"] = [trade(1)]
        async with feeding(venue, [want.trades("BTC"), want.bbo("BTC")]) as (_, stream):
            received = [await within(anext(stream.frames)) for _ in range(2)]
            venue.replay["BTC"] = [trade(8), trade(9)]
            peer = venue.peers[0]
            await peer.send(encode.trades_frame([trade(1), trade(2)]))
            level = (Level(Decimal(1), Decimal(2)),)
            await peer.send(encode.bbo_frame(Book("BTC", 5, 0, level, ())))
            await peer.raw("{")
            received += [await within(anext(stream.frames)) for _ in range(3)]
            peer.drop()
            received += [await within(anext(stream.frames)) for _ in range(3)]
    kinds = [f.kind.value for f in received]
    assert kinds.count("gap") == 1
    assert kinds.count("link") == 2
    back = list(replayed((f.kind.value, f.received_ms, f.raw) for f in received))
    strip = [(f.received_ms, f.channel, f.kind, f.raw, f.parsed) for f in received]
    assert [(f.received_ms, f.channel, f.kind, f.raw, f.parsed) for f in back] == strip


async def test_a_defect_in_a_connection_reaches_the_reader_of_the_feed():
    link = ConnectionParams("http://not-a-websocket")
    feed = Feed(FeedParams(link, coin_connections=1), Now(), LoopPace(), random.Random(1))
    feed.want([want.trades("BTC")])
    async with feed:
        with pytest.raises(Exception, match="not-a-websocket"):
            await within(anext(feed.frames()))
