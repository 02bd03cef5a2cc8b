"""Clock and logging."""

from __future__ import annotations

import json
import logging

import pytest
import structlog

from sigmapilot_core.adapters.clock import FeedClock, SystemClock
from sigmapilot_core.adapters.logging import configure_logging, without_secrets


def test_the_feed_clock_never_runs_backwards() -> None:
    clock = FeedClock(1_000)
    for instant in (2_000, 1_500):
        clock.advance_to(instant)
    assert clock.now_ms() == 2_000


def test_the_system_clock_is_in_milliseconds() -> None:
    assert 1_700_000_000_000 < SystemClock().now_ms() < 4_000_000_000_000


def test_secrets_are_masked_at_any_depth() -> None:
    event = {
        "event": "connect postgresql://bob:hunter2@db/x with Bearer abc.def",
        "api_token": "abc",
        "request": {"headers": [{"Authorization": "Bearer abc"}], "path": "/x"},
    }
    assert without_secrets(None, "info", event) == {
        "event": "connect postgresql://***@db/x with Bearer ***",
        "api_token": "***",
        "request": {"headers": [{"Authorization": "***"}], "path": "/x"},
    }


def test_libraries_and_own_lines_come_out_alike(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure_logging("stream", form="json")
        structlog.get_logger("own").info("ready", coins=3)
        logging.getLogger("library").warning("slow %s", "disk")
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
        root.handlers[:] = before[0]
        root.setLevel(before[1])
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["component"], line["logger"], line["event"]) for line in lines] == [
        ("stream", "own", "ready"),
        ("stream", "library", "slow disk"),
    ]
