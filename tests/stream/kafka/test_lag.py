"""How far decisions are behind is told by partition: by the worker against the broker, by the feed as an overload."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from aiokafka.errors import KafkaConnectionError
from prometheus_client import CollectorRegistry

from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.metrics import Metrics
from sigmapilot_core.adapters.postgres import partition_store
from sigmapilot_core.domain.engine.share import shares
from sigmapilot_core.domain.params import FreshnessParams
from sigmapilot_stream import topics
from sigmapilot_stream.kafka.followed import SILENT_AFTER_S, Followed
from sigmapilot_stream.kafka.lag import Lag, LagService
from sigmapilot_stream.kafka.links import place
from sigmapilot_stream.services.gauges import Gauges

NOW_MS = 1_000_000


class Link:
    """A group member: where the partitions end, and what the group has committed."""

    def __init__(self, ends: dict[int, int], committed: dict[int, int]) -> None:
        self.ends, self._committed = ends, committed

    async def end_offsets(self, places: list[Any]) -> dict[Any, int]:
        if not self.ends:
            raise KafkaConnectionError("no broker")
        return {at: self.ends[at.partition] for at in places}

    async def committed(self, at: Any) -> int | None:
        return self._committed.get(at.partition)


def service(link: Link, **seats: tuple[int | None, int | None]) -> tuple[LagService, Metrics]:
    """One over seats named p<partition>, each with the offset it is at and when its newest message was sent."""
    held = {
        int(name[1:]): SimpleNamespace(share=shares(4)[int(name[1:])], offset=offset, sent_ms=sent_ms)
        for name, (offset, sent_ms) in seats.items()
    }
    metrics = Metrics(CollectorRegistry())
    parts: tuple[Any, ...] = (link, SimpleNamespace(seats=held), metrics, FeedClock(NOW_MS))
    return LagService(*parts), metrics


async def test_a_workers_lag_is_what_the_broker_has_beyond_what_is_handled() -> None:
    link = Link({0: 50, 1: 7, 2: 30}, {2: 12})
    found, metrics = service(link, p0=(40, NOW_MS - 2_500), p1=(7, NOW_MS - 9_000), p2=(None, None))
    await found.look()
    assert found.found == {"0-of-4": Lag(10, 2.5), "1-of-4": Lag(0, 0.0), "2-of-4": Lag(18, None)}
    sample = partial(metrics.registry.get_sample_value, "sigmapilot_consumer_lag")
    assert [sample({"partition": f"{n}-of-4"}) for n in range(4)] == [10, 0, 18, None]


async def test_what_was_given_up_or_cannot_be_asked_is_not_told_any_more() -> None:
    link = Link({0: 50, 1: 7}, {})
    found, metrics = service(link, p0=(40, NOW_MS), p1=(7, NOW_MS))
    await found.look()
    del found._seats.seats[1]  # type: ignore[attr-defined]
    await found.look()
    sample = partial(metrics.registry.get_sample_value, "sigmapilot_consumer_lag")
    assert (sample({"partition": "0-of-4"}), sample({"partition": "1-of-4"})) == (10, None)
    link.ends = {}
    await found.look()
    assert (found.messages, sample({"partition": "0-of-4"})) == ({}, None)


def test_the_place_of_a_partition_is_that_of_the_topic_of_inputs() -> None:
    assert place(topics.FILLS, 3) == (topics.FILLS.name, 3)


def report(seq: int, lag_s: float | None) -> dict[str, Any]:
    return {
        "seq": seq, "version": 1, "unprimed": [], "unknown": [], "disagreed": [], "fills": 0, "duplicates": 0,
        "lag_s": lag_s,
    }  # fmt: skip


def say(database: sa.Engine, **reports: dict[str, Any]) -> None:
    with database.begin() as connection:
        partition_store.store_reports(connection, {f"{name[1:]}-of-2": one for name, one in reports.items()})


@pytest.fixture
def database(new_database: Callable[[], sa.Engine]) -> sa.Engine:
    return new_database()


async def test_the_feed_knows_what_waits_in_each_partition_and_how_far_the_last_of_them_is_behind(
    database: sa.Engine,
) -> None:
    found = Followed(database, shares(2))
    await found.look()
    assert (found.handled_seqs, found.lag_s(NOW_MS)) == ({"0-of-2": -1, "1-of-2": -1}, None)
    say(database, p0=report(9, 0.0), p1=report(4, 3.5))
    await found.look()
    assert (found.handled_seqs, found.lag_s(NOW_MS)) == ({"0-of-2": 9, "1-of-2": 4}, 3.5)
    found.reports["0-of-2"]["age_s"] = SILENT_AFTER_S + 5
    assert found.lag_s(NOW_MS) == SILENT_AFTER_S + 5, "of a silent partition it grows with the silence"


class Sent:
    """Inputs that were sent, by partition."""

    sent_seqs = (9, 9)


async def test_workers_that_are_behind_are_an_overload_until_they_have_caught_up(database: sa.Engine) -> None:
    followed, metrics, quiet = Followed(database, shares(2)), Metrics(CollectorRegistry()), SimpleNamespace()
    parts: tuple[Any, ...] = (metrics, FeedClock(NOW_MS), followed, Sent(), quiet, quiet, quiet, FreshnessParams())
    found = Gauges(*parts)
    told = []
    for reports in (
        {"p0": report(9, 0.0)},
        {"p1": report(4, 6.0)},
        {"p1": report(6, 2.0)},
        {"p1": report(9, 0.0)},
    ):
        say(database, **reports)
        await followed.look()
        found.sample_decisions(NOW_MS)
        told.append((found.inputs_lag["1-of-2"], found.lag_s, found.overloaded_since_ms is not None))
    assert told == [(10, 0.0, False), (5, 6.0, True), (3, 2.0, True), (0, 0.0, False)]
    depth = partial(metrics.registry.get_sample_value, "sigmapilot_queue_depth")
    assert (depth({"partition": "0-of-2"}), depth({"partition": "1-of-2"})) == (0, 0)
