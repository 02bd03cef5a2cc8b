"""The topics and the shape of their records, compared with what stands in the repository."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from sigmapilot_stream import topics
from sigmapilot_stream.records import InputBatch, InputRecord, OutcomeRecord, ReportRecord, ScoreRecord

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "sigmapilot_stream" / "schemas"
GOLDEN = ROOT / "tests" / "golden" / "topics.txt"
BATCH = InputBatch("0-of-4", (InputRecord(7, "live", 1_700_000_000_000, b'{"channel":"trades"}\xff'),))


def test_topics_are_the_golden_topics() -> None:
    assert topics.described() == GOLDEN.read_text().splitlines(), "a change here changes what others read"


@pytest.mark.parametrize("topic", topics.ALL, ids=lambda topic: topic.name)
def test_the_schema_in_the_repository_is_that_of_the_records(topic: topics.Topic) -> None:
    stored = json.loads((SCHEMAS / f"{topic.name}.json").read_text())
    assert stored == json.loads(json.dumps(topics.json_schemas()[topic.name]))
    jsonschema.Draft202012Validator.check_schema(stored)


def test_no_schema_is_left_of_a_topic_that_is_gone() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} == {topic.name for topic in topics.ALL}


@pytest.mark.parametrize(
    "record",
    [
        BATCH,
        OutcomeRecord("id", "BTC", 1, 0.5, "stop"),
        ScoreRecord("0x1", 0.1, 2.0, 0.3, 1, 4, 5),
        ReportRecord("paper", "c", "d", "entry", "BTC", "buy", "filled", "1", "2", "0.1", 3),
    ],
)
def test_what_is_sent_is_read_back_and_meets_the_schema(record: msgspec.Struct) -> None:
    topic = topics.topic_of(record)
    sent = topic.encode(record)
    assert topic.decoder()(sent) == record
    jsonschema.validate(json.loads(sent), json.loads((SCHEMAS / f"{topic.name}.json").read_text()))


def test_a_record_of_another_topic_is_refused() -> None:
    with pytest.raises(TypeError, match=r"d\.signals\.v1 carries SignalRecord, got InputBatch"):
        topics.SIGNALS.encode(BATCH)


def test_one_partition_per_share_of_the_coins_and_one_per_account() -> None:
    assert {topic.name: topic.partitions(8) for topic in topics.ALL if topic.partitions(8) != 8} == {
        "exec.intents.v1": 1,
        "exec.reports.v1": 1,
    }
    assert all(int(topic.config["retention.ms"]) == topic.retention_ms > 0 for topic in topics.ALL)
