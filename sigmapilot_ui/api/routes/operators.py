"""What people decide by hand: the kill switch and pinned accounts. Each change needs the token and leaves who."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, Field

from sigmapilot_core.adapters.postgres import operator_store, pinned_store, queries_operators
from sigmapilot_core.adapters.postgres.queries import feed_now
from sigmapilot_core.domain.risk.kill_switch import LONGEST_NAME, LONGEST_REASON, SwitchAction
from sigmapilot_core.domain.traders.pinned import MAX_CUSTOM
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


class Pin(BaseModel):
    """Body of `POST /pinned-accounts`."""

    address: str
    nickname: Annotated[str | None, Field(max_length=64)] = None
    by: Who = "api"
    reason: Reason | None = None


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


@router.get("/pinned-accounts")
def pinned_accounts(db: Db) -> dict[str, Any]:
    """Accounts that are always followed, with what is known of them; they vote only if they are in the pool."""
    found = pinned_store.pinned_accounts(db)
    custom = sum(row["is_custom"] for row in found)
    return {"accounts": found, "count": len(found), "custom_count": custom, "max_custom": MAX_CUSTOM}


@router.get("/pinned-accounts/changes")
def pinned_changes(db: Db, limit: Limit = 20) -> dict[str, Any]:
    """What was pinned, renamed and unpinned: who, when and why; newest first."""
    return {"changes": pinned_store.pinned_changes(db, limit)}


@router.post("/pinned-accounts", status_code=201, dependencies=[NeedsToken], responses=_REFUSALS)
def pin_account(shared: Shared, body: Pin) -> dict[str, Any]:
    """Follow an account from the next snapshot on. JSON body: `address`, `nickname`, `by`; at most three are custom."""
    try:
        with shared.engine.begin() as connection:
            change = pinned_store.Change(body.by, feed_now(connection), "api", body.reason)
            return pinned_store.pin(connection, body.address, body.nickname, change)
    except ValueError as error:
        raise HTTPException(400, f"{error}.") from error


@router.delete("/pinned-accounts/{address}", dependencies=[NeedsToken], responses=_REFUSALS)
def unpin_account(
    shared: Shared,
    address: str,
    reason: Annotated[str, Query(min_length=1, max_length=LONGEST_REASON, description="why; kept with the change")],
    by: Annotated[str, Query(min_length=1, max_length=LONGEST_NAME, description="who asks")] = "api",
) -> dict[str, Any]:
    """No longer follow an account for its own sake: `?reason=...&by=...`; what was learnt of it stays."""
    try:
        with shared.engine.begin() as connection:
            change = pinned_store.Change(by, feed_now(connection), "api", reason)
            was_pinned = pinned_store.unpin(connection, address, change)
    except ValueError as error:
        raise HTTPException(400, f"{error}.") from error
    if not was_pinned:
        raise HTTPException(404, f"{address} is not pinned.")
    return {"address": address.strip().lower(), "removed": True}
