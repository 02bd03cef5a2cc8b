"""Requests to /info and /exchange, whichever way they come: weighed, answered, counted (spec section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sigmapilot_core.adapters.emulator.config import LimitConfig
from sigmapilot_core.adapters.emulator.disturb import FrameFaults
from sigmapilot_core.adapters.emulator.info import UNREADABLE, Body, Handler, Unprocessable
from sigmapilot_core.adapters.emulator.limits import Seconds, SlidingWindow
from sigmapilot_core.adapters.emulator.protocol import PostAnswer
from sigmapilot_core.adapters.emulator.venue import Venue
from sigmapilot_core.adapters.hyperliquid.calls import base_weight, item_weight

OK, UNPROCESSABLE, TOO_MANY = 200, 422, 429
_ACTIONS_PER_WEIGHT = 40


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and JSON body of an answer; the body of a refusal is the venue's own."""

    status: int
    body: Any = None


class Actions(Protocol):
    """Executes signed actions."""

    def execute(self, envelope: Mapping[str, Any]) -> Any:
        """The venue's reply to an envelope of action, nonce and signature; `Unprocessable` if it is none."""
        ...


def action_count(action: Any) -> int:
    """How many single orders, cancels or changes an action holds; 1 for one that is not a batch."""
    if not isinstance(action, dict):
        return 1
    batches = (action.get(key) for key in ("orders", "cancels", "modifies"))
    return max([1, *(len(batch) for batch in batches if isinstance(batch, list))])


class Requests:
    """Answers requests of all clients; the weight limit counts per network address."""

    def __init__(
        self,
        venue: Venue,
        actions: Actions,
        handlers: Mapping[str, Handler],
        frame_faults: FrameFaults,
        limits: LimitConfig,
        seconds: Seconds,
    ) -> None:
        self._venue = venue
        self._actions = actions
        self._handlers = handlers
        self._frame_faults = frame_faults
        self._limits = limits
        self._seconds = seconds
        self._weights: dict[str, SlidingWindow] = {}

    def used(self, peer: str) -> int:
        """Weight a network address has spent in the last minute."""
        return self._window(peer).used

    def info(self, values: Any, peer: str) -> Answer:
        """Answer a body of POST /info. The weight of the items is added once they are known."""
        kind = values.get("type") if isinstance(values, dict) else None
        handler = self._handlers.get(kind) if isinstance(kind, str) else None
        if handler is None or not isinstance(kind, str):
            return Answer(UNPROCESSABLE)
        if not self._take(peer, base_weight(kind)):
            return Answer(TOO_MANY)
        try:
            body = handler(self._venue, Body(values))
        except Unprocessable:
            return Answer(UNPROCESSABLE)
        self._window(peer).charge(item_weight(kind, len(body) if isinstance(body, list) else 0))
        return Answer(OK, self._frame_faults.content(body) if self._venue.faults.any_on else body)

    def action(self, values: Any, peer: str) -> Answer:
        """Answer a body of POST /exchange."""
        if not isinstance(values, dict):
            return Answer(UNPROCESSABLE)
        if not self._take(peer, 1 + action_count(values.get("action")) // _ACTIONS_PER_WEIGHT):
            return Answer(TOO_MANY)
        try:
            return Answer(OK, self._actions.execute(values))
        except Unprocessable:
            return Answer(UNPROCESSABLE)

    def post(self, kind: str, payload: Any, peer: str) -> PostAnswer:
        """Answer a request that came over the WebSocket."""
        answer = self.info(payload, peer) if kind == "info" else self.action(payload, peer)
        if answer.status == UNPROCESSABLE:
            return PostAnswer(error=f"422 Unprocessable Entity: {UNREADABLE}")
        if answer.status == TOO_MANY:
            return PostAnswer(error="429 Too Many Requests: null")
        return PostAnswer(payload={"type": payload["type"], "data": answer.body} if kind == "info" else answer.body)

    def _window(self, peer: str) -> SlidingWindow:
        return self._weights.setdefault(peer, SlidingWindow(self._limits.weight_per_minute, self._seconds))

    def _take(self, peer: str, weight: int) -> bool:
        window = self._window(peer)
        if not self._limits.enabled:
            window.charge(weight)
            return True
        return window.take(weight)
