"""When a connection counts as dead, and how long to wait before the next (spec section 3.2). No I/O."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_STALE_AFTER_S = {"trades": 300.0, "bbo": 60.0, "l2Book": 60.0, "activeAssetCtx": 60.0, "allMids": 60.0}


@dataclass(frozen=True, slots=True)
class LivenessParams:
    """Deadlines of one connection, seconds. The venue closes after 60 s in which it has sent nothing.

    `stale_after_s`: a channel that is subscribed on a connection and silent for longer means that it is frozen.
    """

    ping_every_s: float = 20.0
    pong_deadline_s: float = 10.0
    stale_after_s: Mapping[str, float] = field(default_factory=lambda: MappingProxyType(_STALE_AFTER_S))
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 60.0
    refused_backoff_s: float = 30.0  # least wait after the venue said there are too many connections
    healthy_after_s: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.ping_every_s < 50:
            raise ValueError(f"ping_every_s is {self.ping_every_s}; allowed is above 0 and below 50.")
        if self.pong_deadline_s <= 0 or self.backoff_base_s <= 0:
            found = (self.pong_deadline_s, self.backoff_base_s)
            raise ValueError(f"pong_deadline_s and backoff_base_s are {found}; allowed is above 0.")


@dataclass(slots=True)
class Liveness:
    """Instants of one session: pings, pongs, and the last frame of each channel."""

    params: LivenessParams
    opened_at: float
    last_frame_at: float
    last_ping_at: float
    unanswered_since: float | None = None
    channels: dict[str, float] = field(default_factory=dict)

    @classmethod
    def opened(cls, params: LivenessParams, now: float) -> Liveness:
        """A session that begins now."""
        return cls(params, opened_at=now, last_frame_at=now, last_ping_at=now)

    def frame(self, channel: str, now: float) -> None:
        """A frame of a data channel came."""
        self.last_frame_at = now
        self.channels[channel] = now

    def heard(self, now: float) -> None:
        """A frame that is no data came."""
        self.last_frame_at = now

    def pong(self, now: float) -> None:
        """Our ping was answered."""
        self.last_frame_at = now
        self.unanswered_since = None

    def ping_due(self, now: float) -> bool:
        """Time to send a ping; one that is unanswered is not repeated."""
        return self.unanswered_since is None and now - self.last_ping_at >= self.params.ping_every_s

    def pinged(self, now: float) -> None:
        """A ping went out."""
        self.last_ping_at = self.unanswered_since = now

    def held_up(self, now: float) -> None:
        """Our own consumer kept us from reading: silence until now says nothing about the venue."""
        self.last_frame_at = now
        self.channels = dict.fromkeys(self.channels, now)
        if self.unanswered_since is not None:
            self.unanswered_since = now

    def fault(self, subscribed: Mapping[str, float], now: float) -> str | None:
        """Why the connection is dead; `subscribed` maps each channel to the instant it was first acknowledged."""
        since = self.unanswered_since
        if since is not None and now - since > self.params.pong_deadline_s:
            return f"no pong for {now - since:.0f} s"
        for channel, acked_at in subscribed.items():
            limit = self.params.stale_after_s.get(channel)
            silent = now - max(acked_at, self.channels.get(channel, acked_at))
            if limit is not None and silent > limit:
                return f"{channel} silent for {silent:.0f} s"
        return None

    def was_healthy(self, now: float) -> bool:
        """True for a session that lasted: the next attempt starts from the shortest wait."""
        return now - self.opened_at >= self.params.healthy_after_s


def backoff_s(params: LivenessParams, failures: int, rng: random.Random) -> float:
    """Full jitter: uniform in [0, min(cap, base * 2^failures)] seconds."""
    exponent = min(failures, 30)
    return rng.uniform(0.0, min(params.backoff_cap_s, params.backoff_base_s * 2.0**exponent))
