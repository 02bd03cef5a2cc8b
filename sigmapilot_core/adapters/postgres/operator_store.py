"""What people ask for, written by the command line and the API; the stream answers in tables of its own."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.schema.operators import kill_switch_requests
from sigmapilot_core.adapters.postgres.schema.stream import kill_switch_events
from sigmapilot_core.domain.risk.kill_switch import SwitchAction, SwitchRequest


def ask_kill_switch(
    connection: sa.Connection,
    action: SwitchAction,
    reason: str,
    requested_by: str,
    via: str,
    at: datetime,
    *,
    is_auto: bool = False,
    is_forced: bool = False,
) -> SwitchRequest:
    """Store one request for the kill switch; `via` is cli or api.

    Errors: ValueError naming the field that is empty, too long or out of place.
    """
    who, why = " ".join(requested_by.split()), " ".join(reason.split())
    request = SwitchRequest(str(uuid.uuid4()), action, why, who, is_auto=is_auto, is_forced=is_forced)
    connection.execute(
        kill_switch_requests.insert().values(
            id=request.id,
            action=request.action.value,
            reason=request.reason,
            requested_by=request.requested_by,
            via=via,
            is_auto=request.is_auto,
            is_forced=request.is_forced,
            requested_at=at,
        )
    )
    return request


def unanswered_switch_requests(connection: sa.Connection) -> Sequence[SwitchRequest]:
    """Requests that the stream has not answered yet, oldest first."""
    asked, events = kill_switch_requests.c, kill_switch_events.c
    is_answered = sa.exists(sa.select(sa.literal(1)).where(events.request_id == asked.id))
    found = connection.execute(
        sa.select(kill_switch_requests).where(~is_answered).order_by(asked.requested_at, asked.id)
    )
    return [
        SwitchRequest(
            id=str(row.id),
            action=SwitchAction(row.action),
            reason=row.reason,
            requested_by=row.requested_by,
            is_auto=row.is_auto,
            is_forced=row.is_forced,
        )
        for row in found
    ]
