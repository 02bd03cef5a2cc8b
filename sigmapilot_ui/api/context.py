"""What every request is answered with: put together once, handed to the application."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import BoundedSemaphore, Lock
from typing import Annotated

import sqlalchemy as sa
from fastapi import Depends, Query, Request
from pydantic import SecretStr

from sigmapilot_core.adapters.dagster_graphql import DagsterGraphql
from sigmapilot_core.adapters.postgres.queries import reading
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.traders.completeness import CompletenessParams
from sigmapilot_core.ports import Clock


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Settings of the API. Without `api_token` no call may change anything."""

    mode: str
    dagster_url: str = "http://127.0.0.1:3000"
    stream_metrics_url: str | None = None
    api_token: SecretStr | None = None
    params: Params = field(default_factory=Params)
    completeness: CompletenessParams = field(default_factory=CompletenessParams)


@dataclass(frozen=True, slots=True)
class Context:
    """Configuration and the clients that requests share. `launching` lets one request at a time start a run,
    `exporting` two read the log as a whole: each holds a connection for as long as its reader takes.
    """

    config: ApiConfig
    engine: sa.Engine
    dagster: DagsterGraphql
    clock: Clock
    launching: Lock = field(default_factory=Lock)
    exporting: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(2))


def context_of(request: Request) -> Context:
    """The application's context."""
    return request.app.state.context


def connection_of(request: Request) -> Iterator[sa.Connection]:
    """A read-only transaction for one request."""
    with reading(context_of(request).engine) as connection:
        yield connection


Db = Annotated[sa.Connection, Depends(connection_of)]
Shared = Annotated[Context, Depends(context_of)]
Limit = Annotated[int, Query(ge=1, le=500, description="how many rows at most")]
Offset = Annotated[int, Query(ge=0, le=10_000_000, description="how many rows to leave out")]
Symbol = Annotated[str | None, Query(min_length=1, max_length=32, description="coin, such as BTC")]
Address = Annotated[str, Query(pattern="^0x[0-9a-fA-F]{40}$", description="0x and 40 hexadecimal digits")]
Days = Annotated[int, Query(ge=1, le=365, description="days back from the feed's now")]
