"""Reads the venue's feed into the inputs: batches of whatever has arrived, with ticks between them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import orjson
import structlog

from sigmapilot_core.adapters.hyperliquid import subscriptions
from sigmapilot_core.adapters.hyperliquid.feed import Feed, FeedStatus
from sigmapilot_core.adapters.hyperliquid.messages import GapMessage, MalformedMessage
from sigmapilot_core.adapters.hyperliquid.received import FrameKind, ReceivedFrame, note_of
from sigmapilot_core.adapters.hyperliquid.subscriptions import Subscription
from sigmapilot_core.adapters.journal.writer import Entry
from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.domain.params import MAJORS, MINUTE_MS
from sigmapilot_core.domain.snapshot import ModelSnapshot
from sigmapilot_core.ports import Clock
from sigmapilot_stream.decode import TICK
from sigmapilot_stream.inputs import Submits
from sigmapilot_stream.services.vips import Comparison, Finding

TICK_MS = 250
MAX_BATCH = 200
MAX_BOOKS = 60
IDLE_S = 0.02
TOLD_EVERY_MS = 1_000
MAY_HOLD_TRADES = frozenset({"trades", "frame", "channel"})
"""Where a malformed frame lost its channel or its form, and so perhaps trades."""

log = structlog.get_logger(__name__)


def wanted(coins: Iterable[str], with_books: Iterable[str], users: Iterable[str] = ()) -> list[Subscription]:
    """Trades of every coin first, then books, figures and candles of those that may be decided on, then fills of
    accounts."""
    listed, books = sorted(set(coins)), sorted(set(with_books))
    return [
        *(subscriptions.trades(coin) for coin in listed),
        *(subscriptions.fast_book(coin) for coin in books),
        *(subscriptions.context(coin) for coin in books),
        *(subscriptions.candle(coin, MINUTE_MS) for coin in books),
        *(subscriptions.user_fills(user) for user in users),
    ]


def decidable(snapshot: ModelSnapshot) -> list[str]:
    """Coins that votes are taken on: majors always, others above the volume floor, the most traded first."""
    floor = snapshot.settings.consensus.min_day_volume_usd
    volumes = {coin: figures.day_volume_usd or 0.0 for coin, figures in snapshot.fast.assets.items()}
    others = [coin for coin, volume in volumes.items() if volume >= floor and coin not in MAJORS]
    return [*(c for c in MAJORS if c in volumes), *sorted(others, key=lambda c: (-volumes[c], c))][:MAX_BOOKS]


class FeedService:
    """Owns the feed. Frames wait in a bounded list while the decision step is busy; then the reader waits.

    What was received and not yet journalled when it ends counts as missed, like everything until the next start.
    """

    def __init__(self, feed: Feed, clock: Clock, inputs: Submits, metrics: Metrics, *, is_virtual: bool) -> None:
        self.feed = feed
        self.is_virtual = is_virtual
        self.book_coins: frozenset[str] = frozenset()
        self._clock = clock
        self._inputs = inputs
        self._frames = metrics.sigmapilot_frames_total
        self._waits = metrics.sigmapilot_reader_waits_total
        self._vip_fills = metrics.sigmapilot_vip_fills_total
        self.lanes = Comparison()
        self._pending: list[ReceivedFrame] = []
        self._is_handing_over = False
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._last_frame_ms: dict[str, int] = {}
        self._last_tick_ms = 0
        self._malformed = 0
        self._told_ms = 0
        self._nameless: set[str] = set()
        self._nameless_ms: dict[str, int] = {}

    def follow(self, coins: Iterable[str], with_books: Iterable[str], vips: Iterable[str] = ()) -> None:
        """Change what is heard. A recording has no lane for single accounts: it holds what was recorded."""
        self.book_coins = frozenset(with_books)
        users = [] if self.is_virtual else list(vips)
        self.lanes.users = frozenset(users)
        left_out = self.feed.want(wanted(coins, self.book_coins, users))
        if left_out:
            log.warning("subscriptions above the venue's limits are not covered", count=len(left_out))

    def status(self) -> FeedStatus:
        """Health of the connections."""
        return self.feed.status()

    @property
    def last_frame_ms(self) -> int | None:
        """Receive time of the newest frame on any connection."""
        return max(self._last_frame_ms.values(), default=None)

    async def run(self) -> None:
        """Read until cancelled. Raises what ended a connection for good, which is a defect."""
        async with self.feed:
            reader = asyncio.create_task(self._read(), name="feed-reader")
            try:
                while not reader.done():
                    await self._hand_over(await self._wait())
                reader.result()
            finally:
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)

    async def emptied(self) -> None:
        """Wait until everything received so far is journalled and sent on."""
        while self.feed.status().queued or self._pending or self._is_handing_over:
            await asyncio.sleep(IDLE_S)

    async def _read(self) -> None:
        async for frame in self.feed.frames():
            self._pending.append(frame)
            self._arrived.set()
            if len(self._pending) >= MAX_BATCH:
                self._room.clear()
                self._waits.inc()
                await self._room.wait()

    async def _wait(self) -> list[ReceivedFrame]:
        try:
            async with asyncio.timeout(TICK_MS / 1000):
                await self._arrived.wait()
        except TimeoutError:
            return []
        self._is_handing_over = True
        taken, self._pending = self._pending, []
        self._arrived.clear()
        self._room.set()
        return taken

    async def _hand_over(self, frames: list[ReceivedFrame]) -> None:
        entries: list[Entry] = []
        for frame in frames:
            entries += self._tick_before(frame.received_ms)
            entries.append((frame.kind.value, frame.received_ms, frame.raw))
            if self.lanes.users:
                entries += self._compared(self.lanes.see(frame, *self.feed.heard()), frame.received_ms)
            if isinstance(frame.parsed, MalformedMessage):
                self._tell_of(frame.parsed, frame.received_ms)
                if frame.parsed.coin is None and frame.parsed.channel in MAY_HOLD_TRADES:
                    self._nameless.add(frame.connection)
            entries += self._holes(frame.received_ms)
            if frame.kind in (FrameKind.LIVE, FrameKind.HISTORY):
                self._last_frame_ms[frame.connection] = frame.received_ms
                self._frames.labels(frame.channel).inc()
        if not self.is_virtual:
            now = self._clock.now_ms()
            entries += [*self._holes(now), *self._compared(self.lanes.overdue(now), now)]
            entries += self._tick_before(now)
        if entries:
            await self._inputs.submit(entries)
        self._is_handing_over = False

    def _holes(self, now_ms: int) -> list[Entry]:
        """After frames that may have held trades and do not say of which coin: any coin of their connection may lack
        some. Told at most once a second a connection; what came in between is told with the next."""
        due = [name for name in sorted(self._nameless) if now_ms - self._nameless_ms.get(name, 0) >= TOLD_EVERY_MS]
        entries: list[Entry] = []
        for name in due:
            self._nameless.discard(name)
            self._nameless_ms[name] = now_ms
            coins = sorted(coin for part in self.feed.coins_of(name) for coin in part)
            notes = (note_of(GapMessage(coin, now_ms, now_ms)) for coin in coins)
            entries += [(FrameKind.GAP.value, now_ms, note) for note in notes]
        return entries

    def _compared(self, found: Iterable[Finding], now_ms: int) -> list[Entry]:
        """Count what the two lanes of an account said; a fill that the public trades lack is a hole in its coin."""
        holes: list[Entry] = []
        for finding in found:
            self._vip_fills.labels(finding.verdict.value).inc()
            if finding.is_missing:
                told = "the public trades do not tell what an account's own channel does"
                log.warning(told, coin=finding.coin, tid=finding.tid, verdict=finding.verdict.value)
                hole = note_of(GapMessage(finding.coin, finding.time_ms, finding.time_ms))
                holes.append((FrameKind.GAP.value, now_ms, hole))
        return holes

    def _tell_of(self, bad: MalformedMessage, now_ms: int) -> None:
        """One sentence about frames that cannot be trusted, at most one a second, however many there are."""
        self._malformed += 1
        if now_ms - self._told_ms >= TOLD_EVERY_MS:
            self._told_ms = now_ms
            told = "a frame cannot be trusted; its coin is unknown until it was compared with the venue"
            log.warning(told, coin=bad.coin, reason=bad.reason, so_far=self._malformed)

    def _tick_before(self, now_ms: int) -> list[Entry]:
        """A tick if one is due: time passes for the decision step even when nothing arrives."""
        if now_ms - self._last_tick_ms < TICK_MS:
            return []
        self._last_tick_ms = now_ms
        return [
            (TICK, now_ms, orjson.dumps({"connections": [self._link(name) for name in sorted(self._last_frame_ms)]}))
        ]

    def _link(self, name: str) -> dict[str, object]:
        coins, unheard = self.feed.coins_of(name)
        return {
            "name": name,
            "coins": coins,
            "unheard": unheard,
            "book_coins": [coin for coin in coins if coin in self.book_coins],
            "last_frame_ms": self._last_frame_ms[name],
        }
