"""POST /exchange: signatures, nonces, agents, limits, and what subscribers see (spec hyperliquid 5, 9.3)."""

from __future__ import annotations

import asyncio
import copy
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from emulator_harness import ALICE, FUNDED, ME, START_MS, TRADER, HandClock, Serve, Trader, order, orders, trade
from eth_account import Account
from hyperliquid.utils import signing

from sigmapilot_core.adapters.emulator.config import EmulatorConfig, LimitConfig
from sigmapilot_core.adapters.emulator.signatures import Envelope, recover
from sigmapilot_core.adapters.emulator.signers import AgentBook, NonceBook

DAY_MS = 86_400_000


# signatures


def test_the_golden_vector_is_recovered() -> None:
    action = {
        "type": "order",
        "orders": [
            {
                "a": 0,
                "b": True,
                "p": "100000",
                "s": "0.01",
                "r": False,
                "t": {"limit": {"tif": "Gtc"}},
                "c": "0x00000000000000000000000000000007",
            }
        ],
        "grouping": "na",
    }
    signature = signing.sign_l1_action(TRADER, action, None, 1_700_000_000_000, None, False)
    # spec section 5.7
    assert signature["r"] == "0xfe6de37f63bf66ccc9d7847ec9fc5eebb58705a9c47ccfe0d17b0a4583711fa2"
    assert recover(Envelope(action, 1_700_000_000_000, signature, None, None)) == ME


def test_leading_zeros_of_a_signature_may_be_missing() -> None:
    action = {"type": "noop"}
    for nonce in range(2_000):
        signature = signing.sign_l1_action(TRADER, action, None, nonce, None, False)
        if len(signature["s"]) < 66 or len(signature["r"]) < 66:  # 0x and 64 digits
            assert recover(Envelope(action, nonce, signature, None, None)) == ME
            return
    pytest.fail("no short signature among 2 000; about one in eight is")


@pytest.mark.parametrize("part", ["r", "s"])
async def test_a_flipped_digit_makes_the_signer_unknown(serve: Serve, part: str) -> None:
    async with serve(config=FUNDED) as client:
        body = Trader(client).envelope(orders(order()))
        last = body["signature"][part][-1]
        body["signature"][part] = body["signature"][part][:-1] + ("1" if last == "0" else "0")
        status, text = await client.post("/exchange", body)
        assert (status, json.loads(text)["status"], "does not exist" in text) == (200, "err", True)


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": START_MS + 99},
        {"vaultAddress": ALICE},
        {"expiresAfter": START_MS + 5_000},
        {"action": orders(order(px="90001"))},
    ],
)
async def test_what_was_not_signed_is_not_executed(serve: Serve, change: dict[str, Any]) -> None:
    async with serve(config=FUNDED) as client:
        body = Trader(client).envelope(orders(order())) | change
        _, text = await client.post("/exchange", body)
        assert "does not exist" in text
        assert await client.info(type="openOrders", user=ME) == []


async def test_an_impossible_signature_is_refused_not_crashed_on(serve: Serve) -> None:
    async with serve(config=FUNDED) as client:
        for signature in (
            {},
            {"r": "0x0", "s": "0x0", "v": 27},
            {"r": "x", "s": "y", "v": "z"},
            {"r": 1, "s": 2, "v": 99},
        ):
            body = Trader(client).envelope(orders(order())) | {"signature": signature}
            status, text = await client.post("/exchange", body)
            assert (status, "does not exist" in text) == (200, True)


async def test_a_stranger_does_not_exist_and_a_poor_account_must_deposit(serve: Serve) -> None:
    stranger = Account.from_key("0x" + "22" * 32)
    async with serve(config=FUNDED) as client:
        answer = await Trader(client, stranger).send(orders(order()))
        assert answer == {"status": "err", "response": f"User or API Wallet {stranger.address.lower()} does not exist."}
        client.emulator.parts().venue.desk.move(stranger.address.lower(), Decimal(0), "deposit")
        answer = await Trader(client, stranger).send(orders(order()))
        assert answer["response"].startswith("Must deposit before performing actions. User: 0x")


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"action": {"type": "order"}, "nonce": "1", "signature": {}},
        {"action": [], "nonce": 1, "signature": {}},
        {"action": {"type": "noop"}, "nonce": 1, "signature": {}, "vaultAddress": "0x12"},
    ],
)
async def test_what_is_no_action_is_unprocessable(serve: Serve, wrong: dict[str, Any]) -> None:
    async with serve() as client:
        assert (await client.post("/exchange", wrong))[0] == 422


