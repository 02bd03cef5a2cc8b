"""What people decide by hand: the kill switch. Each change needs the token and leaves who, when and why."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from sigmapilot_core.adapters.postgres import operator_store, queries_operators
from sigmapilot_core.adapters.postgres.queries import feed_now
from sigmapilot_core.domain.risk.kill_switch import LONGEST_NAME, LONGEST_REASON, SwitchAction
from sigmapilot_ui.api.context import Context, Db, Limit, Shared
from sigmapilot_ui.api.guard import NeedsToken

router = APIRouter(tags=["operators"])
_REFUSALS: dict[int | str, dict[str, Any]] = {401: {"description": "no token, or a wrong one"}}

Reason = Annotated[str, Field(min_length=1, max_length=LONGEST_REASON, description="why; kept in the audit trail")]
Who = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, description="who asks")]


class SwitchOn(BaseModel):
    """Body of `/kill-switch/on`; `auto` lets it release itself after its cooldown."""

    reason: Reason
    by: Who = "api"
    auto: bool = False


class SwitchOff(BaseModel):
    """Body of `/kill-switch/off`; `force` releases it before its cooldown is over."""

    reason: Reason
    by: Who = "api"
    force: bool = False


@router.get("/kill-switch")
def kill_switch(db: Db, shared: Shared, limit: Limit = 20) -> dict[str, Any]:
    """Whether entries are blocked, since when and why, until when, requests not answered yet, and what happened."""
    return queries_operators.kill_switch(db, shared.config.params.risk.kill_switch_cooldown_h, limit)


@router.post("/kill-switch/on", status_code=202, dependencies=[NeedsToken], responses=_REFUSALS)
def kill_switch_on(shared: Shared, body: SwitchOn) -> dict[str, Any]:
    """Block entries. JSON body: `reason`, `by`, `auto`. The stream applies it within a second, or at its next start."""
    return _asked(shared, SwitchAction.ON, body.reason, body.by, is_auto=body.auto)


@router.post("/kill-switch/off", status_code=202, dependencies=[NeedsToken], responses=_REFUSALS)
def kill_switch_off(shared: Shared, body: SwitchOff) -> dict[str, Any]:
    """Allow entries again. JSON body: `reason`, `by`, `force`; refused before the cooldown is over unless forced."""
    return _asked(shared, SwitchAction.OFF, body.reason, body.by, is_forced=body.force)


def _asked(shared: Context, action: SwitchAction, reason: str, by: str, **how: bool) -> dict[str, Any]:
    try:
        with shared.engine.begin() as connection:
            now = feed_now(connection)
            request = operator_store.ask_kill_switch(connection, action, reason, by, "api", now, **how)
    except ValueError as error:
        raise HTTPException(400, f"{error}.") from error
    return {
        "request_id": request.id,
        "action": request.action.value,
        "requested_at": now,
        "message": "Written; GET /kill-switch shows what became of it.",
    }
