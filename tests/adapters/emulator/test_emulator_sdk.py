"""The unmodified hyperliquid-python-sdk runs against the emulator (spec hyperliquid 9.7)."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from emulator_harness import ALICE, BOB, START_MS, TRADER
from eth_account import Account
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info
from hyperliquid.utils.types import Cloid

from sigmapilot_core.adapters.emulator.faults import FaultOrder
from sigmapilot_core.adapters.emulator.server import RunningEmulator

ME = TRADER.address.lower()
GTC = {"limit": {"tif": "Gtc"}}


@pytest.fixture
def info(threaded: RunningEmulator) -> Iterator[Info]:
    info = Info(threaded.url, skip_ws=True, timeout=5)
    yield info
    info.session.close()


Trade = Callable[..., Exchange]


@pytest.fixture
def trade(threaded: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trade]:
    """Makes SDK exchanges; their nonces are made unique, which the SDK leaves to the application (spec 5.6)."""
    last = [int(time.time() * 1000)]

    def unique() -> int:
        last[0] = max(last[0] + 1, int(time.time() * 1000))
        return last[0]

    monkeypatch.setattr("hyperliquid.exchange.get_timestamp_ms", unique)
    made: list[Exchange] = []

    def make(wallet: Any = TRADER, **options: Any) -> Exchange:
        made.append(Exchange(wallet, threaded.url, timeout=5, **options))
        return made[-1]

    yield make
    for exchange in made:
        exchange.session.close()
        exchange.info.session.close()


@pytest.fixture
def exchange(trade: Trade) -> Exchange:
    """An exchange of the funded account."""
    return trade()


@pytest.fixture
def listening(threaded: RunningEmulator) -> Iterator[Info]:
    """The SDK's client with a WebSocket. Its threads are no daemons: they end at once if the server closes first."""
    info = Info(threaded.url, timeout=5)
    yield info
    raw = info.ws_manager.ws.sock.sock  # the SDK forgets to close it when the server closes first
    threaded.call(lambda emulator: emulator.order_fault(FaultOrder("close_1000")))
    info.ws_manager.join(5)
    assert not info.ws_manager.is_alive()
    info.disconnect_websocket()
    info.session.close()
    raw.close()


def only(answer: dict[str, Any]) -> Any:
    """The single status of an order action."""
    assert answer["status"] == "ok", answer
    (status,) = answer["response"]["data"]["statuses"]
    return status


def position(info: Info, coin: str = "BTC") -> Decimal:
    found = [p["position"] for p in info.user_state(ME)["assetPositions"]]
    return next((Decimal(p["szi"]) for p in found if p["coin"] == coin), Decimal(0))


# 9.7 point 1


def test_reads_parse(threaded: RunningEmulator, info: Info) -> None:
    threaded.advance(START_MS + 4_000)
    assert set(info.all_mids()) == {"BTC", "ETH", "SOL"}
    assert Decimal(info.user_state(ME)["marginSummary"]["accountValue"]) == 10_000
    assert len(info.candles_snapshot("BTC", "1m", 0, START_MS * 2)) >= 1
    assert len(info.user_fills(ALICE)) == 39
    assert [f["tid"] for f in info.user_fills_by_time(BOB, START_MS, START_MS + 200)] == [1, 2]
    assert info.meta()["universe"][0]["name"] == "BTC"
    assert len(info.meta_and_asset_ctxs()) == 2
    assert info.l2_snapshot("ETH")["coin"] == "ETH"
    assert info.user_fees(ME)["userCrossRate"] == "0.00045"
    assert info.query_sub_accounts(ME) is None
    assert info.portfolio(ALICE) == []
    assert info.user_role(ALICE) == {"role": "user"}
    assert info.user_rate_limit(ME)["nRequestsCap"] == 10_000
    assert info.extra_agents(ME) == []
    assert info.query_user_abstraction_state(ME) == "default"


def test_the_list_of_dexes_can_be_read(trade: Trade) -> None:
    assert trade(perp_dexs=[""]).info.name_to_asset("ETH") == 1


# 9.7 point 2


def test_trades_arrive_with_both_users(threaded: RunningEmulator, listening: Info) -> None:
    frames: queue.Queue[dict[str, Any]] = queue.Queue()
    threaded.advance(START_MS + 100)
    listening.subscribe({"type": "trades", "coin": "BTC"}, frames.put)
    replay = frames.get(timeout=5)
    threaded.advance(START_MS + 200)
    live = frames.get(timeout=5)
    assert [t["tid"] for t in replay["data"] + live["data"]] == [1, 2]
    assert live["data"][0]["users"] == [ALICE, BOB]


