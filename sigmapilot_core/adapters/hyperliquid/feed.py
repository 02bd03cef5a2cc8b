"""The live feed: a pool of connections that together hear everything wanted, as one ordered stream of frames.

One subscription per coin hears every trader (spec section 4.3). The stream is bounded: a slow consumer slows the
readers. It survives every loss of a connection; what was missed meanwhile is told as a gap, never hidden.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

from sigmapilot_core.adapters.hyperliquid.connection import Connection, ConnectionParams, ConnectionStatus, Hooks
from sigmapilot_core.adapters.hyperliquid.gaps import REPLAY_MARGIN_MS, TradeIntake
from sigmapilot_core.adapters.hyperliquid.intake import Intake
from sigmapilot_core.adapters.hyperliquid.ledger import SUBSCRIBE
from sigmapilot_core.adapters.hyperliquid.limiter import Limiter, LimiterParams, Priority
from sigmapilot_core.adapters.hyperliquid.mailbox import Mailbox, MailboxClosed
from sigmapilot_core.adapters.hyperliquid.messages import (
    AckMessage,
    ErrorMessage,
    LinkMessage,
    Message,
    PongMessage,
    TradesMessage,
    UserFillsMessage,
)
from sigmapilot_core.adapters.hyperliquid.pacing import Pace, Spacing
from sigmapilot_core.adapters.hyperliquid.received import ReceivedFrame, channel_of
from sigmapilot_core.adapters.hyperliquid.subscriptions import USERS, Limits, Shards, Subscription, trades, user_fills
from sigmapilot_core.ports import Clock


@dataclass(frozen=True, slots=True)
class FeedParams:
    """How the feed spreads over connections. `sends_per_s` and `connects_per_minute` hold for all of them together
    (the venue allows 2000 messages and 30 new connections a minute). `replay_margin_ms` is 0 where the clock is the
    feed's own."""

    connection: ConnectionParams
    coin_connections: int = 4
    limits: Limits = field(default_factory=Limits)
    connects_per_minute: int = 25
    sends_per_s: float = 25.0
    queue_frames: int = 10_000
    replay_margin_ms: int = REPLAY_MARGIN_MS


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """Health of the whole feed, for metrics. `counts`: frames, trades, duplicates, gaps, ignored, malformed, empty,
    unknown, errors."""

    connections: tuple[ConnectionStatus, ...]
    queued: int
    queue_frames: int
    counts: Mapping[str, int]
    unknown_channels: Mapping[str, int]
    last_error: str
    not_covered: tuple[Subscription, ...]
    clock_offset_ms: int | None

    @property
    def is_live(self) -> bool:
        """True when every connection hears everything it should."""
        return all(c.state == "live" or c.wanted == 0 for c in self.connections)


