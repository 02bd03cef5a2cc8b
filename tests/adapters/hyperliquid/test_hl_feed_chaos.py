"""Whatever happens to the connection: each trade comes once, in order, or a gap tells that it is missing."""

import asyncio
import random

import orjson
import pytest
from hl_venue import Venue, running_venue, within
from test_hl_feed import feeding, trade
from websockets.exceptions import ConnectionClosed

from sigmapilot_core.adapters.hyperliquid import encode
from sigmapilot_core.adapters.hyperliquid import subscriptions as want
from sigmapilot_core.adapters.hyperliquid.liveness import LivenessParams
from sigmapilot_core.adapters.hyperliquid.messages import GapMessage, TradesMessage

LAST = 150
REPLAYED = 5


class Chaos:
    """Trades one after another to whoever is subscribed; drops, garbage and repetitions in between."""

    def __init__(self, venue: Venue, seed: int) -> None:
        self._venue = venue
        self._rng = random.Random(seed)
        self.drops = 0

    async def play(self) -> None:
        for tid in range(1, LAST + 1):
            self._venue.replay["BTC"] = [trade(n) for n in range(max(1, tid - REPLAYED + 1), tid + 1)]
            await self._tell(tid)
            await asyncio.sleep(self._rng.choice([0, 0, 0, 0.002]))
        while not self._subscribed():
            await asyncio.sleep(0.001)
        await self._tell(LAST)

    def _subscribed(self):
        peer = self._venue.peers[-1] if self._venue.peers else None
        return peer if peer is not None and peer.requests and peer.socket.state == 1 else None

    async def _tell(self, tid: int) -> None:
        peer = self._subscribed()
        if peer is None:
            return
        try:
            for text in self._texts(tid):
                await peer.raw(text)
            if self._rng.random() < 0.08 and tid < LAST:
                self.drops += 1
                peer.drop()
        except ConnectionClosed:
            return

    def _texts(self, tid: int) -> list[str]:
        good = orjson.dumps(encode.trades_frame([trade(tid)])).decode()
        noise = [
            "",
            "[]",
            '{"channel":"new","data":null}',
            orjson.dumps(encode.trades_frame([trade(max(1, tid - 1))])).decode(),
        ]
        return [good, self._rng.choice(noise)] if self._rng.random() < 0.3 else [good]


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
async def test_each_trade_comes_once_in_order_or_a_gap_tells_of_it(seed):
    liveness = LivenessParams(backoff_base_s=0.004, backoff_cap_s=0.02)
    async with running_venue() as venue:
        chaos = Chaos(venue, seed)
        venue.replay["BTC"] = [trade(1)]
        async with feeding(venue, [want.trades("BTC")], liveness=liveness, connects_per_minute=1000) as (_, stream):
            playing = asyncio.create_task(chaos.play())
            heard: list[int] = []
            gaps: list[tuple[int, int]] = []
            while LAST not in heard:
                frame = await within(anext(stream.frames))
                if isinstance(frame.parsed, TradesMessage):
                    heard += [t.tid for t in frame.parsed.trades]
                elif isinstance(frame.parsed, GapMessage):
                    gaps.append((frame.parsed.from_ms - 1000, frame.parsed.to_ms - 1000))
            await within(playing)
    assert chaos.drops > 3
    assert heard == sorted(set(heard))
    missing = set(range(1, LAST + 1)) - set(heard)
    assert {tid for tid in missing if not any(low < tid < high for low, high in gaps)} <= set(range(1, heard[0]))
