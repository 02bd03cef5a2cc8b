"""GET /ws: the conversation on one WebSocket connection (spec section 3.1, 3.2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from sigmapilot_core.adapters.emulator.config import EmulatorConfig
from sigmapilot_core.adapters.emulator.connection import Connection, Socket
from sigmapilot_core.adapters.emulator.faults import FaultRegistry
from sigmapilot_core.adapters.emulator.hub import Hub, Refused
from sigmapilot_core.adapters.emulator.limits import Seconds
from sigmapilot_core.adapters.emulator.publisher import Publisher, encoded
from sigmapilot_core.adapters.emulator.subscriptions import InvalidSubscription, normalise
from sigmapilot_core.adapters.emulator.venue import Venue
from sigmapilot_core.adapters.hyperliquid import encode

_MAX_MESSAGE_BYTES = 1 << 20
_NUMBERS = 1 << 63
Post = Callable[[str, Any, str], "PostAnswer"]
"""Executes a request of kind info or action for a network address."""


@dataclass(frozen=True, slots=True)
class PostAnswer:
    """The payload of a `post` response, or the text of its error."""

    payload: Any = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """What every conversation needs."""

    venue: Venue
    hub: Hub
    publisher: Publisher
    faults: FaultRegistry
    config: EmulatorConfig
    seconds: Seconds
    post: Post
    waits: bool


async def converse(request: web.Request, feed: Feed) -> web.WebSocketResponse:
    """Serve one connection until it ends; nothing of it is left behind."""
    ws = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=_MAX_MESSAGE_BYTES)
    await ws.prepare(request)
    sock = Socket(ws, request.transport, request.remote or "")
    connection = Connection(sock, feed.config, feed.seconds, feed.waits)
    refusal = feed.hub.admit(connection)
    if refusal is not None:
        await ws.send_str(encoded(encode.error_frame(refusal)))
        await ws.close(code=1008, message=refusal.encode())
        return ws
    session = Session(connection, feed)
    try:
        await session.run(ws)
    finally:
        feed.hub.forget(connection)
        await session.finish()
    return ws


class Session:
    """One client's conversation."""

    def __init__(self, connection: Connection, feed: Feed) -> None:
        self._connection = connection
        self._feed = feed
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, ws: web.WebSocketResponse) -> None:
        """Greet, then answer until the connection ends; without a subscription it is closed as inactive."""
        self._start(self._connection.write())
        await self._connection.send(encode.HELLO)
        loop = asyncio.get_running_loop()
        patience = loop.call_later(self._feed.config.stream.inactive_s, self._close_if_unused)
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    await self._hear(message.data)
                elif message.type is WSMsgType.PONG:
                    self._connection.answered(bytes(message.data))
                elif message.type is WSMsgType.PING and not self._connection.muted:
                    await ws.pong(message.data)
        finally:
            patience.cancel()

    async def finish(self) -> None:
        """End everything that belongs to the conversation."""
        await self._connection.finished()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _close_if_unused(self) -> None:
        if not self._connection.subscriptions and not self._connection.muted:
            self._connection.close(1000, "Inactive")

    async def _hear(self, text: str) -> None:
        limits = self._feed.config.limits
        if not self._connection.messages.take(1) and limits.enabled:
            await self._error(f"Cannot send more than {limits.messages_per_minute} messages per minute.")
            return
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        method = message.get("method") if isinstance(message, dict) else None
        if method == "ping":
            await self._connection.send(encoded(encode.pong_frame()))
        elif method == "subscribe":
            await self._subscribe(message.get("subscription"))
        elif method == "unsubscribe":
            await self._unsubscribe(message.get("subscription"))
        elif method == "post" and _is_number(message.get("id")) and isinstance(message.get("request"), dict):
            await self._post(message["id"], message["request"])
        else:
            await self._error(f"Error parsing JSON into valid websocket request: {text}")

    async def _error(self, text: str) -> None:
        await self._connection.send(encoded(encode.error_frame(text)))

    async def _subscribe(self, wanted: Any) -> None:
        feed, connection = self._feed, self._connection
        try:
            key, subscription = normalise(wanted, feed.venue.asset_ids, feed.venue.other_coins)
        except InvalidSubscription:
            await self._error(f"Invalid subscription {_json(wanted)}")
            return
        if key in connection.subscriptions:
            await self._error(f"Already subscribed: {_json(subscription)}")
            return
        async with feed.publisher.lock:
            try:
                feed.hub.subscribe(connection, key, subscription, subscription.get("user"))
            except Refused as refusal:
                await self._error(str(refusal))
                return
            await self._acknowledge("subscribe", subscription)
            for text in feed.publisher.opening(key):
                await connection.send(text)

    async def _unsubscribe(self, wanted: Any) -> None:
        try:
            key, subscription = normalise(wanted, self._feed.venue.asset_ids, self._feed.venue.other_coins)
        except InvalidSubscription:
            await self._error(f"Invalid subscription {_json(wanted)}")
            return
        if key not in self._connection.subscriptions:
            await self._error(f"Already unsubscribed: {_json(subscription)}")
            return
        self._feed.hub.unsubscribe(self._connection, key)
        await self._acknowledge("unsubscribe", subscription)

    async def _acknowledge(self, method: str, subscription: dict[str, Any]) -> None:
        if self._feed.faults.find("no_ack"):
            return
        text = encoded(encode.ack_frame(method, subscription))
        delay = self._feed.faults.find("delay_acks")
        if delay is None:
            await self._connection.send(text)
        else:
            self._start(self._later(delay.delay_s, text))

    async def _later(self, delay_s: float, text: str) -> None:
        await asyncio.sleep(delay_s)
        await self._connection.send(text)

    async def _post(self, number: int, request: dict[str, Any]) -> None:
        limits = self._feed.config.limits
        if limits.enabled and self._connection.pending_posts >= limits.pending_posts:
            await self._error(f"too many pending post requests id={number}")
            return
        self._connection.pending_posts += 1
        self._start(self._answer(number, request))

    async def _answer(self, number: int, request: dict[str, Any]) -> None:
        try:
            slow = self._feed.faults.find("http_slow", path="/ws")
            if slow is not None:
                await asyncio.sleep(slow.delay_s)
            kind = "info" if request.get("type") == "info" else "action"
            answer = self._feed.post(kind, request.get("payload"), self._connection.peer)
            response = {"type": kind, "payload": answer.payload}
            if answer.error is not None:
                response = {"type": "error", "payload": answer.error}
            await self._connection.send(encoded(encode.frame("post", {"id": number, "response": response})))
        finally:
            self._connection.pending_posts -= 1


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value < _NUMBERS


def _json(value: Any) -> str:
    """What a client sent, as compact ASCII: it may hold numbers and letters that no venue would send."""
    return json.dumps(value, separators=(",", ":"))
