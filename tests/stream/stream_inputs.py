"""Inputs of the decision step as the journal holds them, and a short story made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
from stream_harness import trade

from sigmapilot_core.adapters.hyperliquid import encode
from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.events import Book
from sigmapilot_core.domain.snapshot import ModelSnapshot, to_json
from sigmapilot_stream.decode import ACCOUNT, PRIMED, SNAPSHOT, TICK, primed_payload
from sigmapilot_stream.records import InputRecord
from tests.domain.engine.engine_builders import POOL, T0, account, book, snapshot


class Inputs:
    """Inputs in the order in which they would stand in the journal."""

    def __init__(self) -> None:
        self.records: list[InputRecord] = []

    def add(self, kind: str, after_ms: int, payload: Any) -> None:
        """One input, received so long after the start."""
        body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
        self.records.append(InputRecord(len(self.records), kind, T0 + after_ms, body))

    def trades(self, after_ms: int, *trades: Any, kind: str = "live") -> None:
        """A frame of trades."""
        self.add(kind, after_ms, encode.trades_frame(trades))

    def fresh(self, after_ms: int) -> None:
        """Account, book and feed as of now."""
        self.add(ACCOUNT, after_ms, canonical_json(account(T0 + after_ms)).encode())
        self.add("live", after_ms, book_frame(after_ms))
        self.tick(after_ms)

    def tick(self, after_ms: int) -> None:
        """Time passes; the connection is alive."""
        link = {"name": "c0", "coins": ["BTC"], "book_coins": ["BTC"], "last_frame_ms": T0 + after_ms}
        self.add(TICK, after_ms, {"connections": [link]})


def book_frame(after_ms: int, **changes: Any) -> dict[str, Any]:
    """A book of BTC as the venue sends it."""
    found: Book = replace(book(), time_ms=T0 + after_ms, received_ms=T0 + after_ms)
    return encode.frame("l2Book", encode.book(found, 5) | changes)


def begun(model: ModelSnapshot | None = None) -> Inputs:
    """A model is in force and its pool is primed and flat."""
    inputs = Inputs()
    inputs.add(SNAPSHOT, 0, to_json(model or snapshot()).encode())
    for user in POOL:
        inputs.add(PRIMED, 10, primed_payload(user, T0, ()))
    return inputs


def story(until_ms: int = 4_000) -> Inputs:
    """Three traders buy a second apart with everything fresh; the third makes it a signal."""
    inputs = begun()
    for n, user in enumerate(POOL[:3], start=1):
        at = 1_000 * n
        inputs.fresh(at)
        inputs.trades(at + 50, trade(n, at, user))
    inputs.tick(until_ms)
    return inputs
