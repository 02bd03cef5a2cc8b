"""The catalogue of faults that can be switched on, and the registry of those that are (spec section 9.6).

Where a fault acts is its `Place`: a fault of a connection happens once when it is ordered, all others last until they
are switched off or their time is over. Time is the venue's, so that a stepped clock steps through them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any


class Place(StrEnum):
    """Where a fault acts."""

    CONNECTION = "connection"
    FRAMES = "frames"
    ACKS = "acks"
    HTTP = "http"
    ANSWER = "answer"
    EXCHANGE = "exchange"


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One fault of the catalogue."""

    name: str
    place: Place
    summary: str


def _specs(place: Place, **summaries: str) -> dict[str, FaultSpec]:
    return {name: FaultSpec(name, place, summary) for name, summary in summaries.items()}


CATALOGUE: dict[str, FaultSpec] = {
    **_specs(
        Place.CONNECTION,
        drop_tcp="every connection is reset without a close frame",
        close_1000="every connection is closed normally",
        close_1001="every connection is closed: going away",
        close_1006="every connection ends without a close frame",
        close_1008="every connection is closed: policy",
        close_1012="every connection is closed: service restart",
        half_open="every connection stays open and is silent for ever, no pong",
        error_frame="an error frame on every connection (text)",
        replay_snapshot="every subscriber of a channel that opens with history receives it again (channel, coin, user)",
    ),
    **_specs(
        Place.FRAMES,
        freeze_channel="no frames of a channel (channel, coin)",
        freeze_books="no l2Book and no bbo frames (coin)",
        shift_books="books stand away from the trades, as in a price spike (coin, shift_pct)",
        widen_books="bids and asks stand far apart, as in a market that dried up (coin, spread_pct)",
        delay_trades="trades and fills are held back and arrive in one burst when the fault ends (coin)",
        missing_trades="trades frames never arrive, a gap (coin, probability)",
        missing_single_trades="single trades are left out of their frames, the rest arrives (coin, probability)",
        altered_trades="single trades arrive with twice their size (coin, probability)",
        duplicate_trades="every trades frame is sent twice (coin, probability)",
        out_of_order="trades within a frame arrive in reverse (coin)",
        empty_frame="an empty trades frame before every trades frame (coin)",
        unknown_channel="a frame of a channel nobody knows before every trades frame (coin)",
        unknown_coin="trades of xyz:NEW, @9999 and #77 before every trades frame (coin)",
        malformed_json="a frame that is not JSON before every trades frame (coin)",
        null_fields="null in midPx, premium and impactPxs of contexts, frames and answers (coin)",
        new_enum_values="directions and statuses nobody has seen before, frames and answers",
        clock_skew="every `time` of frames and answers is shifted (skew_s)",
    ),
    **_specs(
        Place.ACKS,
        delay_acks="acknowledgements of subscriptions arrive late (delay_s)",
        no_ack="subscriptions are never acknowledged",
    ),
    **_specs(
        Place.HTTP,
        http_429="429 with body null (request, path, probability)",
        http_422="422 with the venue's text (request, path)",
        http_502="502 with HTML (request, path)",
        http_503="503 with HTML (request, path)",
        http_not_json="200 with a body that is not JSON (request, path)",
        http_slow="the request waits delay_s before it is executed (request, path)",
        http_late="the request is executed at once, its answer comes after delay_s (request, path)",
        http_truncated="the body ends too early (request, path)",
        http_disconnect="the request is executed, then the connection is cut without an answer (request, path)",
        leaderboard_403="403 for the leaderboard",
        leaderboard_truncated="the leaderboard file ends in the middle of a row",
        leaderboard_not_json="the leaderboard is HTML with status 200",
        leaderboard_huge="a leaderboard of `rows` rows (about 40 MB with the default)",
    ),
    **_specs(
        Place.ANSWER,
        dangling_spot_token="a spot pair names a token that is absent",
        delisted_coin="an asset is delisted (coin)",
        empty_book="both sides of the book are empty (coin)",
        leader_liquidated="an account's positions are gone without any trade (user)",
        unified_account="an account turns into a unified one: value near zero, positions kept (user)",
    ),
    **_specs(
        Place.EXCHANGE,
        post_only_window="only post-only orders, as after a network upgrade",
        address_limit="every action is refused for the account's request limit",
        agent_expired="agents no longer exist",
        duplicate_nonce="every nonce is refused as a duplicate",
    ),
}


