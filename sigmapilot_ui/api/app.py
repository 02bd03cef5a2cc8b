"""The application: every route of the operators' runbook, answered from the database."""

from __future__ import annotations

import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from prometheus_client import CollectorRegistry

from sigmapilot_core.adapters.clock import SystemClock
from sigmapilot_core.adapters.dagster_graphql import DagsterGraphql
from sigmapilot_core.adapters.metrics import ApiMetrics, add_process_metrics
from sigmapilot_ui.api.answers import Json, add_error_answers
from sigmapilot_ui.api.context import ApiConfig, Context
from sigmapilot_ui.api.docs_page import docs_page
from sigmapilot_ui.api.guard import Guard
from sigmapilot_ui.api.routes import (
    decisions,
    execution,
    explanations,
    health,
    jobs,
    market,
    operators,
    science,
    traders,
)

_ABOUT = (
    "Consensus signals of independent, provably good traders. Reading needs no token; calls that start work need "
    "`Authorization: Bearer <token>`. Instants are UTC, R is a multiple of risk, null is unknown and 0 is zero."
)


def create_app(engine: sa.Engine, config: ApiConfig, dagster: DagsterGraphql | None = None) -> FastAPI:
    """The application over a database; `dagster` stands in for the client of `config.dagster_url`."""
    app = FastAPI(
        title="SigmaPilot",
        description=_ABOUT,
        default_response_class=Json,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    metrics = ApiMetrics(CollectorRegistry())
    add_process_metrics(metrics.registry, "sigmapilot_api")
    app.state.context = Context(config, engine, dagster or DagsterGraphql(config.dagster_url), SystemClock())
    app.state.metrics = metrics
    add_error_answers(app)
    app.add_middleware(Guard, metrics=metrics)
    for routes in (health, explanations, decisions, traders, market, execution, science, operators, jobs):
        app.include_router(routes.router)

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()))

    @app.get("/", include_in_schema=False)
    def index() -> dict[str, str]:
        return {"name": "SigmaPilot", "mode": config.mode, "docs": "/docs", "ready": "/readyz"}

    return app
