"""One WebSocket connection as the venue sees it: what it subscribed to, what waits for it, and how it ends."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from sigmapilot_core.adapters.emulator.config import EmulatorConfig
from sigmapilot_core.adapters.emulator.limits import Seconds, SlidingWindow

Key = tuple[Any, ...]
"""Identity of a subscription: its type, then the values that make it distinct."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_CLOSE_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Socket:
    """The two halves of a client's socket: protocol and transport."""

    ws: web.WebSocketResponse
    transport: asyncio.Transport | None
    peer: str

    def abort(self, reset: bool) -> None:
        """End the TCP connection without a close frame; with `reset` the peer sees RST instead of FIN."""
        if self.transport is None:
            return
        raw = self.transport.get_extra_info("socket")
        if reset and raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()


class Connection:
    """A client's socket with its queue.

    A live feed never waits: a consumer that lags by more than the queue is closed, as the venue does. A recording
    (`waits`) is as fast as its consumer.
    """

    def __init__(self, sock: Socket, config: EmulatorConfig, seconds: Seconds, waits: bool) -> None:
        self.peer = sock.peer
        self.subscriptions: dict[Key, dict[str, Any]] = {}
        self.pending_posts = 0
        self.muted = False
        self.messages = SlidingWindow(config.limits.messages_per_minute, seconds)
        self._socket = sock
        self._idle_s = config.stream.idle_s
        self._waits = waits
        room = config.stream.recording_queue_frames if waits else config.stream.queue_frames
        self._queue: asyncio.Queue[str | bytes] = asyncio.Queue(room)
        self._marks = itertools.count(1)
        self._awaited: dict[bytes, asyncio.Event] = {}
        self._closing: asyncio.Task[None] | None = None
        self._aborted = False

    @property
    def is_open(self) -> bool:
        """False once either side has begun to close."""
        return not (self._socket.ws.closed or self._aborted or self._closing is not None)

    async def send(self, text: str | bytes) -> None:
        """Queue a frame (or, as bytes, a protocol ping)."""
        if self.muted or not self.is_open:
            return
        if self._waits:
            await self._queue.put(text)
            return
        try:
            self._queue.put_nowait(text)
        except asyncio.QueueFull:
            self.close(1008, "Slow consumer")

    async def caught_up(self, timeout_s: float) -> None:
        """Wait until the client has read what was sent so far: a protocol ping behind it is answered.

        A client that does not answer in time is closed as a slow consumer.
        """
        if self.muted or not self.is_open:
            return
        mark = b"mark-%d" % next(self._marks)
        event = self._awaited[mark] = asyncio.Event()
        try:
            async with asyncio.timeout(timeout_s):
                await self.send(mark)
                await event.wait()
        except TimeoutError:
            self.close(1008, "Slow consumer")
        finally:
            self._awaited.pop(mark, None)

    def answered(self, mark: bytes) -> None:
        """The client answered a protocol ping."""
        event = self._awaited.get(mark)
        if event is not None:
            event.set()

    async def write(self) -> None:
        """Send what is queued until the connection ends; one that has nothing to say for too long is closed."""
        while self.is_open:
            try:
                async with asyncio.timeout(self._idle_s):
                    item = await self._queue.get()
            except TimeoutError:
                if not self.muted:
                    self.close(1000, "Idle")
                continue
            if self.muted:
                continue
            try:
                await self._write(item)
            except ConnectionResetError:
                return

    async def _write(self, item: str | bytes) -> None:
        if isinstance(item, bytes):
            await self._socket.ws.ping(item)
        else:
            await self._socket.ws.send_frame(item.encode(), WSMsgType.TEXT)

    def mute(self) -> None:
        """Stay open and silent for ever: a half-open connection."""
        self.muted = True
        self._release()

    def close(self, code: int, reason: str) -> None:
        """Begin an orderly close; the first call wins."""
        if self.is_open:
            self._closing = asyncio.get_running_loop().create_task(self._close(code, reason))
            self._release()

    async def _close(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(_CLOSE_WAIT_S):
                await self._socket.ws.close(code=code, message=reason.encode())
        except (TimeoutError, ConnectionResetError):
            self._socket.abort(reset=False)

    def abort(self, reset: bool) -> None:
        """End the TCP connection without a close frame."""
        self._aborted = True
        self._socket.abort(reset)
        self._release()

    async def finished(self) -> None:
        """Wait for a close that was begun, so that nothing outlives the connection."""
        self._aborted = True
        self._release()
        if self._closing is not None:
            await asyncio.gather(self._closing, return_exceptions=True)

    def _release(self) -> None:
        """Let go of everybody who waits for this connection."""
        for event in self._awaited.values():
            event.set()
        while not self._queue.empty():
            self._queue.get_nowait()