@pytest.mark.parametrize(
    "wrong",
    [
        {"p": 1.5},
        {"p": "NaN"},
        {"s": "-"},
        {"b": "yes"},
        {"t": {"limit": {"tif": "Soon"}}},
        {"t": {"trigger": {"triggerPx": "1", "tpsl": "up", "isMarket": True}}},
        {"c": "0x12"},
        {"a": "BTC"},
    ],
)
async def test_an_order_that_cannot_be_read_is_unprocessable(serve: Serve, wrong: dict[str, Any]) -> None:
    async with serve(config=FUNDED) as client:
        trader = Trader(client)
        body = trader.envelope(orders(order()))
        action = copy.deepcopy(body["action"])
        action["orders"][0] |= wrong
        signature = signing.sign_l1_action(TRADER, action, None, trader.nonce, None, False)
        assert (await client.post("/exchange", body | {"action": action, "signature": signature}))[0] == 422


# nonces and agents


async def test_a_replayed_request_is_a_duplicate(serve: Serve) -> None:
    async with serve(config=FUNDED) as client:
        trader = Trader(client)
        body = trader.envelope(orders(order()))
        assert (await trader.post(body))["status"] == "ok"
        assert (await trader.post(body))["response"] == f"Invalid nonce: duplicate nonce {body['nonce']}"
        assert len(await client.info(type="openOrders", user=ME)) == 1


def test_a_nonce_must_be_new_near_now_and_above_the_lowest_of_a_hundred() -> None:
    book, now = NonceBook(), 10 * DAY_MS
    assert book.refuse("x", now - 2 * DAY_MS, now) is not None
    assert book.refuse("x", now + DAY_MS, now) is not None
    for nonce in range(now, now + 200, 2):
        assert book.refuse("x", nonce, now) is None
    assert book.refuse("x", now + 1, now) is None  # out of order is fine: above the lowest, and pushes it out
    assert book.refuse("x", now, now) == f"Nonce {now} too low"
    assert book.refuse("x", now + 4, now) == f"Invalid nonce: duplicate nonce {now + 4}"
    assert book.refuse("y", now + 4, now) is None


def test_agents_are_replaced_by_name_limited_and_expire() -> None:
    agents = AgentBook()
    assert agents.approve("m", "a0", "", 0) is None
    assert agents.approve("m", "a1", "", 0) is None
    assert (agents.master_of("a0", 0), agents.master_of("a1", 0)) == (None, "m")
    for number in range(3):
        assert agents.approve("m", f"n{number}", f"name{number}", 0) is None
    assert agents.approve("m", "n3", "name3", 0) == "Too many extra agents."
    assert agents.approve("m", "n3", "name3", 0, sub_accounts=1) is None
    assert agents.approve("m", "long", "x" * 17, 0) == "Agent name too long."
    assert agents.approve("m", "n9", "name0 valid_until 500", 0) is None
    assert (agents.master_of("n9", 499), agents.master_of("n9", 500)) == ("m", None)
    assert agents.approve("other", "a1", "", 0) == "Extra agent already used."


# limits


async def test_an_expired_action_is_refused_and_costs_five(serve: Serve) -> None:
    async with serve(config=FUNDED) as client:
        answer = await Trader(client).send(orders(order()), expiresAfter=START_MS - 1)
        assert answer["response"].startswith("Action expired")
        assert (await client.info(type="userRateLimit", user=ME))["nRequestsUsed"] == 5


async def test_a_batch_counts_each_order_and_ends_at_two_hundred(serve: Serve) -> None:
    async with serve(config=FUNDED) as client:
        trader = Trader(client)
        await trader.send(orders(order(), order(px="89000")))
        assert (await client.info(type="userRateLimit", user=ME))["nRequestsUsed"] == 2
        answer = await trader.send(orders(*[order()] * 201))
        assert answer["response"] == "Signed action over weight limit of 200."


async def test_an_account_without_requests_left_gets_one_every_ten_seconds(serve: Serve) -> None:
    clock = HandClock()
    config = replace(FUNDED, limits=LimitConfig(address_buffer=1))
    async with serve(config=config, seconds=clock) as client:
        trader = Trader(client)
        assert (await trader.send({"type": "noop"}))["status"] == "ok"
        assert (await trader.send(orders(order())))["status"] == "ok"
        assert (await trader.send(orders(order())))["status"] == "ok"  # the one of this interval
        refused = await trader.send(orders(order()))
        assert refused["response"].startswith(
            "Too many cumulative requests sent (3 > 1) for cumulative volume traded $0.00."
        )
        clock.now = 10.0
        assert (await trader.send(orders(order())))["status"] == "ok"


# what subscribers see


