"""The feed of an emulated venue that plays a recording: its frames carry the receive time, and it has an end."""

from __future__ import annotations

import asyncio
import random
import re

from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.hyperliquid.connection import Connection, LinkState
from sigmapilot_core.adapters.hyperliquid.feed import Feed, FeedParams
from sigmapilot_core.adapters.hyperliquid.pacing import Pace

_RECEIVED = re.compile(rb'"emulatedReceiveMs":(\d+)}$')
_END = re.compile(rb'{"channel":"emulator",.*"event":"end"')
_HEARING = (LinkState.LIVE, LinkState.SUBSCRIBING)


class EmulatedFeed(Feed):
    """A feed whose clock is moved by its frames. The emulator's last frame comes on every connection; `ended` is set
    once it has come on all that are open, so that nothing is still under way."""

    def __init__(self, params: FeedParams, clock: FeedClock, pace: Pace, rng: random.Random) -> None:
        super().__init__(params, clock, pace, rng)
        self._feed_clock = clock
        self._ended_on: set[str] = set()
        self.ended = asyncio.Event()

    async def _receive(self, connection: Connection, raw: bytes) -> None:
        found = _RECEIVED.search(raw)
        if found is not None:
            self._feed_clock.advance_to(int(found[1]))
        elif _END.match(raw) is not None:
            self._ended_on.add(connection.name)
            if self._ended_on >= {status.name for status in self.status().connections if status.state in _HEARING}:
                self.ended.set()
            return
        await super()._receive(connection, raw)
