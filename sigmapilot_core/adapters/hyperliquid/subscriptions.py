"""What we want to hear, and which connection hears it (spec sections 3.3, 4.1).

All subscriptions of one coin stand on one connection, so that messages about a coin stay in order; a coin keeps its
connection for as long as it is wanted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sigmapilot_core.adapters.hyperliquid.fields import without_none
from sigmapilot_core.adapters.hyperliquid.intervals import interval_name
from sigmapilot_core.adapters.hyperliquid.messages import SubscriptionKey
from sigmapilot_core.adapters.hyperliquid.wire import subscription_key

USERS = "users"
"""Name of the connection for subscriptions to accounts."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """One thing to hear. Build it with the functions below."""

    type: str
    coin: str | None = None
    user: str | None = None
    interval: str | None = None
    fast: bool | None = None

    @property
    def key(self) -> SubscriptionKey:
        """Canonical form, as the venue's echo is matched by."""
        return subscription_key(self.wire())

    def wire(self) -> dict[str, Any]:
        """The subscription as it is sent."""
        fields = (
            ("type", self.type),
            ("coin", self.coin),
            ("user", self.user),
            ("interval", self.interval),
            ("fast", self.fast),
        )
        return without_none(fields)


def trades(coin: str) -> Subscription:
    """Every trade of a coin, with both parties."""
    return Subscription("trades", coin)


def bbo(coin: str) -> Subscription:
    """Best bid and offer, on every change."""
    return Subscription("bbo", coin)


def book(coin: str) -> Subscription:
    """20 levels a side, about every 5 s."""
    return Subscription("l2Book", coin)


def fast_book(coin: str) -> Subscription:
    """5 levels a side, about every 0.5 s: fresh enough for the age limit of a book."""
    return Subscription("l2Book", coin, fast=True)


def candle(coin: str, interval_ms: int) -> Subscription:
    """Candles of one interval."""
    return Subscription("candle", coin, interval=interval_name(interval_ms))


def context(coin: str) -> Subscription:
    """Mark price, funding, volume: about once a second."""
    return Subscription("activeAssetCtx", coin)


def all_mids() -> Subscription:
    """Mid prices of all coins."""
    return Subscription("allMids")


def user_fills(user: str) -> Subscription:
    """Fills of one account; counts against the limit of users."""
    return Subscription("userFills", user=user.lower())


@dataclass(frozen=True, slots=True)
class Limits:
    """The venue's limits for one address; they shrank in 2026, hence settings."""

    connections: int = 10
    subscriptions: int = 1000
    users: int = 10

    def __post_init__(self) -> None:
        for name in ("connections", "subscriptions", "users"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed is 1 or more.")


@dataclass(frozen=True, slots=True)
class Plan:
    """Subscriptions by connection, and those beyond the limits."""

    by_connection: Mapping[str, tuple[Subscription, ...]]
    not_covered: tuple[Subscription, ...]


class Shards:
    """Spreads subscriptions over connections; remembers where each coin is."""

    def __init__(self, coin_connections: int, limits: Limits) -> None:
        if not 0 < coin_connections < limits.connections:
            allowed = f"1 to {limits.connections - 1}, one connection is kept for accounts"
            raise ValueError(f"coin_connections is {coin_connections}; allowed is {allowed}.")
        self._names = [f"coins-{n}" for n in range(coin_connections)]
        self._limits = limits
        self._home: dict[str, str] = {}

    def plan(self, wanted: Iterable[Subscription]) -> Plan:
        """Place subscriptions in the order given, the most important first, until the limits are reached."""
        unique = list(dict.fromkeys(wanted))
        coins = {s.coin for s in unique if s.coin is not None}
        self._home = {coin: name for coin, name in self._home.items() if coin in coins}
        placed: dict[str, list[Subscription]] = {name: [] for name in (*self._names, USERS)}
        load = Counter(self._home.values())
        users: set[str] = set()
        not_covered: list[Subscription] = []
        for subscription in unique:
            user = subscription.user
            too_many_users = user is not None and user not in users and len(users) >= self._limits.users
            if too_many_users or sum(map(len, placed.values())) >= self._limits.subscriptions:
                not_covered.append(subscription)
                continue
            if user is not None:
                users.add(user)
            placed[self._place(subscription, load)].append(subscription)
        return Plan({name: tuple(subs) for name, subs in placed.items()}, tuple(not_covered))

    def _place(self, subscription: Subscription, load: Counter[str]) -> str:
        if subscription.user is not None:
            return USERS
        if subscription.coin is None:
            return self._names[0]
        home = self._home.get(subscription.coin)
        if home is None:
            home = min(self._names, key=lambda name: (load[name], name))
            self._home[subscription.coin] = home
            load[home] += 1
        return home
