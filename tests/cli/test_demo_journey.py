"""The demo's way to its first signal, against a real database and stand-ins for API and Dagster on real ports."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web
from fake_parts import free_port

from sigmapilot_cli.demo_journey import DemoJourney
from sigmapilot_cli.errors import CommandError
from sigmapilot_cli.ports import is_free
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.schema.stream import consensus_signals, execution_logs
from sigmapilot_core.adapters.settings import load_settings

RUN = "6e79867e-85df-47a7-bc57-351fc38687d3"


class Stage:
    """API and Dagster as the demo sees them; `run_status` is the learning run's."""

    def __init__(self, url: str) -> None:
        self.run_status = "SUCCESS"
        self.stream_checks = [False, True]
        self.launched: list[str] = []
        self.engine = create_engine(url, pool_size=1)
        environ = {"SIGMAPILOT_DATABASE_URL": url, "SIGMAPILOT_PORT_BASE": str(port_base())}
        self.settings = load_settings(environ=environ)
        self.lines: list[str] = []

    def journey(self) -> DemoJourney:
        return DemoJourney(self.settings, self._say, poll_s=0.01)

    def _say(self, line: str) -> None:
        self.lines.append(line)
        if line.startswith("watching"):
            trade(self.engine, "BTC")

    async def readyz(self, _: web.Request) -> web.Response:
        alive = self.stream_checks.pop(0) if len(self.stream_checks) > 1 else self.stream_checks[0]
        checks = [{"name": "snapshot", "passed": None}, {"name": "stream", "passed": alive}]
        return web.json_response({"checks": checks}, status=503)

    async def graphql(self, request: web.Request) -> web.Response:
        asked = await request.json()
        if "launchRun" in asked["query"]:
            self.launched.append(asked["variables"]["params"]["selector"]["jobName"])
            answer: Any = {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": RUN}}}
            if self.run_status == "UNKNOWN JOB":
                answer = {"launchRun": {"__typename": "PipelineNotFoundError", "message": "no such job"}}
        elif "reloadRepositoryLocation" in asked["query"]:
            loaded = {"__typename": "RepositoryLocation"}
            answer = {
                "reloadRepositoryLocation": {"__typename": "WorkspaceLocationEntry", "locationOrLoadError": loaded}
            }
        else:
            step = {"stepKey": "model_traders__pool", "status": "FAILURE", "startTime": 1.0, "endTime": 2.0}
            run = {"runId": RUN, "status": self.run_status, "creationTime": 1.0, "startTime": 1.0, "endTime": 2.0}
            found = [run | {"executionPlan": {"steps": [{"key": "model_traders__pool"}]}, "stepStats": [step]}]
            answer = {"runsOrError": {"__typename": "Runs", "results": found}}
        return web.json_response({"data": answer})


def port_base() -> int:
    """A base whose API and Dagster ports are free."""
    while True:
        base = free_port()
        if base < 65_000 and is_free(base) and is_free(base + 30):
            return base


def trade(engine: sa.Engine, symbol: str, fill_price: float | None = 101.5) -> None:
    """A signal and its entry order; `fill_price` None: not filled."""
    decision, now = str(uuid.uuid4()), datetime.now(UTC)
    numbers = {
        column.name: 1
        for column in consensus_signals.c
        if not column.nullable and isinstance(column.type, sa.Numeric | sa.Integer)
    }
    signal = numbers | {"id": decision, "symbol": symbol, "direction": "long", "created_at": now}
    order = {
        "client_order_id": decision, "decision_id": decision, "leg": "entry", "exchange": "paper", "symbol": symbol,
        "side": "buy", "size": 1, "leverage": 1, "order_type": "market", "is_reduce_only": False, "status": "filled",
        "fill_price": fill_price, "kelly_method": "off", "created_at": now,
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(consensus_signals.insert().values(signal))
        connection.execute(execution_logs.insert().values(order))


@pytest.fixture
async def stage(pg_url: str) -> AsyncIterator[Stage]:
    made = Stage(pg_url)
    runners = []
    for port, routes in (
        (made.settings.ports.api[0], [web.get("/readyz", made.readyz)]),
        (made.settings.ports.dagster, [web.post("/graphql", made.graphql)]),
    ):
        app = web.Application()
        app.add_routes(routes)
        runners.append(web.AppRunner(app))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", port).start()
    yield made
    for runner in runners:
        await runner.cleanup()
    made.engine.dispose()


async def test_it_waits_for_the_stream_learns_and_names_the_first_executed_signal(stage: Stage) -> None:
    trade(stage.engine, "ETH")  # of an earlier demo
    assert await stage.journey().until_signal() == 0
    assert stage.launched == ["materialise_all"]
    assert stage.lines[-2].startswith("signal: long BTC, effective K 1.00")
    assert stage.lines[-2].endswith("paper fill at 101.5")
    assert stage.lines[-1].startswith("look at it: http://127.0.0.1:")


async def test_a_failed_learning_run_is_the_reason_and_names_the_step(stage: Stage) -> None:
    stage.run_status = "FAILURE"
    assert await stage.journey().until_signal() == 1
    assert stage.lines[-1] == f"learning failed: run {RUN} ended as FAILURE; failed: model_traders__pool"


async def test_an_unknown_job_ends_the_demo_with_dagsters_words(stage: Stage) -> None:
    stage.run_status = "UNKNOWN JOB"
    with pytest.raises(CommandError, match="no such job"):
        await stage.journey().until_signal()


async def test_staying_ends_well_when_it_is_told_to_stop(stage: Stage) -> None:
    staying = asyncio.create_task(stage.journey().stay())
    async with asyncio.timeout(20):
        while not any(line.startswith("signal") for line in stage.lines):
            await asyncio.sleep(0.01)
    staying.cancel()
    assert await staying == 0
