"""Instants as the database and the domain have them: aware datetimes in UTC, and milliseconds since the epoch."""

from __future__ import annotations

from datetime import UTC, date, datetime, time


def at(ms: int) -> datetime:
    """Milliseconds since the epoch as an aware datetime."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def ms_of(moment: datetime) -> int:
    """An aware datetime as whole milliseconds since the epoch."""
    return int(moment.timestamp() * 1000)


def midnight(day: date) -> datetime:
    """00:00 UTC of a day."""
    return datetime.combine(day, time(), UTC)
