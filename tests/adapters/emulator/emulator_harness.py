"""A small scripted venue behind a served emulator, and clients that fail instead of waiting for ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import aiohttp
import orjson
from eth_account import Account
from hyperliquid.utils import signing

from sigmapilot_core.adapters.emulator.config import EmulatorConfig
from sigmapilot_core.adapters.emulator.scripted_source import Script, ScriptedSource
from sigmapilot_core.adapters.emulator.server import serving
from sigmapilot_core.adapters.emulator.service import Emulator
from sigmapilot_core.domain.events import Trade
from sigmapilot_core.domain.venue import AssetSpec, CashFlow, LeaderboardRow, LeaderboardWindow

START_MS = 1_760_000_000_000
ALICE, BOB, CAROL = ("0x" + digit * 40 for digit in "abc")
TRADER = Account.from_key("0x" + "11" * 32)
ME = TRADER.address.lower()
FUNDED = EmulatorConfig(deposits={ME: Decimal(10_000)})
WAIT_S = 5.0
WINDOWS = {name: LeaderboardWindow(1_000.0, 0.02, 5_000.0) for name in ("day", "week", "month", "allTime")}


class StillClock:
    """The time at which scripts begin; stepped emulators never read it."""

    def now_ms(self) -> int:
        return START_MS


@dataclass
class HandClock:
    """Seconds that pass when a test says so."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def trade(
    number: int,
    after_ms: int,
    px: str = "100000",
    sz: str = "0.01",
    coin: str = "BTC",
    by: tuple[str, str] = (ALICE, BOB),
) -> Trade:
    """Trade `number`, `after_ms` after the start; the buyer is the aggressor."""
    return Trade(
        coin,
        Decimal(px),
        Decimal(sz),
        START_MS + after_ms,
        number,
        f"0x{number:064x}",
        by[0],
        by[1],
        aggressor_is_buyer=True,
    )


def script(*trades: Trade) -> Script:
    """BTC, ETH and SOL with some trades; Alice and Bob have deposited 50 000 each."""
    return Script(
        assets=[AssetSpec("BTC", 5, 40), AssetSpec("ETH", 4, 25), AssetSpec("SOL", 2, 20)],
        prices={"BTC": Decimal(100_000), "ETH": Decimal(4_000), "SOL": Decimal(200)},
        trades=list(trades),
        leaderboard=[LeaderboardRow(user, 50_000.0, WINDOWS) for user in (ALICE, BOB)],
        cash_flows=[CashFlow(user, START_MS - 1000, Decimal(50_000), "deposit") for user in (ALICE, BOB)],
    )


@dataclass
class Socket:
    """A WebSocket client that keeps what it has not been asked for yet."""

    raw: aiohttp.ClientWebSocketResponse
    kept: list[Any] = field(default_factory=list)

    async def text(self) -> str:
        message = await asyncio.wait_for(self.raw.receive(), WAIT_S)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return str(message.data)

    async def next(self) -> dict[str, Any]:
        """The next frame."""
        return orjson.loads(await self.text())

    async def frame(self, channel: str) -> dict[str, Any]:
        """The next frame of a channel; frames of others are passed over."""
        while True:
            frame = await self.next()
            if frame["channel"] == channel:
                return frame

    async def say(self, **message: Any) -> None:
        await self.raw.send_str(orjson.dumps(message).decode())

    async def subscribe(self, **subscription: Any) -> dict[str, Any]:
        """Subscribe and give the acknowledgement."""
        await self.say(method="subscribe", subscription=subscription)
        return await self.frame("subscriptionResponse")

    async def silence(self) -> bool:
        """True if nothing more was sent until now: the answer to a ping comes next."""
        await self.say(method="ping")
        return (await self.next())["channel"] == "pong"

    async def ended(self) -> tuple[int | None, str]:
        """Close code and reason, once the server has ended the connection."""
        while True:
            message = await asyncio.wait_for(self.raw.receive(), WAIT_S)
            if message.type is aiohttp.WSMsgType.CLOSE:
                return message.data, message.extra or ""
            if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                return self.raw.close_code, ""


@dataclass
class Client:
    """HTTP and WebSocket of one served emulator."""

    emulator: Emulator
    url: str
    http: aiohttp.ClientSession

    async def info(self, **body: Any) -> Any:
        async with self.http.post(f"{self.url}/info", json=body) as reply:
            assert reply.status == 200, (reply.status, await reply.text())
            return await reply.json()

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, str]:
        async with self.http.post(f"{self.url}{path}", json=body, headers=headers) as reply:
            return reply.status, await reply.text()

    async def fault(self, name: str, **values: Any) -> None:
        status, text = await self.post("/emulator/fault", {"name": name, **values})
        assert status == 200, text

    async def advance(self, ms: int) -> None:
        status, text = await self.post("/emulator/advance", {"ms": ms})
        assert status == 200, text

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[Socket]:
        """A connection that has been greeted."""
        async with self.http.ws_connect(f"{self.url}/ws") as raw:
            socket = Socket(raw)
            assert await socket.text() == "Websocket connection established."
            yield socket


Serve = Callable[..., AbstractAsyncContextManager[Client]]


@asynccontextmanager
async def serve_script(
    *trades: Trade, config: EmulatorConfig | None = None, seconds: HandClock | None = None, **emulator: Any
) -> AsyncIterator[Client]:
    """Serve a scripted venue with a stepped clock in the test's own loop."""
    settings = replace(config or EmulatorConfig(), stepped=True)
    served = Emulator(settings, StillClock(), seconds=seconds or HandClock(), **emulator)
    async with serving(served) as url, aiohttp.ClientSession() as http:
        served.open(ScriptedSource(script(*trades), START_MS))
        yield Client(served, url, http)


def order(px: str = "90000", sz: str = "0.01", tif: str = "Gtc", is_buy: bool = True, **more: Any) -> dict[str, Any]:
    return {"a": 0, "b": is_buy, "p": px, "s": sz, "r": False, "t": {"limit": {"tif": tif}}} | more


def orders(*wires: dict[str, Any]) -> dict[str, Any]:
    return {"type": "order", "orders": list(wires), "grouping": "na"}


@dataclass
class Trader:
    """Signs and sends actions with ascending nonces."""

    client: Client
    wallet: Any = TRADER
    nonce: int = START_MS

    def envelope(self, action: dict[str, Any], **more: Any) -> dict[str, Any]:
        self.nonce += 1
        vault, expires = more.get("vaultAddress"), more.get("expiresAfter")
        signature = signing.sign_l1_action(self.wallet, action, vault, self.nonce, expires, False)
        body = {"action": action, "nonce": self.nonce, "signature": signature}
        return body | {"vaultAddress": vault, "expiresAfter": expires}

    async def send(self, action: dict[str, Any], **more: Any) -> Any:
        return await self.post(self.envelope(action, **more))

    async def post(self, body: dict[str, Any]) -> Any:
        status, text = await self.client.post("/exchange", body)
        assert status == 200, (status, text)
        return json.loads(text)

    async def status(self, action: dict[str, Any]) -> Any:
        """The only status of an order action's answer."""
        answer = await self.send(action)
        assert answer["status"] == "ok", answer
        return answer["response"]["data"]["statuses"][0]
