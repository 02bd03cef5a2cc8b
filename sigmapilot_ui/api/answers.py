"""How answers and errors look: JSON with numbers as numbers, 0 as 0, unknown as null; errors as one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from psycopg.errors import UndefinedTable
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from sigmapilot_core.adapters.dagster_graphql import DagsterRefusedError, DagsterUnavailableError

DATABASE_AWAY = "The database does not answer; every request tries again, so nothing needs a restart."
NOT_MIGRATED = "The database has no tables yet; `sigmapilot up` creates them."


class Json(JSONResponse):
    """JSON by orjson: instants in UTC with a Z, NaN and infinities as null."""

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content, option=orjson.OPT_UTC_Z)


def failure(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Json:
    """An error answer."""
    return Json({"error": sentence}, status_code=status, headers=dict(headers or {}))


def database_sentence(error: SQLAlchemyError) -> str:
    """What is wrong with the database, without its address or the statement."""
    return NOT_MIGRATED if isinstance(getattr(error, "orig", None), UndefinedTable) else DATABASE_AWAY


async def _on_http(_: Request, error: Exception) -> Json:
    assert isinstance(error, HTTPException)
    return failure(error.status_code, str(error.detail), error.headers)


async def _on_invalid(_: Request, error: Exception) -> Json:
    """The first parameter that is not allowed, by its name and value."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()[0]
    message = found["msg"][0].lower() + found["msg"][1:]
    return failure(400, f"Parameter {found['loc'][-1]!r} is {found.get('input')!r}, which is not allowed: {message}.")


async def _on_database(_: Request, error: Exception) -> Json:
    assert isinstance(error, SQLAlchemyError)
    return failure(503, database_sentence(error), {"Retry-After": "2"})


async def _on_dagster_away(_: Request, error: Exception) -> Json:
    return failure(503, f"{error}; start it with `sigmapilot up`.", {"Retry-After": "5"})


async def _on_dagster_refused(_: Request, error: Exception) -> Json:
    return failure(502, f"{error}.")


async def _on_defect(_: Request, __: Exception) -> Json:
    return failure(500, "The request met a defect; the log of the API has the details.")


def add_error_answers(app: FastAPI) -> None:
    """Give every kind of error its answer."""
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(SQLAlchemyError, _on_database)
    app.add_exception_handler(DagsterUnavailableError, _on_dagster_away)
    app.add_exception_handler(DagsterRefusedError, _on_dagster_refused)
    app.add_exception_handler(Exception, _on_defect)
