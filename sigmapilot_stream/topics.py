"""Names of the topics and what travels on each; the names are the predecessor's and stay."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from sigmapilot_stream import records


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: its name, the type of its records and the field that keys its partitions."""

    name: str
    record: type[msgspec.Struct]
    key: str
    description: str


FILLS = Topic("c.fills.v1", records.InputBatch, "partition", "every input of the decision step, in consumed order")
SIGNALS = Topic("d.signals.v1", records.SignalRecord, "symbol", "decisions that passed gates and risk checks")
OUTCOMES = Topic("d.outcomes.v1", records.OutcomeRecord, "symbol", "how followed decisions ended")
SCORES = Topic("b.scores.v1", records.ScoreRecord, "address", "posterior of each pool trader, on each new snapshot")
CANDIDATES = Topic("a.candidates.v1", records.CandidateRecord, "address", "traders that entered the pool")
INTENTS = Topic(
    "exec.intents.v1", records.IntentRecord, "account", "orders to place, and market ticks that may trigger"
)
REPORTS = Topic("exec.reports.v1", records.ReportRecord, "account", "what became of each order")

ALL = (FILLS, SIGNALS, OUTCOMES, SCORES, CANDIDATES, INTENTS, REPORTS)


def json_schemas() -> dict[str, dict[str, object]]:
    """JSON Schema of every topic's records, by topic name."""
    return {topic.name: msgspec.json.schema(topic.record) for topic in ALL}
