"""Decisions laid open for an auditor, and the log as a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from sigmapilot_core.adapters.postgres.export import ExportFilter, ExportFormat, exported
from sigmapilot_core.adapters.postgres.queries import reading
from sigmapilot_core.adapters.postgres.queries_explanation import Explained, NotExplainableError, explained
from sigmapilot_core.domain.consensus.explanation_text import explanation_text
from sigmapilot_ui.api.answers import Json
from sigmapilot_ui.api.context import Context, Db, Shared, Symbol
from sigmapilot_ui.api.routes.decisions import DecisionType

router = APIRouter(tags=["decisions"])
_EXPORT_TIMEOUT_MS = 600_000
_MEDIA = {ExportFormat.CSV: "text/csv; charset=utf-8", ExportFormat.PARQUET: "application/vnd.apache.parquet"}

Instant = Annotated[datetime | None, Query(description="ISO 8601; without a zone it is UTC")]


class Form(StrEnum):
    """How an explanation is answered."""

    JSON = "json"
    TEXT = "text"


@router.get("/decisions/{decision_id}/explanation", response_model=None)
def decision_explanation(
    db: Db,
    shared: Shared,
    decision_id: UUID,
    form: Annotated[Form, Query(alias="format", description="json or text")] = Form.JSON,
) -> Response:
    """Voters by pseudonym with their records, correlations, margins of all gates, EV step by step, the nearest changes
    that would have let each failed gate pass, and the Dagster runs behind the snapshot.
    """
    try:
        found = explained(db, str(decision_id))
    except NotExplainableError as error:
        raise HTTPException(404 if error.is_absent else 409, f"{error}.") from error
    runs = [run | {"url": f"{shared.config.dagster_url}/runs/{run['run_id']}"} for run in found.runs]
    if form is Form.TEXT:
        return PlainTextResponse(explanation_text(found.explanation) + _origin(found, runs))
    return Json(asdict(found) | {"runs": runs})


def _origin(found: Explained, runs: list[dict[str, Any]]) -> str:
    """Where the decision stands, and what its snapshot was made by."""
    same = "the same bytes" if found.is_same else "NOT the same bytes: see `sigmapilot replay`"
    lines = [
        "",
        "WHERE IT COMES FROM",
        f"  row {found.seq} of chain {found.chain}, hash {found.row_hash}; made again from its inputs: {same}",
        f"  model snapshot {found.snapshot['snapshot_version']}, hash {found.snapshot['hash']}",
        *(
            f"  {run['part']}  {run['asset']:32}  {run['materialized_at']:%Y-%m-%d %H:%M:%S} UTC  {run['url']}"
            for run in runs
        ),
    ]
    return "\n".join(lines) + "\n"


@router.get("/decisions/export", response_model=None)
def export_decisions(
    shared: Shared,
    form: Annotated[ExportFormat, Query(alias="format", description="csv or parquet")] = ExportFormat.CSV,
    since: Instant = None,
    until: Instant = None,
    symbol: Symbol = None,
    type_: Annotated[DecisionType | None, Query(alias="type", description="signal, skip or risk_reject")] = None,
) -> StreamingResponse:
    """The decision log with outcomes, oldest first, streamed; `since` is included, `until` is not."""
    try:
        wanted = ExportFilter(_utc(since), _utc(until), symbol, type_)
    except ValueError as error:
        raise HTTPException(400, f"{error}.") from error
    headers = {"Content-Disposition": f'attachment; filename="decisions.{form.value}"'}
    pieces = _pieces(shared, wanted, form)
    # begun before the answer: a database that is away is an error of its own, and what was begun is ended, whatever
    # becomes of the reader
    return StreamingResponse(chain([next(pieces)], pieces), media_type=_MEDIA[form], headers=headers)


def _pieces(shared: Context, wanted: ExportFilter, form: ExportFormat) -> Iterator[bytes]:
    if not shared.exporting.acquire(blocking=False):
        raise HTTPException(429, "Two exports are under way; wait until one has ended.", {"Retry-After": "10"})
    with ExitStack() as held:
        held.callback(shared.exporting.release)
        connection = held.enter_context(reading(shared.engine, _EXPORT_TIMEOUT_MS))
        yield from exported(connection, wanted, form)


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
