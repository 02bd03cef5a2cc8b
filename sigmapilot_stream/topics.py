"""Names of the topics, what travels on each and how it is kept; the names are the predecessor's and stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from sigmapilot_core.domain.params import DAY_MS
from sigmapilot_stream import records

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""Largest message a topic takes. A batch is cut far below it; a single frame of the venue never comes near."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: its name, the type of its records, the field that keys them, how long they are kept.

    `is_shared` topics have one partition per share of the coins, the others a single one; `exec.*` have one per trading
    account, and there is one account.
    """

    name: str
    record: type[msgspec.Struct]
    key: str
    is_shared: bool
    retention_ms: int
    description: str

    def partitions(self, shares: int) -> int:
        """How many partitions it has where the coins are shared among so many."""
        return shares if self.is_shared else 1

    @property
    def config(self) -> dict[str, str]:
        """Settings the topic is created with."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
            "message.timestamp.type": "CreateTime",
        }

    def encode(self, record: msgspec.Struct) -> bytes:
        """A record as it travels. Errors: TypeError for a record of another topic."""
        if not isinstance(record, self.record):
            raise TypeError(f"{self.name} carries {self.record.__name__}, got {type(record).__name__}")
        return msgspec.json.encode(record)

    def decoder(self) -> Callable[[bytes], Any]:
        """What reads a message of this topic; it raises msgspec.MsgspecError."""
        return msgspec.json.Decoder(self.record).decode


FILLS = Topic(
    "c.fills.v1",
    records.InputBatch,
    "partition",
    True,
    7 * DAY_MS,
    "every input of the decision step, in consumed order; a frame goes to its coin's partition",
)
SIGNALS = Topic(
    "d.signals.v1",
    records.SignalRecord,
    "symbol",
    True,
    30 * DAY_MS,
    "decisions that passed gates and risk checks",
)
OUTCOMES = Topic("d.outcomes.v1", records.OutcomeRecord, "symbol", True, 30 * DAY_MS, "how followed decisions ended")
SCORES = Topic(
    "b.scores.v1",
    records.ScoreRecord,
    "address",
    True,
    30 * DAY_MS,
    "posterior of each pool trader, on each new snapshot",
)
CANDIDATES = Topic(
    "a.candidates.v1", records.CandidateRecord, "address", True, 30 * DAY_MS, "traders that entered the pool"
)
INTENTS = Topic(
    "exec.intents.v1",
    records.IntentRecord,
    "account",
    False,
    7 * DAY_MS,
    "orders to place, and market ticks that may trigger",
)
REPORTS = Topic("exec.reports.v1", records.ReportRecord, "account", False, 30 * DAY_MS, "what became of each order")

ALL = (FILLS, SIGNALS, OUTCOMES, SCORES, CANDIDATES, INTENTS, REPORTS)


def topic_of(record: msgspec.Struct) -> Topic:
    """The topic that carries a record. Errors: TypeError if none does."""
    for topic in ALL:
        if isinstance(record, topic.record):
            return topic
    raise TypeError(f"no topic carries {type(record).__name__}")


def json_schemas() -> dict[str, dict[str, object]]:
    """JSON Schema of every topic's records, by topic name."""
    return {topic.name: msgspec.json.schema(topic.record) for topic in ALL}


def described() -> list[str]:
    """One line a topic: what a change here changes for everybody else who reads it."""
    return [
        f"{topic.name} {topic.record.__name__} key={topic.key} "
        f"partitions={'by coins' if topic.is_shared else 'one per account'} days={topic.retention_ms // DAY_MS}"
        for topic in ALL
    ]
