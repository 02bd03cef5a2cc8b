"""Which part of the stream a process becomes, by its arguments and the broker."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from sigmapilot_core.adapters.settings import Settings, SettingsError, load_settings
from sigmapilot_stream import program
from sigmapilot_stream.kafka import entry, links, seats


def settings(broker: str | None) -> Settings:
    return load_settings({"SIGMAPILOT_BROKER_URL": broker}, environ={})


@pytest.mark.parametrize(
    ("broker", "arguments", "name"),
    [
        (None, [], "stream"),
        ("kafka://b:9092", [], "stream"),
        ("kafka://b:9092", ["worker"], "worker"),
        ("kafka://b:9092", ["worker", "3"], "worker-3"),
    ],
)
def test_arguments_name_the_part(broker: str | None, arguments: list[str], name: str) -> None:
    found = program.part_of(settings(broker), arguments)
    found.work.close()
    assert found.name == name


@pytest.mark.parametrize("arguments", [["feed"], ["worker", "10"], ["worker", "x"], ["worker", "1", "2"]])
def test_anything_else_is_one_sentence(arguments: list[str]) -> None:
    with pytest.raises(SettingsError, match="is no part of the stream"):
        program.part_of(settings("kafka://b:9092"), arguments)


def test_a_worker_needs_a_broker() -> None:
    with pytest.raises(SettingsError, match="a worker needs a broker"):
        program.part_of(settings(None), ["worker", "1"])


def test_a_worker_without_a_number_takes_the_first_port_that_is_free() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        first = taken.getsockname()[1]
        found = settings("kafka://b:9092")
        moved = replace(found, ports=replace(found.ports, stream_metrics=first - 1))
        assert entry.free_port(moved) > first


@pytest.mark.parametrize(
    ("url", "places"),
    [
        ("kafka://b", ["b:9092"]),
        ("kafka://a:1,b:2", ["a:1", "b:2"]),
        ("kafka://user:secret@a:1,b", ["a:1", "b:9092"]),
    ],
)
def test_brokers_of_a_url(url: str, places: list[str]) -> None:
    assert links.servers(url) == places


def test_a_dead_member_is_noticed_within_seconds() -> None:
    assert links.SESSION_TIMEOUT_MS <= 10_000
    assert 1000 * seats.LEAVE_S < links.REBALANCE_TIMEOUT_MS
    assert 2 * links.HEARTBEAT_MS < links.SESSION_TIMEOUT_MS < links.REBALANCE_TIMEOUT_MS
