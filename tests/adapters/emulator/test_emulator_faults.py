"""Each fault of the catalogue does what its summary says (spec hyperliquid 9.6)."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import aiohttp
import orjson
import pytest
from emulator_harness import ALICE, BOB, START_MS, Client, Serve, Socket, trade

from sigmapilot_core.adapters.emulator import book_faults
from sigmapilot_core.adapters.emulator.faults import CATALOGUE

TRADES = [trade(1, 50), trade(2, 50), trade(3, 150), trade(4, 250)]


async def tids(socket: Socket, frames: int) -> list[list[int]]:
    """Trade ids of the next frames."""
    return [[t["tid"] for t in (await socket.frame("trades"))["data"]] for _ in range(frames)]


# connections


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1012])
async def test_connections_are_closed_with_the_code(serve: Serve, code: int) -> None:
    async with serve() as client, client.socket() as socket:
        await client.fault(f"close_{code}")
        assert (await socket.ended())[0] == code


@pytest.mark.parametrize("name", ["drop_tcp", "close_1006"])
async def test_connections_end_without_a_close_frame(serve: Serve, name: str) -> None:
    async with serve() as client, client.socket() as socket:
        await client.fault(name)
        assert (await socket.ended())[0] == 1006


async def test_a_half_open_connection_is_silent_and_a_new_one_is_not(serve: Serve) -> None:
    async with serve(*TRADES) as client, client.socket() as dead:
        await dead.subscribe(type="trades", coin="BTC")
        await client.fault("half_open")
        async with client.socket() as live:
            await live.subscribe(type="trades", coin="BTC")
            await client.advance(100)
            await dead.say(method="ping")
            assert await tids(live, 1) == [[1, 2]]
            assert await live.silence()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(dead.raw.receive(), 0.05)
            assert not dead.raw.closed


async def test_an_error_frame_is_sent_to_everybody(serve: Serve) -> None:
    async with serve() as client, client.socket() as socket:
        await client.fault("error_frame", text="Something went wrong")
        assert await socket.next() == {"channel": "error", "data": "Something went wrong"}


async def test_a_snapshot_can_come_again(serve: Serve) -> None:
    async with serve(*TRADES) as client, client.socket() as socket:
        await client.advance(100)
        await socket.subscribe(type="userFills", user=ALICE)
        first = await socket.next()
        await client.fault("replay_snapshot", channel="userFills", user=ALICE)
        assert await socket.next() == first


# frames


async def test_a_frozen_channel_sends_nothing_and_others_go_on(serve: Serve) -> None:
    async with serve(*TRADES) as client, client.socket() as socket:
        await socket.subscribe(type="trades", coin="BTC")
        await socket.subscribe(type="userFills", user=ALICE)
        await socket.next()
        await client.fault("freeze_channel", channel="trades", coin="BTC")
        await client.advance(100)
        assert (await socket.next())["channel"] == "userFills"
        assert await socket.silence()


async def test_frozen_books_thaw_when_their_seconds_are_over(serve: Serve) -> None:
    async with serve() as client, client.socket() as socket:
        await socket.subscribe(type="l2Book", coin="BTC", fast=True)
        await socket.next()
        await client.fault("freeze_books", coin="BTC", seconds=2)
        await client.advance(1_900)
        assert await socket.silence()
        await client.advance(100)
        assert (await socket.next())["data"]["time"] == START_MS + 2_000


async def test_delayed_trades_arrive_in_one_burst_with_their_own_times(serve: Serve) -> None:
    async with serve(*TRADES) as client, client.socket() as socket:
        await socket.subscribe(type="trades", coin="BTC")
        await client.fault("delay_trades", coin="BTC", seconds=160)
        await client.advance(159_900)
        assert await socket.silence()
        await client.advance(100)
        late = [t for _ in range(3) for t in (await socket.next())["data"]]
        assert [(t["tid"], t["time"] - START_MS) for t in late] == [(1, 50), (2, 50), (3, 150), (4, 250)]


async def test_delayed_trades_are_late_on_the_channel_of_their_account_too(serve: Serve) -> None:
    async with serve(*TRADES) as client, client.socket() as socket:
        await socket.subscribe(type="userFills", user=ALICE)
        assert (await socket.next())["data"]["isSnapshot"]
        await client.fault("delay_trades", coin="BTC", seconds=160)
        await client.advance(159_900)
        assert await socket.silence()
        await client.advance(100)
        late = [f for _ in range(3) for f in (await socket.next())["data"]["fills"]]
        assert [(f["tid"], f["time"] - START_MS) for f in late] == [(1, 50), (2, 50), (3, 150), (4, 250)]


async def test_missing_trades_never_arrive(serve: Serve) -> None:
    async with serve(*TRADES) as client, client.socket() as socket:
        await socket.subscribe(type="trades", coin="BTC")
        await client.fault("missing_trades", coin="BTC", seconds=0.15)
        await client.advance(300)
        assert await tids(socket, 2) == [[3], [4]]


async def test_single_trades_are_left_out_of_their_frame(serve: Serve) -> None:
    async with serve(*TRADES) as client, client.socket() as socket:
        await socket.subscribe(type="trades", coin="BTC")
        await client.fault("missing_single_trades", coin="BTC", seconds=0.15)
        await client.advance(300)
        assert await tids(socket, 2) == [[3], [4]]


async def test_altered_trades_arrive_with_twice_their_size(serve: Serve) -> None:
    async with serve(*TRADES) as client, client.socket() as socket:
        await socket.subscribe(type="trades", coin="BTC")
        await client.fault("altered_trades", coin="BTC", seconds=0.15)
        await client.advance(300)
        sizes = [[t["sz"] for t in (await socket.frame("trades"))["data"]] for _ in range(3)]
        assert sizes == [["0.02", "0.02"], ["0.01"], ["0.01"]]


async def test_duplicate_trades_come_twice(serve: Serve) -> None:
    async with serve(*TRADES) as client, client.socket() as socket:
        await socket.subscribe(type="trades", coin="BTC")
        await client.fault("duplicate_trades")
        await client.advance(100)
        assert await tids(socket, 2) == [[1, 2], [1, 2]]


async def test_trades_of_one_millisecond_come_out_of_order(serve: Serve) -> None:
    async with serve(*TRADES) as client, client.socket() as socket:
        await socket.subscribe(type="trades", coin="BTC")
        await client.fault("out_of_order")
        await client.advance(100)
        assert await tids(socket, 1) == [[2, 1]]


async def test_strange_frames_come_before_the_real_one(serve: Serve) -> None:
    async with serve(*TRADES) as client, client.socket() as socket:
        await socket.subscribe(type="trades", coin="BTC")
        for name in ("empty_frame", "unknown_channel", "unknown_coin", "malformed_json"):
            await client.fault(name, coin="BTC")
        await client.advance(100)
        assert (await socket.next())["data"] == []
        assert (await socket.next())["channel"] == "venueNews"
        assert [(await socket.next())["data"][0]["coin"] for _ in range(3)] == ["xyz:NEW", "@9999", "#77"]
        with pytest.raises(orjson.JSONDecodeError):
            await socket.next()
        assert await tids(socket, 1) == [[1, 2]]


async def test_null_fields_stand_in_frames_and_answers(serve: Serve) -> None:
    async with serve() as client, client.socket() as socket:
        await client.fault("null_fields")
        await socket.subscribe(type="activeAssetCtx", coin="BTC")
        context = (await socket.next())["data"]["ctx"]
        _, contexts = await client.info(type="metaAndAssetCtxs")
        for found in (context, contexts[0]):
            assert (found["midPx"], found["premium"], found["impactPxs"]) == (None, None, None)
            assert found["markPx"] == "100000.0"


async def test_values_nobody_has_seen_before_are_sent(serve: Serve) -> None:
    async with serve(*TRADES) as client:
        await client.advance(100)
        await client.fault("new_enum_values")
        assert (await client.info(type="userFills", user=ALICE))[0]["dir"] == "Rebalanced By Protocol"


async def test_a_skewed_clock_shows_in_frames_and_answers(serve: Serve) -> None:
    async with serve(*TRADES) as client, client.socket() as socket:
        await socket.subscribe(type="trades", coin="BTC")
        await client.fault("clock_skew", skew_s=-30)
        await client.advance(100)
        assert (await socket.next())["data"][0]["time"] == START_MS + 50 - 30_000
        assert (await client.info(type="exchangeStatus"))["time"] == START_MS + 100 - 30_000


async def test_a_fault_with_a_probability_strikes_sometimes(serve: Serve) -> None:
    async with serve(*[trade(i, i * 100) for i in range(1, 101)]) as client, client.socket() as socket:
        await socket.subscribe(type="trades", coin="BTC")
        await client.fault("missing_trades", probability=0.5)
        await client.advance(10_000)
        await socket.say(method="ping")
        seen = 0
        while (await socket.next())["channel"] == "trades":
            seen += 1
        assert 30 <= seen <= 70  # of 100 at one half: beyond 4 standard deviations otherwise


# acknowledgements


async def test_acknowledgements_can_be_late_while_data_flows(serve: Serve) -> None:
    async with serve() as client, client.socket() as socket:
        await client.fault("delay_acks", delay_s=0.02)
        await socket.say(method="subscribe", subscription={"type": "bbo", "coin": "BTC"})
        assert [(await socket.next())["channel"] for _ in range(2)] == ["bbo", "subscriptionResponse"]


async def test_acknowledgements_can_be_missing(serve: Serve) -> None:
    async with serve() as client, client.socket() as socket:
        await client.fault("no_ack")
        await socket.say(method="subscribe", subscription={"type": "bbo", "coin": "BTC"})
        assert (await socket.next())["channel"] == "bbo"
        assert await socket.silence()


# HTTP


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("http_429", 429, "null"),
        ("http_422", 422, "Failed to deserialize the JSON body into the target type"),
        ("http_502", 502, "<html>"),
        ("http_503", 503, "<html>"),
        ("http_not_json", 200, "upstream connect error"),
    ],
)
async def test_an_answer_can_be_replaced(serve: Serve, name: str, status: int, text: str) -> None:
    async with serve() as client:
        await client.fault(name, request="meta")
        found, body = await client.post("/info", {"type": "meta"})
        assert (found, body.startswith(text)) == (status, True)
        assert (await client.post("/info", {"type": "allMids"}))[0] == 200
        await client.fault(name, on=False)
        assert (await client.post("/info", {"type": "meta"}))[0] == 200


async def test_an_answer_can_be_slow(serve: Serve) -> None:
    async with serve() as client:
        await client.fault("http_slow", delay_s=30, path="/info")
        with pytest.raises(TimeoutError):
            async with client.http.post(
                f"{client.url}/info", json={"type": "meta"}, timeout=aiohttp.ClientTimeout(total=0.05)
            ):
                pass


async def test_an_answer_can_end_too_early(serve: Serve) -> None:
    async with serve() as client:
        await client.fault("http_truncated", request="meta")
        async with client.http.post(f"{client.url}/info", json={"type": "meta"}) as reply:
            with pytest.raises(aiohttp.ClientPayloadError):
                await reply.read()


async def test_a_connection_can_be_cut_after_the_deed(serve: Serve) -> None:
    async with serve() as client:
        await client.fault("http_disconnect", request="meta")
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.post("/info", {"type": "meta"})
        assert client.emulator.parts().requests.used("127.0.0.1") == 20  # it was answered, and weighed


# leaderboard


async def leaderboard(client: Client) -> tuple[int, str]:
    async with client.http.get(f"{client.url}/Mainnet/leaderboard") as reply:
        return reply.status, await reply.text()


async def test_the_leaderboard_can_be_forbidden(serve: Serve) -> None:
    async with serve() as client:
        await client.fault("leaderboard_403")
        assert (await leaderboard(client))[0] == 403


@pytest.mark.parametrize("name", ["leaderboard_truncated", "leaderboard_not_json"])
async def test_the_leaderboard_can_be_unreadable(serve: Serve, name: str) -> None:
    async with serve() as client:
        assert json.loads((await leaderboard(client))[1])["leaderboardRows"]
        await client.fault(name)
        status, text = await leaderboard(client)
        assert status == 200
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)


async def test_the_leaderboard_can_be_huge(serve: Serve) -> None:
    async with serve() as client:
        await client.fault("leaderboard_huge", rows=5_000)
        rows = json.loads((await leaderboard(client))[1])["leaderboardRows"]
        assert len(rows) == 5_000


# market and accounts


async def test_a_spot_pair_can_name_a_token_that_is_absent(serve: Serve) -> None:
    async with serve() as client:
        await client.fault("dangling_spot_token")
        meta = await client.info(type="spotMeta")
        indexes = {token["index"] for token in meta["tokens"]}
        assert not set(meta["universe"][0]["tokens"]) <= indexes


async def test_an_asset_can_be_delisted_and_keeps_its_place(serve: Serve) -> None:
    async with serve() as client:
        await client.fault("delisted_coin", coin="ETH")
        universe = (await client.info(type="meta"))["universe"]
        assert [(a["name"], a.get("isDelisted", False)) for a in universe] == [
            ("BTC", False),
            ("ETH", True),
            ("SOL", False),
        ]
        assert "ETH" not in await client.info(type="allMids")


async def test_a_book_can_be_empty(serve: Serve) -> None:
    async with serve() as client:
        await client.fault("empty_book", coin="BTC")
        assert (await client.info(type="l2Book", coin="BTC"))["levels"] == [[], []]


async def positions(client: Client, user: str) -> list[Any]:
    return (await client.info(type="clearinghouseState", user=user))["assetPositions"]


async def test_a_leader_can_be_liquidated_without_a_trade(serve: Serve) -> None:
    async with serve(*TRADES) as client, client.socket() as socket:
        await client.advance(300)
        await socket.subscribe(type="trades", coin="BTC")
        await socket.next()
        assert await positions(client, ALICE)
        await client.fault("leader_liquidated", user=ALICE)
        await client.advance(100)
        assert await positions(client, ALICE) == []
        assert await positions(client, BOB)
        assert await socket.silence()


async def test_a_leader_can_become_a_unified_account(serve: Serve) -> None:
    async with serve(*TRADES) as client:
        await client.advance(300)
        await client.fault("unified_account", user=ALICE)
        state = await client.info(type="clearinghouseState", user=ALICE)
        assert (state["marginSummary"]["accountValue"], len(state["assetPositions"])) == ("0.0", 1)
        assert await client.info(type="userAbstraction", user=ALICE) == "unifiedAccount"
        spot = await client.info(type="spotClearinghouseState", user=ALICE)
        assert spot["balances"][0]["total"] == "50000.0"


def test_every_fault_has_a_test() -> None:
    from pathlib import Path

    texts = "".join(path.read_text() for path in Path(__file__).parent.glob("test_emulator_*.py"))
    untested = [n for n in CATALOGUE if f'"{n}"' not in texts and not n.startswith("close_1")]
    assert untested == []


async def test_shifted_books_stand_away_from_the_trades_until_the_fault_ends(serve: Serve) -> None:
    async with serve() as client, client.socket() as socket:
        await socket.subscribe(type="l2Book", coin="BTC", fast=True)
        before = Decimal((await socket.next())["data"]["levels"][0][0]["px"])
        await client.fault("shift_books", coin="BTC", shift_pct=2.0, seconds=1)
        await client.advance(500)
        spiked = Decimal((await socket.next())["data"]["levels"][0][0]["px"])
        assert abs(spiked / before - Decimal("1.02")) < Decimal("0.001")
        await client.advance(1_000)
        assert Decimal((await socket.next())["data"]["levels"][0][0]["px"]) / before < Decimal("1.01")


async def test_widened_books_keep_their_middle_and_one_level_a_price(serve: Serve) -> None:
    async with serve() as client, client.socket() as socket:
        await socket.subscribe(type="l2Book", coin="BTC", fast=True)
        before = sides(await socket.next())
        await client.fault("widen_books", coin="BTC", spread_pct=2.0, seconds=1)
        await client.advance(500)
        bids, asks = sides(await socket.next())
        assert abs((asks[0] - bids[0]) / before[1][0] - Decimal("0.02")) < Decimal("0.001")
        assert abs((asks[0] + bids[0]) / (before[1][0] + before[0][0]) - 1) < Decimal("0.001")
        assert [len(set(side)) for side in (bids, asks)] == [len(side) for side in before]


def sides(frame: dict[str, Any]) -> tuple[list[Decimal], list[Decimal]]:
    bids, asks = ([Decimal(level["px"]) for level in side] for side in frame["data"]["levels"])
    return bids, asks


@pytest.mark.parametrize("shift_pct", [-3.0, -0.7, 0.1, 2.0])
def test_a_book_that_is_shifted_stays_a_book(shift_pct: float) -> None:
    prices = [["93.4", "93.39", "93.38", "93.37"], ["93.41", "93.42", "93.43"]]
    levels = [[{"px": px, "sz": "1.0", "n": 1} for px in side] for side in prices]
    frame = {"channel": "l2Book", "data": {"coin": "SOL", "time": 1, "levels": levels}}
    bids, asks = sides(book_faults.shifted(frame, shift_pct))
    assert bids == sorted(set(bids), reverse=True)
    assert asks == sorted(set(asks))
    assert bids[0] < asks[0]
    assert bids[0] == Decimal("93.4") + (Decimal("93.4") * Decimal(str(shift_pct)) / 100).quantize(Decimal("0.01"))
