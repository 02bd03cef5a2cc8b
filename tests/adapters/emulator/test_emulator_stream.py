"""The WebSocket speaks the venue's language (spec hyperliquid 3.1-3.3)."""

from __future__ import annotations

from typing import Any

import pytest
from emulator_harness import ALICE, BOB, CAROL, START_MS, Serve, trade


async def test_trades_name_both_parties_and_come_one_frame_for_each_coin_and_block(serve: Serve) -> None:
    both = [trade(1, 50), trade(2, 50), trade(3, 50, coin="ETH", px="4000"), trade(4, 150)]
    async with serve(*both) as client, client.socket() as socket:
        await socket.subscribe(type="trades", coin="BTC")
        await client.advance(200)
        first, second = await socket.next(), await socket.next()
        assert [t["tid"] for t in first["data"]] == [1, 2]
        assert [t["tid"] for t in second["data"]] == [4]
        assert first["data"][0] == {
            "coin": "BTC",
            "side": "B",
            "px": "100000.0",
            "sz": "0.01",
            "time": START_MS + 50,
            "hash": f"0x{1:064x}",
            "tid": 1,
            "users": [ALICE, BOB],
        }
        assert await socket.silence()


async def test_a_new_subscriber_of_trades_receives_the_last_thirty(serve: Serve) -> None:
    async with serve(*[trade(i, i) for i in range(1, 41)]) as client, client.socket() as socket:
        await client.advance(100)
        await socket.subscribe(type="trades", coin="BTC")
        replay = await socket.next()
        assert [t["tid"] for t in replay["data"]] == list(range(11, 41))


@pytest.mark.parametrize(
    ("asked", "echo"),
    [
        (
            {"type": "l2Book", "coin": "BTC"},
            {"type": "l2Book", "coin": "BTC", "nSigFigs": None, "mantissa": None},
        ),
        (
            {"fast": True, "coin": "BTC", "type": "l2Book"},
            {"type": "l2Book", "coin": "BTC", "nSigFigs": None, "mantissa": None, "fast": True},
        ),
        (
            {"type": "userFills", "user": ALICE.upper().replace("X", "x")},
            {"type": "userFills", "user": ALICE, "aggregateByTime": False},
        ),
        ({"type": "trades", "coin": "ETH", "note": 1}, {"type": "trades", "coin": "ETH"}),
    ],
)
async def test_the_acknowledgement_echoes_the_normalised_subscription(
    serve: Serve, asked: dict[str, Any], echo: dict[str, Any]
) -> None:
    async with serve() as client, client.socket() as socket:
        ack = await socket.subscribe(**asked)
        assert ack["data"] == {"method": "subscribe", "subscription": echo}


async def test_the_venues_error_texts_are_used(serve: Serve) -> None:
    async with serve() as client, client.socket() as socket:
        await socket.raw.send_str("no json")
        assert (await socket.next())["data"] == "Error parsing JSON into valid websocket request: no json"
        await socket.say(method="dance")
        assert (await socket.next())["data"].startswith("Error parsing JSON into valid websocket request: {")
        await socket.say(method="subscribe", subscription={"type": "trades", "coin": "NOPE"})
        assert (await socket.next())["data"] == 'Invalid subscription {"type":"trades","coin":"NOPE"}'
        await socket.subscribe(type="trades", coin="BTC")
        await socket.say(method="subscribe", subscription={"coin": "BTC", "type": "trades"})
        assert (await socket.next())["data"] == 'Already subscribed: {"type":"trades","coin":"BTC"}'
        await socket.say(method="unsubscribe", subscription={"type": "bbo", "coin": "BTC"})
        assert (await socket.next())["data"] == 'Already unsubscribed: {"type":"bbo","coin":"BTC"}'


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {"type": ["trades"]},
        {"type": "candle", "coin": "BTC", "interval": "7m"},
        {"type": "userFills", "user": "0x12"},
        {"type": "l2Book", "coin": "BTC", "nSigFigs": 7},
        {"type": "l2Book", "coin": "BTC", "mantissa": 2},
        {"type": "l2Book", "coin": "BTC", "fast": 1},
        {"type": "allMids", "dex": "xyz"},
    ],
)
async def test_a_subscription_that_cannot_be_is_refused(serve: Serve, wrong: object) -> None:
    async with serve() as client, client.socket() as socket:
        await socket.say(method="subscribe", subscription=wrong)
        assert (await socket.next())["data"].startswith("Invalid subscription")


async def test_after_an_unsubscription_nothing_more_comes(serve: Serve) -> None:
    async with serve(trade(1, 50)) as client, client.socket() as socket:
        await socket.subscribe(type="trades", coin="BTC")
        await socket.say(method="unsubscribe", subscription={"type": "trades", "coin": "BTC"})
        assert (await socket.next())["data"]["method"] == "unsubscribe"
        await client.advance(100)
        assert await socket.silence()


