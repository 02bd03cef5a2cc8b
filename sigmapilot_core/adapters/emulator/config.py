"""Every number of the emulator that an operator or a test may change, with the venue's documented defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class LimitConfig:
    """Limits per network address and per account (spec section 4.1, 4.2); `enabled` False switches all of them off."""

    enabled: bool = True
    weight_per_minute: int = 1200
    connections: int = 10
    new_connections_per_minute: int = 30
    subscriptions: int = 1000
    unique_users: int = 10
    messages_per_minute: int = 2000
    pending_posts: int = 100
    address_buffer: int = 10_000
    address_interval_s: float = 10.0


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """Liveness and cadence of the WebSocket (spec section 3.2, 3.3).

    `queue_frames` is what may wait for one connection: a live venue closes a consumer that falls behind further, a
    recording waits for it.
    """

    idle_s: float = 60.0
    inactive_s: float = 5.0
    trade_replay: int = 30
    slow_book_ms: int = 5_000
    fast_book_ms: int = 500
    context_ms: int = 1_000
    mids_ms: int = 1_000
    candle_ms: int = 1_000
    account_ms: int = 1_000
    bundle_ms: int = 5_000
    queue_frames: int = 4_096
    recording_queue_frames: int = 64
    consumer_timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class EmulatorConfig:
    """How one emulator runs. The host is always loopback and not a setting.

    `speed` paces a recording: 1 is the recorded pace, 0 is as fast as the consumer takes it. `deposits` are the
    accounts of real orders and their money. `token` guards the routes that change the emulator's state.
    """

    port: int = 0
    block_ms: int = 100
    speed: float = 1.0
    stepped: bool = False
    seed: int = 0
    token: str | None = field(default=None, repr=False)
    deposits: dict[str, Decimal] = field(default_factory=dict)
    batch_states: bool = True
    limits: LimitConfig = field(default_factory=LimitConfig)
    stream: StreamConfig = field(default_factory=StreamConfig)
