"""An overload that the stream tells of is an alert, one for each time, until decisions have caught up."""

from __future__ import annotations

import dagster as dg
import sqlalchemy as sa

from sigmapilot_assets.platform import Platform
from sigmapilot_assets.sensors import stream_overload
from sigmapilot_core.adapters.postgres import stream_store
from sigmapilot_core.adapters.postgres.schema.model import alerts


def say(platform: Platform, since_ms: int | None, detail: str) -> None:
    """What the stream writes of itself."""
    row = {"value": since_ms is not None, "at_ms": 1, "age_limit_s": None, "detail": detail, "since_ms": since_ms}
    with platform.transaction() as connection:
        stream_store.store_status(connection, {"overload": row})


def looked(platform: Platform) -> str | None:
    found = stream_overload(dg.build_sensor_context(), platform=platform)
    assert isinstance(found, dg.SkipReason)
    return found.skip_message


def raised(platform: Platform) -> list[tuple[str, str, str, bool]]:
    c = alerts.c
    with platform.transaction() as connection:
        found = connection.execute(sa.select(c.id, c.severity, c.message, c.cleared_at).order_by(c.id))
        return [(row.id, row.severity, row.message, row.cleared_at is not None) for row in found]


def test_before_the_stream_said_anything_there_is_no_alert(platform: Platform) -> None:
    assert looked(platform) == "the stream said nothing yet"
    assert raised(platform) == []


def test_an_overload_is_one_alert_however_often_it_is_looked_at(platform: Platform) -> None:
    say(platform, 1_000, "6.1 s behind; the reader is slowed down")
    assert looked(platform) == "6.1 s behind; the reader is slowed down"
    say(platform, 1_000, "7.4 s behind; the reader is slowed down")
    looked(platform)
    told = "decisions are behind the feed: 6.1 s behind; the reader is slowed down"
    assert raised(platform) == [("overload:1000", "warning", told, False)]


def test_the_alert_is_cleared_once_decisions_keep_up_and_the_next_overload_is_another(platform: Platform) -> None:
    say(platform, 1_000, "6.1 s behind; the reader is slowed down")
    looked(platform)
    say(platform, None, "decisions keep up")
    assert looked(platform) == "decisions keep up"
    assert [(name, is_cleared) for name, _, _, is_cleared in raised(platform)] == [("overload:1000", True)]
    say(platform, 9_000, "5.2 s behind; the reader is slowed down")
    looked(platform)
    assert [(name, is_cleared) for name, _, _, is_cleared in raised(platform)] == [
        ("overload:1000", True), ("overload:9000", False),
    ]  # fmt: skip
