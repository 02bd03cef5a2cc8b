"""One WebSocket connection that never gives up: connect, subscribe, read, notice its own death, begin again.

The official client never reconnects (spec section 8.2); this one treats a connection as live only while pongs and
data arrive, and resubscribes what is wanted after every loss.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from sigmapilot_core.adapters.hyperliquid.ledger import SUBSCRIBE, SubscriptionLedger
from sigmapilot_core.adapters.hyperliquid.liveness import Liveness, LivenessParams, backoff_s
from sigmapilot_core.adapters.hyperliquid.pacing import Pace, Spacing
from sigmapilot_core.adapters.hyperliquid.rest import is_loopback
from sigmapilot_core.adapters.hyperliquid.subscriptions import Subscription

_PING = b'{"method":"ping"}'
_TICK_S = 1.0
_POLICY = 1008  # close code with which the venue refuses a connection too many


class LinkState(StrEnum):
    """Where a connection stands."""

    IDLE = "idle"
    CONNECTING = "connecting"
    SUBSCRIBING = "subscribing"
    LIVE = "live"
    WAITING = "waiting"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ConnectionParams:
    """How one connection is opened and kept."""

    url: str
    open_timeout_s: float = 10.0
    close_timeout_s: float = 1.0
    ack_timeout_s: float = 10.0
    ack_attempts: int = 3
    max_frame_bytes: int = 16 * 1024 * 1024
    liveness: LivenessParams = field(default_factory=LivenessParams)


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """Health of one connection, for metrics. Ages are in seconds; None before the first frame."""

    name: str
    state: LinkState
    wanted: int
    acked: int
    pending: int
    refused: dict[str, str]
    connects: int
    losses: int
    failures_in_a_row: int
    last_reason: str
    frame_age_s: float | None
    unanswered_ping_s: float | None
    channel_age_s: dict[str, float]


class _SessionOver(Exception):
    """The session must end; the message says why."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the feed does for its connections."""

    receive: Callable[[Connection, bytes], Awaitable[None]]
    subscribing: Callable[[Subscription], None]
    link: Callable[[Connection, bool, str], Awaitable[None]]
    may_connect: Callable[[], Awaitable[object]]