class Feed:
    """Use as `async with Feed(...) as feed`, set `want`, iterate `frames`. `connects` counts new connections, over all
    processes of the address where it is shared."""

    def __init__(
        self, params: FeedParams, clock: Clock, pace: Pace, rng: random.Random, connects: Limiter | None = None
    ) -> None:
        self._clock = clock
        self._pace = pace
        self._params = params
        self._intake = Intake(TradeIntake(replay_margin_ms=params.replay_margin_ms))
        self._box: Mailbox[ReceivedFrame] = Mailbox(params.queue_frames)
        self._shards = Shards(params.coin_connections, params.limits)
        self._not_covered: tuple[Subscription, ...] = ()
        self._tasks: list[asyncio.Task[None]] = []
        self._fault: BaseException | None = None
        gate = connects or Limiter(LimiterParams(limit=params.connects_per_minute, margin=0), pace, rng)
        hooks = Hooks(self._receive, self._subscribing, self._link, lambda: gate.acquire(1, Priority.EXIT))
        sending = Spacing(params.sends_per_s, pace)
        names = [*(f"coins-{n}" for n in range(params.coin_connections)), USERS]
        self._connections = {n: Connection(n, params.connection, hooks, sending, pace, rng) for n in names}

    def want(self, subscriptions: Iterable[Subscription]) -> tuple[Subscription, ...]:
        """Replace what is heard, the most important first; returns what exceeds the venue's limits."""
        plan = self._shards.plan(subscriptions)
        self._not_covered = plan.not_covered
        for name, wanted in plan.by_connection.items():
            self._connections[name].want(wanted)
        return plan.not_covered

    def remember(self, seen: TradeIntake) -> None:
        """Before the start: trades that were handed on by a feed before this one."""
        self._intake.trades.remember(seen)

    async def start(self) -> None:
        """Begin to connect."""
        for connection in self._connections.values():
            task = asyncio.create_task(connection.run(), name=f"feed-{connection.name}")
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    async def stop(self) -> None:
        """Close all connections; frames already received can still be taken."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._box.close()

    async def frames(self) -> AsyncIterator[ReceivedFrame]:
        """Frames in the order received, until `stop`. Raises what ended a connection for good, which is a defect."""
        while True:
            try:
                frame = await self._box.get()
            except MailboxClosed:
                break
            yield frame
        if self._fault is not None:
            raise self._fault

    def status(self) -> FeedStatus:
        """A snapshot for metrics."""
        return FeedStatus(
            connections=tuple(c.status() for c in self._connections.values()),
            queued=len(self._box),
            queue_frames=self._params.queue_frames,
            counts=MappingProxyType(dict(self._intake.counts)),
            unknown_channels=MappingProxyType(dict(self._intake.unknown_channels)),
            last_error=self._intake.last_error,
            not_covered=self._not_covered,
            clock_offset_ms=self._intake.clock_offset_ms(),
        )

    def coins_of(self, connection: str) -> tuple[list[str], list[str]]:
        """Coins of a connection, sorted: those whose trades it hears, and those it should hear and does not."""
        found = self._connections.get(connection)
        if found is None:
            return [], []
        heard = found.heard_coins()
        return sorted(heard), sorted(set(found.coins()) - heard)

    def heard(self) -> tuple[frozenset[str], frozenset[str]]:
        """Coins whose trades are heard, and accounts whose fills are."""
        found = self._connections.values()
        return frozenset().union(*(c.heard_coins() for c in found)), self._connections[USERS].heard_users()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._fault = self._fault or fault  # those that follow only met the closed box
            self._box.close()

    def _subscribing(self, subscription: Subscription) -> None:
        if subscription.type == "trades" and subscription.coin is not None:
            self._intake.trades.expect_history(subscription.coin)

    async def _link(self, connection: Connection, is_up: bool, reason: str) -> None:
        message = LinkMessage(is_up, connection.coins(), reason)
        await self._box.put(self._intake.note(connection.name, message, self._clock.now_ms()))

    async def _receive(self, connection: Connection, raw: bytes) -> None:
        parsed, frames = self._intake.take(connection.name, raw, self._clock.now_ms())
        self._told(connection, parsed)
        for frame in frames:
            await self._box.put(frame)

    def _answered(self, subscription: Mapping[str, str | int]) -> None:
        if subscription.get("type") == "trades":
            self._intake.trades.answered(str(subscription.get("coin")), self._clock.now_ms())

    def _told(self, connection: Connection, parsed: Message) -> None:
        """Let the connection know what it heard."""
        alive, now = connection.liveness, self._pace.now()
        if alive is None:
            return
        channel = channel_of(parsed)
        alive.frame(channel, now) if channel else alive.heard(now)
        match parsed:
            case PongMessage():
                alive.pong(now)
            case AckMessage(method, key):
                if method == SUBSCRIBE:
                    connection.ledger.acknowledge(key)
                    connection.changed()
                    self._answered(dict(key))
            case ErrorMessage():
                connection.ledger.error(parsed)
                connection.changed()
            case TradesMessage() | UserFillsMessage() if connection.ledger.pending:
                for subscription in _proved(parsed):
                    connection.ledger.acknowledge(subscription.key)


def _proved(parsed: TradesMessage | UserFillsMessage) -> list[Subscription]:
    """Subscriptions that must have been accepted, because their data arrive."""
    if isinstance(parsed, UserFillsMessage):
        return [user_fills(parsed.user)]
    return [trades(coin) for coin in {t.coin for t in parsed.trades}]
