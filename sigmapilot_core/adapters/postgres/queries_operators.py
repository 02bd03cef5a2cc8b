"""What people asked for and what became of it, for the API, the command line and the page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.queries import Row, feed_now, first, parsed, rows
from sigmapilot_core.adapters.postgres.schema.operators import kill_switch_requests
from sigmapilot_core.adapters.postgres.schema.stream import kill_switch_events, risk_governor_state

_ASKED = kill_switch_requests.c
_EVENT = kill_switch_events.c


def kill_switch(connection: sa.Connection, cooldown_h: float, limit: int = 20) -> Row:
    """The switch as the stream last wrote it, requests it has not answered, and the newest events.

    state: `unknown` before the stream has ever written it, `off`, `on`, or `waits_for_person` once the cooldown of a
    switch that does not release itself is over. `free_at` is when a cooldown ends.
    """
    held = risk_governor_state.c
    found = first(connection, sa.select(held.value, held.updated_at).where(held.key == "kill_switch"))
    switch = parsed(found["value"]) if found else None
    since = _at(switch["since_ms"]) if switch else None
    free_at = since + timedelta(hours=cooldown_h) if since else None
    return {
        "state": _state(found, switch, free_at, feed_now(connection)),
        "since": since,
        "reason": switch["reason"] if switch else None,
        "auto": switch["auto"] if switch else None,
        "free_at": free_at,
        "updated_at": found["updated_at"] if found else None,
        "blocks": "entries only; positions are always reduced",
        "pending": rows(
            connection,
            sa.select(kill_switch_requests)
            .where(~sa.exists(sa.select(sa.literal(1)).where(_EVENT.request_id == _ASKED.id)))
            .order_by(_ASKED.requested_at),
        ),
        "events": rows(connection, _events().order_by(_EVENT.at.desc(), _EVENT.id.desc()).limit(limit)),
    }


def switch_answer(connection: sa.Connection, request_id: str) -> Row | None:
    """What became of one request, None while the stream has not answered."""
    return first(connection, _events().where(_EVENT.request_id == request_id))


def _events() -> sa.Select:
    return sa.select(
        _EVENT.at,
        _EVENT.event,
        _EVENT.cause,
        _EVENT.detail,
        _EVENT.request_id,
        _ASKED.reason,
        _ASKED.requested_by,
        _ASKED.via,
        _ASKED.requested_at,
    ).outerjoin(kill_switch_requests, _ASKED.id == _EVENT.request_id)


def _state(found: Row | None, switch: Row | None, free_at: datetime | None, now: datetime) -> str:
    if found is None:
        return "unknown"
    if switch is None or free_at is None:
        return "off"
    return "on" if now < free_at or switch["auto"] else "waits_for_person"


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
