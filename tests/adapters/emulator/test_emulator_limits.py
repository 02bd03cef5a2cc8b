"""The venue's limits, and how it ends connections (spec hyperliquid 3.2, 4.1)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import psutil
from emulator_harness import ALICE, BOB, CAROL, HandClock, Serve, trade

from sigmapilot_core.adapters.emulator.config import EmulatorConfig, LimitConfig, StreamConfig
from sigmapilot_core.adapters.emulator.limits import SlidingWindow


def limited(**limits: object) -> EmulatorConfig:
    return EmulatorConfig(limits=replace(LimitConfig(), **limits))  # type: ignore[arg-type]


def streaming(**stream: object) -> EmulatorConfig:
    return EmulatorConfig(stream=replace(StreamConfig(), **stream))  # type: ignore[arg-type]


def test_the_window_forgets_after_a_minute() -> None:
    clock = HandClock()
    window = SlidingWindow(10, clock)
    assert window.take(6)
    clock.now = 59.9
    assert not window.take(6)
    clock.now = 60.0
    assert window.take(6)
    assert window.used == 6


async def test_weight_beyond_1200_in_a_minute_is_refused_with_null(serve: Serve) -> None:
    clock = HandClock()
    async with serve(seconds=clock) as client:
        for _ in range(60):  # meta weighs 20: 60 x 20 = 1200
            await client.info(type="meta")
        assert await client.post("/info", {"type": "allMids"}) == (429, "null")
        clock.now = 60.0
        assert (await client.post("/info", {"type": "allMids"}))[0] == 200


async def test_items_of_an_answer_weigh_too(serve: Serve) -> None:
    trades = [trade(i, i) for i in range(1, 41)]
    async with serve(*trades, config=limited(weight_per_minute=42)) as client:
        await client.advance(100)
        assert len(await client.info(type="userFills", user=ALICE)) == 40  # 20 + 40/20 = 22
        assert (await client.post("/info", {"type": "meta"}))[0] == 200  # 42
        assert (await client.post("/info", {"type": "allMids"}))[0] == 429


async def test_limits_can_be_switched_off(serve: Serve) -> None:
    async with serve(config=limited(enabled=False, weight_per_minute=1, connections=0)) as client:
        assert len(await client.info(type="meta")) == 3
        async with client.socket() as socket:
            assert await socket.silence()


async def test_one_connection_too_many_is_closed_with_1008(serve: Serve) -> None:
    async with (
        serve(config=limited(connections=1)) as client,
        client.socket(),
        client.http.ws_connect(f"{client.url}/ws") as second,
    ):
        assert (await second.receive_json())["data"] == "Cannot open more than 1 connections."
        await second.receive()
        assert second.close_code == 1008


async def test_too_many_new_connections_in_a_minute_are_refused(serve: Serve) -> None:
    clock = HandClock()
    async with serve(config=limited(new_connections_per_minute=2), seconds=clock) as client:
        for _ in range(2):
            async with client.socket():
                pass
        async with client.http.ws_connect(f"{client.url}/ws") as third:
            await third.receive()
            await third.receive()
            assert third.close_code == 1008
        clock.now = 60.0
        async with client.socket() as fourth:
            assert await fourth.silence()


async def test_subscriptions_are_counted_over_all_connections(serve: Serve) -> None:
    async with serve(config=limited(subscriptions=2)) as client, client.socket() as one, client.socket() as two:
        await one.subscribe(type="trades", coin="BTC")
        await two.subscribe(type="trades", coin="BTC")
        await two.say(method="subscribe", subscription={"type": "trades", "coin": "ETH"})
        assert (await two.frame("error"))["data"].startswith("Cannot subscribe to more than 2")


async def test_unique_users_are_counted_and_the_text_names_no_subscription(serve: Serve) -> None:
    async with serve(config=limited(unique_users=2)) as client, client.socket() as one, client.socket() as two:
        await one.subscribe(type="userFills", user=ALICE)
        await one.subscribe(type="orderUpdates", user=ALICE)
        await two.subscribe(type="userFills", user=BOB)
        await two.say(method="subscribe", subscription={"type": "userFills", "user": CAROL})
        assert (await two.frame("error"))["data"] == "Cannot track more than 2 total users."


async def test_messages_of_a_minute_are_counted(serve: Serve) -> None:
    async with serve(config=limited(messages_per_minute=1)) as client, client.socket() as socket:
        assert await socket.silence()
        await socket.say(method="ping")
        assert (await socket.next())["data"] == "Cannot send more than 1 messages per minute."


async def test_pending_posts_are_counted(serve: Serve) -> None:
    async with serve(config=limited(pending_posts=1)) as client, client.socket() as socket:
        await client.fault("http_slow", path="/ws", delay_s=60)
        for number in (1, 2):
            await socket.say(method="post", id=number, request={"type": "info", "payload": {"type": "meta"}})
        assert (await socket.frame("error"))["data"] == "too many pending post requests id=2"


async def test_a_connection_without_subscription_is_closed_as_inactive(serve: Serve) -> None:
    async with serve(config=streaming(inactive_s=0.01)) as client, client.socket() as socket:
        assert await socket.ended() == (1000, "Inactive")


async def test_a_connection_with_nothing_to_send_is_closed_as_idle(serve: Serve) -> None:
    async with serve(config=streaming(idle_s=0.05)) as client, client.socket() as socket:
        await socket.subscribe(type="notification", user=ALICE)
        assert await socket.ended() == (1000, "Idle")


async def test_pings_keep_a_quiet_connection(serve: Serve) -> None:
    async with serve(config=streaming(idle_s=0.1, inactive_s=5)) as client, client.socket() as socket:
        await socket.subscribe(type="notification", user=ALICE)
        for _ in range(6):  # 0.3 s of silence but for the pongs
            await asyncio.sleep(0.05)
            assert await socket.silence()


async def test_a_consumer_that_lags_too_far_is_closed(serve: Serve) -> None:
    trades = [trade(i, i * 100, coin="BTC") for i in range(1, 60)]
    async with serve(*trades, config=streaming(queue_frames=4)) as client, client.socket() as socket:
        await socket.subscribe(type="trades", coin="BTC")
        connection = next(iter(client.emulator.hub.connections))
        await client.advance(10)  # the queue is empty again
        for number in range(6):  # without a pause for the writer
            await connection.send(f'{{"channel":"filler","data":{number}}}')
        code, reason = await socket.ended()
        assert (code, reason) == (1008, "Slow consumer")


async def test_nothing_is_left_when_the_server_stops(serve: Serve) -> None:
    before = asyncio.all_tasks()
    async with serve() as client, client.socket() as socket:
        await socket.subscribe(type="trades", coin="BTC")
    assert asyncio.all_tasks() == before


async def test_the_port_is_loopback_only(serve: Serve) -> None:
    async with serve() as client:
        port = int(client.url.rpartition(":")[2])
        bound = {c.laddr.ip for c in psutil.Process().net_connections("tcp") if c.laddr.port == port}
        assert bound == {"127.0.0.1"}
