"""From a block to frames on sockets: channels, faults, encoding, delivery."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from sigmapilot_core.adapters.emulator.channels import FeedChannel
from sigmapilot_core.adapters.emulator.connection import Key
from sigmapilot_core.adapters.emulator.disturb import FrameFaults, Outgoing
from sigmapilot_core.adapters.emulator.hub import Hub
from sigmapilot_core.adapters.emulator.venue import Block

Wire = dict[str, Any]
RECEIVE_KEY = "emulatedReceiveMs"
"""Top-level key of data frames in a recording: when the frame arrived. The exchange itself does not have it."""
END_FRAME: Wire = {"channel": "emulator", "data": {"event": "end"}}
"""Last frame of a recording; a channel the exchange does not have."""


def encoded(frame: Wire, receive_ms: int | None = None) -> str:
    """A frame as text, with its virtual receive time where there is one."""
    return orjson.dumps(frame if receive_ms is None else frame | {RECEIVE_KEY: receive_ms}).decode()


class Publisher:
    """Sends each frame to everybody who is subscribed. `lock` keeps an opening and a block's frames apart."""

    def __init__(self, hub: Hub, channels: dict[str, FeedChannel], faults: FrameFaults) -> None:
        self.lock = asyncio.Lock()
        self.receive_ms: int | None = None
        self._hub = hub
        self._channels = channels
        self._faults = faults

    async def publish(self, block: Block) -> None:
        """Send what a block brings, after what was held back until now."""
        async with self.lock:
            self.receive_ms = block.received_ms
            for held in self._faults.released():
                await self._send(held)
            for channel in self._channels.values():
                for key, frame in channel.frames(block):
                    for out in self._faults.apply(key, frame):
                        await self._send(out)

    async def replay(self, wanted: dict[str, Any]) -> None:
        """Send every subscriber of matching keys the channel's opening again, as after a silent resubscription."""
        async with self.lock:
            for name in (wanted["channel"],) if wanted.get("channel") else tuple(self._channels):
                for key in self._hub.keys(name):
                    subscription = self._hub.subscription(key)
                    if all(subscription.get(k) == v for k, v in wanted.items() if k in ("coin", "user") and v):
                        for text in self.opening(key):
                            await self._send_text(key, text)

    def opening(self, key: Key) -> list[str]:
        """Frames a new subscriber of a key receives behind the acknowledgement."""
        frames = self._channels[key[0]].opening(key)
        return [encoded(self._faults.content(frame), self.receive_ms) for frame in frames]

    async def send_everybody(self, frame: Wire) -> None:
        """A frame on every connection, whatever it is subscribed to."""
        for connection in tuple(self._hub.connections):
            await connection.send(encoded(frame))

    async def wait_for_consumers(self, timeout_s: float) -> None:
        """Wait until every client has read what was sent."""
        await asyncio.gather(*(c.caught_up(timeout_s) for c in tuple(self._hub.connections)))

    async def _send(self, out: Outgoing) -> None:
        await self._send_text(out.key, out.text or encoded(out.frame, self.receive_ms))

    async def _send_text(self, key: Key, text: str) -> None:
        for connection in self._hub.subscribers(key):
            await connection.send(text)
