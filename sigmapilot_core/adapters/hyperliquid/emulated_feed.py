"""The feed of an emulated venue that plays a recording: its frames carry the receive time, and it has an end."""

from __future__ import annotations

import asyncio
import random
import re

from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.hyperliquid.connection import Connection
from sigmapilot_core.adapters.hyperliquid.feed import Feed, FeedParams
from sigmapilot_core.adapters.hyperliquid.pacing import Pace

_RECEIVED = re.compile(rb'"emulatedReceiveMs":(\d+)')
_END = re.compile(rb'"channel":"emulator".*"event":"end"')


class EmulatedFeed(Feed):
    """A feed whose clock is moved by its frames; `ended` is set by the emulator's last frame."""

    def __init__(self, params: FeedParams, clock: FeedClock, pace: Pace, rng: random.Random) -> None:
        super().__init__(params, clock, pace, rng)
        self._feed_clock = clock
        self.ended = asyncio.Event()

    async def _receive(self, connection: Connection, raw: bytes) -> None:
        found = _RECEIVED.search(raw)
        if found is not None:
            self._feed_clock.advance_to(int(found[1]))
        if _END.search(raw) is not None:
            self.ended.set()
        await super()._receive(connection, raw)