async def test_books_come_every_five_seconds_and_fast_ones_every_half(serve: Serve) -> None:
    async with serve() as client, client.socket() as socket:
        await socket.subscribe(type="l2Book", coin="BTC")
        await socket.subscribe(type="l2Book", coin="ETH", fast=True)
        await client.advance(5_000)
        frames = [await socket.next() for _ in range(12)]  # the fast opening was passed over by subscribe
        assert await socket.silence()
        fast = [f["data"]["time"] for f in frames if f["data"]["coin"] == "ETH"]
        slow = [f["data"]["time"] for f in frames if f["data"]["coin"] == "BTC"]
        assert fast == [START_MS, *(START_MS + 500 * i for i in range(1, 11))]
        assert slow == [START_MS + 5_000]
        assert all(f["data"]["fast"] for f in frames if f["data"]["coin"] == "ETH")


async def test_bbo_comes_only_when_it_has_changed(serve: Serve) -> None:
    async with serve(trade(1, 250, px="100100")) as client, client.socket() as socket:
        await socket.subscribe(type="bbo", coin="BTC")
        opening = await socket.next()
        assert opening["data"]["bbo"] == [
            {"px": "99990.0", "sz": "10.0", "n": 1},
            {"px": "100010.0", "sz": "10.0", "n": 1},
        ]
        await client.advance(1_000)
        times = [(await socket.next())["data"]["time"] for _ in range(2)]
        assert times == [START_MS + 100, START_MS + 300]  # the first block, then the one with the trade
        assert await socket.silence()


async def test_user_fills_open_with_a_snapshot_and_go_on_with_deltas(serve: Serve) -> None:
    async with serve(trade(1, 50), trade(2, 250, sz="0.02")) as client, client.socket() as socket:
        await client.advance(100)
        await socket.subscribe(type="userFills", user=BOB)
        snapshot = (await socket.next())["data"]
        assert (snapshot["isSnapshot"], snapshot["user"], [f["tid"] for f in snapshot["fills"]]) == (True, BOB, [1])
        await client.advance(200)
        delta = (await socket.next())["data"]
        assert "isSnapshot" not in delta
        fill = delta["fills"][0]
        assert (fill["tid"], fill["side"], fill["startPosition"], fill["crossed"]) == (2, "A", "-0.01", False)


async def test_user_events_have_no_user_field_and_no_replay(serve: Serve) -> None:
    async with serve(trade(1, 50), trade(2, 250)) as client, client.socket() as socket:
        await client.advance(100)
        await socket.subscribe(type="userEvents", user=ALICE)
        await client.advance(200)
        frame = await socket.next()
        assert (frame["channel"], list(frame["data"]), frame["data"]["fills"][0]["tid"]) == ("user", ["fills"], 2)


async def test_account_states_are_pushed_when_they_change(serve: Serve) -> None:
    async with serve(trade(1, 50)) as client, client.socket() as socket:
        await socket.subscribe(type="clearinghouseState", user=ALICE)
        assert (await socket.next())["data"]["clearinghouseState"]["assetPositions"] == []
        await client.advance(100)
        data = (await socket.next())["data"]
        assert (data["dex"], data["user"]) == ("", ALICE)
        assert data["clearinghouseState"]["assetPositions"][0]["position"]["szi"] == "0.01"


@pytest.mark.parametrize(
    ("subscription", "channel"),
    [
        ({"type": "candle", "coin": "BTC", "interval": "1m"}, "candle"),
        ({"type": "allMids"}, "allMids"),
        ({"type": "activeAssetCtx", "coin": "BTC"}, "activeAssetCtx"),
        ({"type": "assetCtxs"}, "assetCtxs"),
        ({"type": "userFundings", "user": ALICE}, "userFundings"),
        ({"type": "userNonFundingLedgerUpdates", "user": ALICE}, "userNonFundingLedgerUpdates"),
        ({"type": "userTwapSliceFills", "user": ALICE}, "userTwapSliceFills"),
        ({"type": "allDexsClearinghouseState", "user": ALICE}, "allDexsClearinghouseState"),
        ({"type": "openOrders", "user": ALICE}, "openOrders"),
        ({"type": "webData3", "user": ALICE}, "webData3"),
        ({"type": "activeAssetData", "user": ALICE, "coin": "BTC"}, "activeAssetData"),
    ],
)
async def test_a_channel_with_a_state_opens_with_it(serve: Serve, subscription: dict[str, Any], channel: str) -> None:
    async with serve(trade(1, 50)) as client, client.socket() as socket:
        await client.advance(100)
        await socket.subscribe(**subscription)
        assert (await socket.next())["channel"] == channel


@pytest.mark.parametrize("silent", [{"type": "notification", "user": ALICE}, {"type": "orderUpdates", "user": CAROL}])
async def test_a_channel_without_history_opens_with_nothing(serve: Serve, silent: dict[str, Any]) -> None:
    async with serve() as client, client.socket() as socket:
        await socket.subscribe(**silent)
        assert await socket.silence()


async def test_requests_can_be_posted_over_the_socket(serve: Serve) -> None:
    async with serve() as client, client.socket() as socket:
        await socket.say(method="post", id=7, request={"type": "info", "payload": {"type": "l2Book", "coin": "BTC"}})
        answer = (await socket.next())["data"]
        assert (answer["id"], answer["response"]["type"]) == (7, "info")
        assert answer["response"]["payload"]["type"] == "l2Book"
        assert answer["response"]["payload"]["data"]["coin"] == "BTC"
        await socket.say(method="post", id=8, request={"type": "info", "payload": {"type": "nonsense"}})
        assert (await socket.next())["data"]["response"]["type"] == "error"