def test_several_channels_reach_their_callbacks(threaded: RunningEmulator, listening: Info) -> None:
    frames: queue.Queue[dict[str, Any]] = queue.Queue()
    wanted = [
        {"type": "allMids"},
        {"type": "l2Book", "coin": "BTC"},
        {"type": "bbo", "coin": "BTC"},
        {"type": "userFills", "user": ALICE},
        {"type": "activeAssetCtx", "coin": "BTC"},
        {"type": "userFundings", "user": ALICE},
        {"type": "userNonFundingLedgerUpdates", "user": ALICE},
        {"type": "activeAssetData", "user": ALICE, "coin": "BTC"},
    ]
    for subscription in wanted:
        listening.subscribe(subscription, frames.put)
    seen = {frames.get(timeout=5)["channel"] for _ in wanted}
    assert seen == {subscription["type"] for subscription in wanted}


@pytest.mark.soak
def test_a_quiet_connection_survives_three_minutes_of_the_sdks_pings(
    threaded: RunningEmulator, listening: Info
) -> None:
    frames: queue.Queue[dict[str, Any]] = queue.Queue()
    listening.subscribe({"type": "trades", "coin": "BTC"}, frames.put)
    threading.Event().wait(180)
    threaded.advance(START_MS + 100)
    assert frames.get(timeout=5)["channel"] == "trades"


# 9.7 point 3


def test_an_immediate_order_fills_at_its_limit_or_better(
    threaded: RunningEmulator, info: Info, exchange: Exchange
) -> None:
    status = only(exchange.order("BTC", True, 0.01, 100_500, {"limit": {"tif": "Ioc"}}))
    # the book asks 100 010 (one basis point above 100 000)
    assert (status["filled"]["totalSz"], status["filled"]["avgPx"]) == ("0.01", "100010")
    assert position(info) == Decimal("0.01")
    threaded.advance(START_MS + 100)
    (fill,) = info.user_fills(ME)
    assert (fill["dir"], fill["crossed"], fill["startPosition"]) == ("Open Long", True, "0.0")
    assert fill["fee"] == "0.450045"  # 0.01 x 100 010 x 0.045 %


def test_a_resting_order_is_listed_and_can_be_cancelled(info: Info, exchange: Exchange) -> None:
    oid = only(exchange.order("BTC", True, 0.01, 90_000, GTC))["resting"]["oid"]
    assert [o["oid"] for o in info.open_orders(ME)] == [oid]
    assert info.query_order_by_oid(ME, oid)["order"]["status"] == "open"
    assert info.l2_snapshot("BTC")["levels"][0][-1]["px"] == "90000.0"
    assert only(exchange.cancel("BTC", oid)) == "success"
    assert info.open_orders(ME) == []
    assert only(exchange.cancel("BTC", oid))["error"].startswith("Order was never placed, already canceled, or filled.")
    assert info.query_order_by_oid(ME, oid)["order"]["status"] == "canceled"
    assert info.query_order_by_oid(ME, 999)["status"] == "unknownOid"


def test_client_order_ids_name_orders(info: Info, exchange: Exchange) -> None:
    cloid = Cloid.from_int(7)
    assert only(exchange.order("BTC", True, 0.01, 90_000, GTC, cloid=cloid))["resting"]["cloid"] == cloid.to_raw()
    assert info.query_order_by_cloid(ME, cloid)["order"]["order"]["cloid"] == cloid.to_raw()
    assert only(exchange.cancel_by_cloid("BTC", cloid)) == "success"


def test_a_market_round_trip_ends_flat(info: Info, exchange: Exchange) -> None:
    assert "filled" in only(exchange.market_open("BTC", False, 0.02))
    assert position(info) == Decimal("-0.02")
    assert "filled" in only(exchange.market_close("BTC"))
    assert position(info) == 0
    assert exchange.market_close("BTC") is None


def test_a_modified_order_has_a_new_id_and_the_same_client_id(info: Info, exchange: Exchange) -> None:
    cloid = Cloid.from_int(8)
    oid = only(exchange.order("BTC", True, 0.01, 90_000, GTC, cloid=cloid))["resting"]["oid"]
    new = only(exchange.modify_order(oid, "BTC", True, 0.02, 91_000, GTC, cloid=cloid))["resting"]["oid"]
    (order,) = info.open_orders(ME)
    assert (order["oid"], order["limitPx"], order["cloid"]) == (new, "91000.0", cloid.to_raw())
    assert new != oid


def test_a_stop_is_seen_with_its_trigger(info: Info, exchange: Exchange) -> None:
    exchange.market_open("BTC", True, 0.01)
    stop = {"trigger": {"triggerPx": 95_000, "isMarket": True, "tpsl": "sl"}}
    assert "resting" in only(exchange.order("BTC", False, 0.01, 94_000, stop, reduce_only=True))
    (order,) = info.frontend_open_orders(ME)
    assert (order["isTrigger"], order["triggerPx"], order["orderType"]) == (True, "95000.0", "Stop Market")
    assert (order["triggerCondition"], order["tif"], order["reduceOnly"]) == ("Price below 95000", None, True)