async def test_order_updates_and_fills_arrive_with_the_next_block(serve: Serve) -> None:
    async with serve(config=FUNDED) as client, client.socket() as socket:
        for kind in ("orderUpdates", "userFills", "userEvents", "openOrders"):
            await socket.subscribe(type=kind, user=ME)
        await socket.subscribe(type="trades", coin="BTC")
        assert await socket.silence()
        filled = await Trader(client).status(orders(order(px="100500", tif="Ioc")))
        await client.advance(100)
        frames = {f["channel"]: f["data"] for f in [await socket.next() for _ in range(5)]}
        assert frames["trades"][0]["users"][0] == ME
        assert frames["trades"][0]["time"] == START_MS + 100
        (fill,) = frames["userFills"]["fills"]
        assert fill["oid"] == filled["filled"]["oid"] == frames["user"]["fills"][0]["oid"]
        assert fill["tid"] == frames["trades"][0]["tid"]
        (update,) = frames["orderUpdates"]
        assert (update["status"], update["order"]["origSz"], "user" in update) == ("filled", "0.01", False)
        assert frames["openOrders"]["orders"] == []


async def test_a_resting_order_fills_when_the_market_comes_to_it(serve: Serve) -> None:
    async with serve(trade(1, 250, px="89900"), config=FUNDED) as client, client.socket() as socket:
        await Trader(client).status(orders(order(px="90000", sz="0.01")))
        await socket.subscribe(type="userFills", user=ME)
        await socket.next()
        await client.advance(300)  # the script's book follows the last price: it asks 89 908.99
        (fill,) = (await socket.frame("userFills"))["data"]["fills"]
        assert (fill["px"], fill["crossed"], fill["time"]) == ("90000.0", False, START_MS + 300)
        assert fill["fee"] == "0.135"  # 0.01 x 90 000 x 0.015 %


async def test_a_stop_fires_on_the_mark_and_the_venues_cancels_are_told(serve: Serve) -> None:
    stop = {"trigger": {"isMarket": True, "triggerPx": "95000", "tpsl": "sl"}}
    take = {"trigger": {"isMarket": True, "triggerPx": "120000", "tpsl": "tp"}}
    async with serve(trade(1, 250, px="94000"), config=FUNDED) as client, client.socket() as socket:
        trader = Trader(client)
        await trader.status(orders(order(px="100500", tif="Ioc")))
        exits = [order(px="90000", is_buy=False, r=True, t=stop), order(px="119000", is_buy=False, r=True, t=take)]
        answer = await trader.send(orders(*exits) | {"grouping": "positionTpsl"})
        assert answer["response"]["data"]["statuses"] == ["waitingForTrigger"] * 2
        await client.advance(100)
        await socket.subscribe(type="userEvents", user=ME)
        await client.advance(200)
        events = [(await socket.frame("user"))["data"] for _ in range(2)]
        assert events[0]["fills"][0]["dir"] == "Close Long"
        assert len(events[1]["nonUserCancel"]) == 1
        assert (await client.info(type="clearinghouseState", user=ME))["assetPositions"] == []


async def test_a_liquidation_is_an_event_of_its_account(serve: Serve) -> None:
    poor = EmulatorConfig(deposits={ME: Decimal(300)})
    async with serve(trade(1, 250, px="90000"), config=poor) as client, client.socket() as socket:
        await Trader(client).status(orders(order(px="100500", sz="0.03", tif="Ioc")))
        await client.advance(100)
        await socket.subscribe(type="userEvents", user=ME)
        await client.advance(200)
        events = [(await socket.frame("user"))["data"]]
        while "liquidation" not in events[-1]:
            events.append((await socket.frame("user"))["data"])
        assert events[-1]["liquidation"]["liquidated_user"] == ME
        assert (await client.info(type="clearinghouseState", user=ME))["assetPositions"] == []


async def test_funding_is_paid_at_the_full_hour_and_told(serve: Serve) -> None:
    async with serve(config=FUNDED) as client, client.socket() as socket:
        await Trader(client).status(orders(order(px="100500", tif="Ioc")))
        source = client.emulator.parts().venue.source
        context = source.context
        source.context = lambda coin: replace(context(coin), funding_rate=0.0001)  # type: ignore[method-assign]
        await socket.subscribe(type="userEvents", user=ME)
        await client.advance(400_000)  # 13:53:20 to 14:00:00 UTC
        await socket.frame("user")  # the fill
        funding = (await socket.frame("user"))["data"]["funding"]
        assert (funding["usdc"], funding["szi"], "type" in funding) == (
            "-0.1",
            "0.01",
            False,
        )  # 0.01 x 100 000 x 0.01 %
        (row,) = await client.info(type="userFunding", user=ME, startTime=0)
        assert row["delta"]["usdc"] == "-0.1"


