"""A small WebSocket venue in the test's own process, scripted fault by fault."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from sigmapilot_core.adapters.hyperliquid import encode
from sigmapilot_core.domain.events import Trade

DEADLINE_S = 20.0


async def within(awaitable, seconds: float = DEADLINE_S):
    """Wait for something that must happen, with a deadline."""
    return await asyncio.wait_for(awaitable, seconds)


@dataclass(eq=False)
class Peer:
    """One connection as the venue sees it."""

    socket: ServerConnection
    requests: list[dict] = field(default_factory=list)
    is_silent: bool = False

    async def send(self, frame: object) -> None:
        await self.raw(orjson.dumps(frame).decode())

    async def raw(self, text: str) -> None:
        if not self.is_silent:
            await self.socket.send(text)

    def drop(self) -> None:
        """End the TCP connection without a closing handshake."""
        self.socket.transport.abort()


class Venue:
    """Acknowledges and replays like the venue; `answer` can be replaced to misbehave."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.replay: dict[str, list[Trade]] = {}
        self.answer: Callable[[Peer, dict], bool] = lambda _peer, _request: False
        self.url = ""
        self._changed = asyncio.Condition()

    async def handle(self, socket: ServerConnection) -> None:
        peer = Peer(socket)
        self.peers.append(peer)
        await socket.send(encode.HELLO)
        await self._notify()
        try:
            async for text in socket:
                request = orjson.loads(text)
                peer.requests.append(request)
                if not self.answer(peer, request):
                    await self._usual(peer, request)
                await self._notify()
        except ConnectionClosed:
            pass

    async def _usual(self, peer: Peer, request: dict) -> None:
        if request["method"] == "ping":
            await peer.send(encode.pong_frame())
            return
        subscription = request["subscription"]
        await peer.send(encode.ack_frame(request["method"], subscription))
        replay = self.replay.get(subscription.get("coin"))
        if request["method"] == "subscribe" and subscription["type"] == "trades" and replay:
            await peer.send(encode.trades_frame(replay))

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something was received that makes the condition true."""
        async with self._changed:
            await within(self._changed.wait_for(condition))

    def asked(self, method: str) -> list[dict]:
        """Requests of all connections by method."""
        return [r for peer in self.peers for r in peer.requests if r["method"] == method]


@asynccontextmanager
async def running_venue():
    venue = Venue()
    async with serve(venue.handle, "127.0.0.1", 0, close_timeout=0.2, ping_interval=None) as server:
        venue.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield venue