def test_scheduled_cancels_fire_by_the_venues_time(threaded: RunningEmulator, info: Info, exchange: Exchange) -> None:
    exchange.order("BTC", True, 0.01, 90_000, GTC)
    assert exchange.schedule_cancel(int(time.time() * 1000) + 6_000)["status"] == "ok"
    threaded.advance(START_MS + 5_000)
    assert len(info.open_orders(ME)) == 1
    threaded.advance(START_MS + 7_000)
    assert info.open_orders(ME) == []
    assert info.historical_orders(ME)[0]["status"] == "scheduledCancel"
    assert exchange.schedule_cancel(None)["status"] == "ok"
    assert exchange.schedule_cancel(int(time.time() * 1000) + 1_000)["status"] == "err"


def test_leverage_can_be_changed_within_its_limit(info: Info, exchange: Exchange) -> None:
    assert exchange.update_leverage(5, "BTC")["status"] == "ok"
    assert exchange.update_leverage(41, "BTC")["status"] == "err"
    assert info.post("/info", {"type": "activeAssetData", "user": ME, "coin": "BTC"})["leverage"]["value"] == 5


@pytest.mark.parametrize(
    ("size", "px", "text"),
    [
        (0.01, 100_000.5, "Price must be divisible by tick size."),
        (0.0000001, 100_000, "Order has invalid size."),
        (0.00001, 100_000, "Order must have minimum value of $10."),
        (10, 100_000, "Insufficient margin to place order."),
        (0.01, 10_000, "Order price cannot be more than 80% away from the reference price"),
    ],
)
def test_refusals_have_the_venues_words(exchange: Exchange, size: float, px: float, text: str) -> None:
    assert only(exchange.order("BTC", True, size, px, GTC))["error"].startswith(text)


def test_an_order_that_cannot_fill_at_once_says_so(exchange: Exchange) -> None:
    status = only(exchange.order("BTC", True, 0.01, 90_000, {"limit": {"tif": "Ioc"}}))
    assert status["error"].startswith("Order could not immediately match against any resting orders.")


# 9.7 point 4


def test_an_agent_trades_for_its_master_and_moves_no_money(info: Info, exchange: Exchange, trade: Trade) -> None:
    answer, key = exchange.approve_agent()
    assert answer["status"] == "ok"
    agent = trade(Account.from_key(key))
    assert "filled" in only(agent.market_open("BTC", True, 0.01))
    assert position(info) == Decimal("0.01")
    assert info.user_role(agent.wallet.address) == {"role": "agent", "data": {"user": ME}}
    assert "does not exist" in agent.usd_transfer(1, BOB)["response"]
    _, named = exchange.approve_agent("second")
    assert [a["name"] for a in info.extra_agents(ME)] == ["second"]
    exchange.approve_agent()  # replaces the unnamed one
    assert "does not exist" in agent.order("BTC", True, 0.01, 90_000, GTC)["response"]
    assert "resting" in only(trade(Account.from_key(named)).order("BTC", True, 0.01, 90_000, GTC))


def test_a_sub_account_is_traded_through_the_vault_address(info: Info, exchange: Exchange, trade: Trade) -> None:
    sub = exchange.create_sub_account("first")["response"]["data"]
    assert exchange.sub_account_transfer(sub, True, 2_000_000_000)["status"] == "ok"  # 2 000 USD in millionths
    through = trade(vault_address=sub)
    assert "filled" in only(through.market_open("BTC", True, 0.01))
    (listed,) = info.query_sub_accounts(ME)
    assert listed["clearinghouseState"]["assetPositions"][0]["position"]["szi"] == "0.01"
    assert position(info) == 0
    stranger = trade(vault_address=BOB)
    assert stranger.order("BTC", True, 0.01, 90_000, GTC)["response"] == f"Vault not registered: {BOB}"


# 9.7 point 6


def test_money_is_conserved_over_all_accounts(threaded: RunningEmulator, info: Info, exchange: Exchange) -> None:
    friend = "0x" + "7" * 40
    exchange.market_open("BTC", True, 0.03)
    threaded.advance(START_MS + 500_000)  # over a full hour: funding is paid
    exchange.market_close("BTC", 0.01)
    exchange.order("ETH", False, 1, 4_000, {"limit": {"tif": "Ioc"}})
    exchange.usd_transfer(100, friend)
    exchange.withdraw_from_bridge(50, friend)
    engine = threaded.emulator.parts().venue.desk.engine
    assert sum(engine.equity(u) for u in engine.users()) + engine.fees_collected == 10_000 - 50
    assert Decimal(info.user_state(friend)["marginSummary"]["accountValue"]) == 100
