"""What has been asked of one connection and what it answered. No I/O; instants are arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from sigmapilot_core.adapters.hyperliquid.messages import ErrorMessage, SubscriptionKey
from sigmapilot_core.adapters.hyperliquid.subscriptions import Subscription

SUBSCRIBE, UNSUBSCRIBE = "subscribe", "unsubscribe"
_USER_LIMIT = re.compile(r"Cannot track more than (\d+) total users", re.ASCII)
NO_ANSWER = "no answer"


@dataclass(slots=True)
class SubscriptionLedger:
    """Wanted, sent, acknowledged and refused subscriptions of one connection.

    A subscription without an answer is sent again up to `attempts` times, then given up and tried again every
    `retry_after_s`; a refusal stays until it is no longer wanted.
    """

    ack_timeout_s: float
    attempts: int
    retry_after_s: float = 60.0
    wanted: dict[SubscriptionKey, Subscription] = field(default_factory=dict)
    pending: dict[SubscriptionKey, tuple[Subscription, float]] = field(default_factory=dict)
    acked: dict[SubscriptionKey, Subscription] = field(default_factory=dict)
    refused: dict[SubscriptionKey, str] = field(default_factory=dict)
    _tries: dict[SubscriptionKey, int] = field(default_factory=dict)
    _given_up_at: dict[SubscriptionKey, float] = field(default_factory=dict)

    def want(self, subscriptions: Iterable[Subscription]) -> None:
        """Replace the wanted set."""
        self.wanted = {s.key: s for s in subscriptions}
        self.refused = {key: why for key, why in self.refused.items() if key in self.wanted}

    def new_session(self) -> None:
        """A new connection knows nothing; what it left unanswered before is tried again."""
        self.pending.clear()
        self.acked.clear()
        self._tries.clear()
        self._given_up_at.clear()
        self.refused = {key: why for key, why in self.refused.items() if why != NO_ANSWER}

    def next_request(self) -> tuple[str, Subscription] | None:
        """What to send next; None when everything wanted has been sent."""
        for key, subscription in self.acked.items():
            if key not in self.wanted:
                return UNSUBSCRIBE, subscription
        for key, subscription in self.wanted.items():
            if key not in self.acked and key not in self.pending and key not in self.refused:
                return SUBSCRIBE, subscription
        return None

    def sent(self, method: str, subscription: Subscription, now: float) -> None:
        """A request went out."""
        key = subscription.key
        if method == UNSUBSCRIBE:
            self.acked.pop(key, None)
            return
        self.pending[key] = (subscription, now)
        self._tries[key] = self._tries.get(key, 0) + 1

    def acknowledge(self, key: SubscriptionKey) -> None:
        """The venue accepted a subscribe, or sends its data. What is no longer wanted is unsubscribed next."""
        asked = self.pending.pop(key, None)
        if asked is not None:
            self.acked[key] = asked[0]

    def error(self, error: ErrorMessage) -> None:
        """Understand a refusal (spec section 3.1). One about too many users echoes nothing: answers come in the order
        of requests, so it is about the first account still waiting."""
        key = error.key
        if error.text.startswith("Already subscribed") and key is not None:
            self.acknowledge(key)
        elif error.text.startswith("Invalid subscription") and key in self.pending:
            self._refuse(key, "invalid")
        elif _USER_LIMIT.search(error.text):
            waiting = next((k for k, (asked, _) in self.pending.items() if asked.user is not None), None)
            if waiting is not None:
                self._refuse(waiting, error.text)

    def overdue(self, now: float) -> int:
        """Take back what was not answered in time, to be sent again or given up, and what was given up long enough
        ago to be tried again; returns how many."""
        late = [key for key, (_, at) in self.pending.items() if now - at > self.ack_timeout_s]
        for key in late:
            del self.pending[key]
            if self._tries.get(key, 0) >= self.attempts:
                self.refused[key] = NO_ANSWER
                self._given_up_at[key] = now
        again = [key for key, at in self._given_up_at.items() if now - at > self.retry_after_s]
        for key in again:
            del self._given_up_at[key]
            if self.refused.get(key) == NO_ANSWER:
                del self.refused[key]
        return len(late) + len(again)

    def is_complete(self) -> bool:
        """True when everything wanted is acknowledged or refused."""
        return all(key in self.acked or key in self.refused for key in self.wanted)

    def _refuse(self, key: SubscriptionKey, why: str) -> None:
        del self.pending[key]
        self.refused[key] = why
