"""All connections and who is subscribed to what, with the venue's limits (spec section 4.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sigmapilot_core.adapters.emulator.config import LimitConfig
from sigmapilot_core.adapters.emulator.connection import Connection, Key
from sigmapilot_core.adapters.emulator.limits import Seconds, SlidingWindow


class Refused(Exception):
    """A subscription the venue answers with an error frame; the message is the venue's text."""


class Hub:
    """Connections by subscription. Limits count per network address of the client."""

    def __init__(self, limits: LimitConfig, seconds: Seconds) -> None:
        self.connections: dict[Connection, None] = {}
        self._limits = limits
        self._seconds = seconds
        self._subscribers: dict[Key, dict[Connection, None]] = {}
        self._by_type: dict[str, dict[Key, None]] = {}
        self._arrivals: dict[str, SlidingWindow] = {}

    def admit(self, connection: Connection) -> str | None:
        """Register a connection; the venue's refusal text instead when its address has too many."""
        limits = self._limits
        arrivals = self._arrivals.setdefault(
            connection.peer, SlidingWindow(limits.new_connections_per_minute, self._seconds)
        )
        if limits.enabled:
            if len(self._of(connection.peer)) >= limits.connections:
                return f"Cannot open more than {limits.connections} connections."
            if not arrivals.take(1):
                return f"Cannot open more than {limits.new_connections_per_minute} new connections per minute."
        self.connections[connection] = None
        return None

    def forget(self, connection: Connection) -> None:
        """Remove a connection and its subscriptions."""
        for key in list(connection.subscriptions):
            self.unsubscribe(connection, key)
        self.connections.pop(connection, None)

    def subscribe(self, connection: Connection, key: Key, subscription: dict[str, Any], user: str | None) -> None:
        """Add a subscription; `Refused` when a limit of the address is reached."""
        if self._limits.enabled:
            self._check_limits(connection.peer, user)
        connection.subscriptions[key] = subscription
        self._subscribers.setdefault(key, {})[connection] = None
        self._by_type.setdefault(key[0], {})[key] = None

    def unsubscribe(self, connection: Connection, key: Key) -> None:
        """Remove a subscription that exists."""
        del connection.subscriptions[key]
        others = self._subscribers[key]
        del others[connection]
        if not others:
            del self._subscribers[key]
            del self._by_type[key[0]][key]

    def keys(self, subscription_type: str) -> Iterable[Key]:
        """Distinct subscriptions of a type that somebody holds."""
        return tuple(self._by_type.get(subscription_type, ()))

    def holds(self, key: Key) -> bool:
        """True if anybody is subscribed."""
        return key in self._subscribers

    def subscribers(self, key: Key) -> tuple[Connection, ...]:
        """Everybody who is subscribed, in order of arrival."""
        return tuple(self._subscribers.get(key, ()))

    def subscription(self, key: Key) -> dict[str, Any]:
        """The normalised subscription of a key somebody holds."""
        return next(iter(self._subscribers[key])).subscriptions[key]

    def counts(self) -> dict[str, int]:
        """Figures for the status route."""
        return {
            "connections": len(self.connections),
            "subscriptions": sum(len(c.subscriptions) for c in self.connections),
        }

    def _of(self, peer: str) -> list[Connection]:
        return [c for c in self.connections if c.peer == peer]

    def _check_limits(self, peer: str, user: str | None) -> None:
        mine = self._of(peer)
        if sum(len(c.subscriptions) for c in mine) >= self._limits.subscriptions:
            raise Refused(f"Cannot subscribe to more than {self._limits.subscriptions} channels.")
        if user is None:
            return
        users = {s["user"] for c in mine for s in c.subscriptions.values() if "user" in s} | {user}
        if len(users) > self._limits.unique_users:
            raise Refused(f"Cannot track more than {self._limits.unique_users} total users.")
