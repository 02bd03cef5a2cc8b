"""The passing of time: who moves the venue from block to block (spec section 9.4, block clock)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sigmapilot_core.adapters.emulator.config import EmulatorConfig
from sigmapilot_core.adapters.emulator.publisher import END_FRAME, Publisher
from sigmapilot_core.adapters.emulator.venue import Block, Venue
from sigmapilot_core.ports import Clock


@dataclass(frozen=True, slots=True)
class RecordedBlock:
    """A block of a recording: when the venue closed it and when its frames arrived."""

    time_ms: int
    received_ms: int


class Driver:
    """Moves the venue and publishes each block. `before_block` runs ahead of every block with the time it will have."""

    def __init__(
        self, venue: Venue, publisher: Publisher, config: EmulatorConfig, before_block: Callable[[int], Awaitable[None]]
    ) -> None:
        self.started = asyncio.Event()
        self.ended = False
        self._venue = venue
        self._publisher = publisher
        self._config = config
        self._before_block = before_block

    async def step(self, to_ms: int, received_ms: int | None = None) -> Block:
        """One block: everything up to and including `to_ms` happens and is sent."""
        await self._before_block(to_ms)
        block = self._venue.advance(to_ms, received_ms)
        await self._publisher.publish(block)
        return block

    async def advance(self, to_ms: int) -> None:
        """Block after block up to an instant: the stepped clock of tests."""
        length = self._config.block_ms
        while self._venue.now_ms < to_ms:
            await self.step(min((self._venue.now_ms // length + 1) * length, to_ms))

    async def run_live(self, clock: Clock) -> None:
        """Follow a clock, one block every `block_ms`; after a pause one long block catches up."""
        length = self._config.block_ms
        while True:
            now = clock.now_ms()
            if now // length * length > self._venue.now_ms:
                await self.step(now // length * length)
            await asyncio.sleep((length - clock.now_ms() % length) / 1000)

    async def run_recording(self, blocks: tuple[RecordedBlock, ...]) -> None:
        """Play a recording once it is started: at `speed` times its pace, at 0 as fast as the consumers read."""
        await self.started.wait()
        loop = asyncio.get_running_loop()
        origin, speed = loop.time(), self._config.speed
        for block in blocks:
            if speed > 0:
                await asyncio.sleep(origin + (block.received_ms - blocks[0].received_ms) / 1000 / speed - loop.time())
            await self.step(block.time_ms, block.received_ms)
            await self._publisher.wait_for_consumers(self._config.stream.consumer_timeout_s)
        self.ended = True
        await self._publisher.send_everybody(END_FRAME)