@dataclass(frozen=True, slots=True)
class FaultOrder:
    """A fault as it was ordered: what, for whom, how long (`until_ms` None: until switched off)."""

    name: str
    coin: str | None = None
    user: str | None = None
    channel: str | None = None
    request: str | None = None
    path: str | None = None
    text: str = "Internal error"
    probability: float = 1.0
    delay_s: float = 30.0
    skew_s: float = 30.0
    rows: int = 90_000
    shift_pct: float = 2.0
    spread_pct: float = 2.0
    until_ms: int | None = None

    def concerns(self, scope: Mapping[str, str | None]) -> bool:
        """True if every narrowing of the order (coin, user, ...) equals the scope's value."""
        narrowed = ((key, getattr(self, key)) for key in ("coin", "user", "channel", "request", "path"))
        return all(wanted is None or scope.get(key) == wanted for key, wanted in narrowed)


def parse_order(body: Mapping[str, Any], now_ms: int) -> FaultOrder:
    """A fault order from the body of a request; ValueError names the field that is wrong and what is allowed."""
    name = body.get("name")
    if name not in CATALOGUE:
        raise ValueError(f"name is {name!r}; allowed is one of {', '.join(CATALOGUE)}.")
    known = {f.name for f in fields(FaultOrder)} - {"until_ms"}
    unknown = set(body) - known - {"on", "seconds"}
    if unknown:
        raise ValueError(f"field {min(unknown)!r} is not known; allowed are {', '.join(sorted(known))}, on, seconds.")
    values: dict[str, Any] = {key: value for key, value in body.items() if key in known}
    for key in ("probability", "delay_s", "skew_s", "rows", "shift_pct", "spread_pct"):
        if key in values:
            values[key] = _number(key, values[key])
    if not 0 < values.get("probability", 1.0) <= 1:
        raise ValueError(f"probability is {values['probability']}; allowed is above 0 and at most 1.")
    if not values.get("spread_pct", 1.0) > 0:
        raise ValueError(f"spread_pct is {values['spread_pct']}; allowed is above 0.")
    if isinstance(values.get("user"), str):
        values["user"] = values["user"].lower()
    seconds = body.get("seconds")
    until = None if seconds is None else now_ms + round(_number("seconds", seconds) * 1000)
    return FaultOrder(**values, until_ms=until)


def _number(field: str, value: object) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{field} is {value!r}; allowed is a number.")
    return value


class FaultRegistry:
    """The faults that are on. `now_ms` is the venue's clock, `rng` decides faults with a probability below one."""

    def __init__(self, now_ms: Callable[[], int], rng: random.Random) -> None:
        self._now_ms = now_ms
        self._rng = rng
        self._orders: list[FaultOrder] = []

    @property
    def any_on(self) -> bool:
        """False in the ordinary case, so that frames pay nothing for faults."""
        return bool(self._orders)

    def switch_on(self, order: FaultOrder) -> None:
        """Add an order; the same one again replaces its end."""
        same = ("name", "coin", "user", "channel", "request", "path")
        self._orders = [o for o in self._orders if any(getattr(o, k) != getattr(order, k) for k in same)]
        self._orders.append(order)

    def switch_off(self, name: str, coin: str | None = None) -> None:
        """Remove all orders of a name, or those of one coin."""
        self._orders = [o for o in self._orders if o.name != name or (coin is not None and o.coin != coin)]

    def find(self, name: str, **scope: str | None) -> FaultOrder | None:
        """The order of this name that is on for the scope, chance included; None when there is none."""
        if not self._orders:
            return None
        now = self._now_ms()
        for order in self._orders:
            if order.name == name and (order.until_ms is None or now < order.until_ms) and order.concerns(scope):
                return order if order.probability >= 1 or self._rng.random() < order.probability else None
        return None

    def listed(self) -> list[dict[str, Any]]:
        """The orders in force, for the status route."""
        now = self._now_ms()
        self._orders = [o for o in self._orders if o.until_ms is None or now < o.until_ms]
        return [{k: v for k, v in asdict(order).items() if v is not None} for order in self._orders]