class Connection:
    """A connection by name. `run` is its whole life; cancel it to end it."""

    def __init__(
        self, name: str, params: ConnectionParams, hooks: Hooks, sending: Spacing, pace: Pace, rng: random.Random
    ) -> None:
        self.name = name
        self.ledger = SubscriptionLedger(params.ack_timeout_s, params.ack_attempts)
        self.liveness: Liveness | None = None
        self._params = params
        self._hooks = hooks
        self._sending = sending
        self._pace = pace
        self._rng = rng
        self._changed = asyncio.Event()
        self._state = LinkState.IDLE
        self._connects = self._losses = self._failures = 0
        self._reason = ""
        self._receiving = False
        self._acked_at: dict[str, float] = {}

    def want(self, subscriptions: Sequence[Subscription]) -> None:
        """Replace what this connection should hear."""
        self.ledger.want(subscriptions)
        self._changed.set()

    def changed(self) -> None:
        """The ledger changed: there may be something to send."""
        self._changed.set()

    def coins(self) -> tuple[str, ...]:
        """Coins this connection carries."""
        return tuple(dict.fromkeys(s.coin for s in self.ledger.wanted.values() if s.coin is not None))

    def heard_coins(self) -> frozenset[str]:
        """Coins whose trades the venue has promised on the open connection: none while there is none."""
        if self._state not in (LinkState.SUBSCRIBING, LinkState.LIVE):
            return frozenset()
        return frozenset(s.coin for s in self.ledger.acked.values() if s.type == "trades" and s.coin is not None)

    def heard_users(self) -> frozenset[str]:
        """Accounts whose fills the venue has promised on the open connection."""
        if self._state not in (LinkState.SUBSCRIBING, LinkState.LIVE):
            return frozenset()
        return frozenset(s.user for s in self.ledger.acked.values() if s.type == "userFills" and s.user is not None)

    def status(self) -> ConnectionStatus:
        """A snapshot for metrics."""
        ledger, now, alive = self.ledger, self._pace.now(), self.liveness
        unanswered = None if alive is None else alive.unanswered_since
        return ConnectionStatus(
            name=self.name,
            state=LinkState.SUBSCRIBING if self._state is LinkState.LIVE and not ledger.is_complete() else self._state,
            wanted=len(ledger.wanted),
            acked=len(ledger.acked),
            pending=len(ledger.pending),
            refused={"/".join(str(v) for _, v in key): why for key, why in ledger.refused.items()},
            connects=self._connects,
            losses=self._losses,
            failures_in_a_row=self._failures,
            last_reason=self._reason,
            frame_age_s=None if alive is None else now - alive.last_frame_at,
            unanswered_ping_s=None if unanswered is None else now - unanswered,
            channel_age_s={} if alive is None else {c: now - at for c, at in alive.channels.items()},
        )

    async def run(self) -> None:
        """Connect for as long as anything is wanted, again and again, until cancelled."""
        try:
            while True:
                await self._something_wanted()
                await self._hooks.may_connect()
                self._reason = await self._attempt()
                self._state = LinkState.WAITING
                await self._pace.sleep(self._next_wait())
        finally:
            self._state = LinkState.STOPPED

    async def _something_wanted(self) -> None:
        while not self.ledger.wanted:
            self._state = LinkState.IDLE
            self._changed.clear()
            await self._changed.wait()

    def _next_wait(self) -> float:
        now, alive = self._pace.now(), self.liveness
        self._failures = 0 if alive is not None and alive.was_healthy(now) else self._failures + 1
        wait = backoff_s(self._params.liveness, self._failures, self._rng)
        return (
            max(wait, self._params.liveness.refused_backoff_s) if self._reason.startswith(f"closed {_POLICY}") else wait
        )

    async def _attempt(self) -> str:
        """One connection from opening to loss; returns why it ended."""
        self._state = LinkState.CONNECTING
        self.liveness = None
        opening = connect(
            self._params.url,
            compression=None,  # saves more of two small cores than it costs in bandwidth
            proxy=None if is_loopback(self._params.url) else True,
            open_timeout=self._params.open_timeout_s,
            close_timeout=self._params.close_timeout_s,
            ping_interval=None,  # the venue has its own ping
            max_size=self._params.max_frame_bytes,
        )
        try:
            socket = await opening
        except (OSError, TimeoutError, InvalidHandshake, InvalidMessage) as fault:
            return f"not opened: {type(fault).__name__}"
        try:
            return await self._session(socket)
        finally:
            await socket.close()

    async def _session(self, socket: ClientConnection) -> str:
        self._connects += 1
        self._state = LinkState.SUBSCRIBING
        self.liveness = Liveness.opened(self._params.liveness, self._pace.now())
        self.ledger.new_session()
        self._acked_at.clear()
        reason = "closed"
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(socket), name=f"{self.name}-read")
                tasks.create_task(self._subscribe(socket), name=f"{self.name}-subscribe")
                tasks.create_task(self._watch(socket), name=f"{self.name}-watch")
        except* _SessionOver as over:
            reason = str(over.exceptions[0])
            socket.transport.abort()  # a half-open peer would hold the closing handshake
        except* ConnectionClosed as closed:
            reason = _close_reason(closed.exceptions[0])
        self._losses += 1
        await self._hooks.link(self, False, reason)
        return reason

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            raw = await socket.recv(decode=False)
            self._receiving = True
            await self._hooks.receive(self, raw if isinstance(raw, bytes) else raw.encode())
            self._receiving = False
            await self._live_if_complete()

    async def _live_if_complete(self) -> None:
        if self._state is LinkState.SUBSCRIBING and self.ledger.is_complete():
            self._state = LinkState.LIVE
            await self._hooks.link(self, True, "")

    async def _subscribe(self, socket: ClientConnection) -> None:
        """Send what the ledger asks for, paced over all connections of this address."""
        while True:
            self._changed.clear()
            while (request := self.ledger.next_request()) is not None:
                method, subscription = request
                await self._sending.turn()
                if request != self.ledger.next_request():
                    continue  # what is wanted changed while we waited
                if method == SUBSCRIBE:
                    self._hooks.subscribing(subscription)
                self.ledger.sent(method, subscription, self._pace.now())
                await socket.send(orjson.dumps({"method": method, "subscription": subscription.wire()}), text=True)
            await self._changed.wait()

    async def _watch(self, socket: ClientConnection) -> None:
        """Ping, and end the session when the venue has gone silent."""
        alive = self.liveness
        if alive is None:
            return
        while True:
            await self._pace.sleep(_TICK_S)
            now = self._pace.now()
            if self._receiving:
                alive.held_up(now)
            if self.ledger.overdue(now):
                self._changed.set()
                await self._live_if_complete()
            channels = {s.type for s in self.ledger.acked.values()}
            self._acked_at = {channel: self._acked_at.get(channel, now) for channel in channels}
            fault = alive.fault(self._acked_at, now)
            if fault is not None:
                raise _SessionOver(fault)
            if alive.ping_due(now):
                alive.pinged(now)
                await socket.send(_PING, text=True)


def _close_reason(fault: BaseException) -> str:
    received = fault.rcvd if isinstance(fault, ConnectionClosed) else None
    return f"closed {received.code} {received.reason}".strip() if received else "connection lost"