async def test_actions_can_be_posted_over_the_socket(serve: Serve) -> None:
    async with serve(config=FUNDED) as client, client.socket() as socket:
        payload = Trader(client).envelope(orders(order()))
        await socket.say(method="post", id=3, request={"type": "action", "payload": payload})
        answer = (await socket.next())["data"]
        assert (answer["id"], answer["response"]["type"]) == (3, "action")
        assert "resting" in answer["response"]["payload"]["response"]["data"]["statuses"][0]


async def test_deposits_open_accounts(serve: Serve) -> None:
    async with serve() as client:
        assert (await client.post("/emulator/deposit", {"user": ME, "usdc": "500"}))[0] == 200
        assert (await client.post("/emulator/deposit", {"user": ME, "usdc": "-1"}))[0] == 400
        assert "resting" in await Trader(client).status(orders(order()))
        (row,) = await client.info(type="userNonFundingLedgerUpdates", user=ME, startTime=0)
        assert row["delta"] == {"type": "deposit", "usdc": "500.0"}


@pytest.mark.parametrize(
    ("action", "answer"),
    [
        ({"type": "noop"}, {"status": "ok", "response": {"type": "default"}}),
        ({"type": "setReferrer", "code": "X"}, {"status": "ok", "response": {"type": "default"}}),
        ({"type": "dance"}, {"status": "err", "response": "Unsupported action: dance"}),
        (
            {"type": "twapCancel", "a": 0, "t": 1},
            {
                "status": "ok",
                "response": {
                    "type": "twapCancel",
                    "data": {"status": {"error": "TWAP was never placed, already canceled, or filled."}},
                },
            },
        ),
        (
            {"type": "updateLeverage", "asset": 0, "isCross": False, "leverage": 2},
            {"status": "err", "response": "Isolated margin is not available on this venue."},
        ),
        ({"type": "cancel", "cancels": [{"a": 99, "o": 1}]}, {"status": "err", "response": "Unknown asset: 99"}),
    ],
)
async def test_other_actions_answer(serve: Serve, action: dict[str, Any], answer: dict[str, Any]) -> None:
    async with serve(config=FUNDED) as client:
        assert await Trader(client).send(action) == answer


# faults


async def test_after_an_upgrade_only_post_only_orders_are_taken(serve: Serve) -> None:
    async with serve(config=FUNDED) as client:
        trader = Trader(client)
        await client.fault("post_only_window", seconds=10)
        refused = await trader.send(orders(order()))
        assert refused["response"] == "Only post-only orders allowed immediately after a network upgrade"
        assert "resting" in await trader.status(orders(order(tif="Alo")))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("address_limit", "Too many cumulative requests sent"),
        ("duplicate_nonce", "Invalid nonce: duplicate nonce"),
    ],
)
async def test_refusals_can_be_provoked(serve: Serve, name: str, text: str) -> None:
    async with serve(config=FUNDED) as client:
        await client.fault(name)
        assert (await Trader(client).send(orders(order())))["response"].startswith(text)


async def test_agents_can_be_made_to_expire(serve: Serve) -> None:
    agent = Account.from_key("0x" + "33" * 32)
    async with serve(config=FUNDED) as client:
        approval = {"type": "approveAgent", "agentAddress": agent.address, "agentName": "", "nonce": START_MS + 1}
        signature = signing.sign_agent(TRADER, approval, False)
        body = {"action": approval, "nonce": START_MS + 1, "signature": signature}
        assert (await Trader(client).post(body))["status"] == "ok"
        trader = Trader(client, agent)
        assert (await trader.send(orders(order())))["status"] == "ok"
        await client.fault("agent_expired")
        assert "does not exist" in (await trader.send(orders(order())))["response"]


async def test_an_order_can_be_executed_although_its_answer_is_lost(serve: Serve) -> None:
    async with serve(config=FUNDED) as client:
        await client.fault("http_disconnect", path="/exchange")
        with pytest.raises(aiohttp.ClientConnectionError):
            await Trader(client).send(orders(order(c="0x" + "0" * 31 + "9")))
        found = await client.info(type="orderStatus", user=ME, oid="0x" + "0" * 31 + "9")
        assert found["order"]["status"] == "open"


async def test_an_answer_can_come_after_its_fill(serve: Serve) -> None:
    async with serve(config=FUNDED) as client, client.socket() as socket:
        await socket.subscribe(type="userFills", user=ME)
        await socket.next()
        await client.fault("http_late", path="/exchange", delay_s=0.1)
        answer = asyncio.create_task(Trader(client).status(orders(order(px="100500", tif="Ioc"))))
        while not client.emulator.parts().venue.desk.accounts[ME].fills:
            await asyncio.sleep(0.005)
        await client.advance(100)
        assert len((await socket.next())["data"]["fills"]) == 1
        assert not answer.done()
        assert "filled" in await answer
