"""Dagster's webserver in memory: answers the client's queries after checking them against Dagster's own schema."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx
from dagster_graphql.schema import create_schema
from graphql import parse, validate


@cache
def schema() -> Any:
    return create_schema().graphql_schema


@dataclass
class DagsterTwin(httpx.BaseTransport):
    """Runs by job, newest first; `jobs` exist, others are not found; `is_away` refuses connections.

    `has_lost_jobs`: its code server was replaced, and it knows no job until it is told to look again; `code_error` is
    what it then finds instead of them.
    """

    jobs: tuple[str, ...] = ("refresh_alpha_pool", "compute_correlation", "materialise_all", "refresh_volatility")
    runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    launched: list[dict[str, Any]] = field(default_factory=list)
    next_tick: float | None = 1_773_621_900.0
    is_away: bool = False
    has_lost_jobs: bool = False
    code_error: str | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_away:
            raise httpx.ConnectError("connection refused")
        asked = json.loads(request.content)
        problems = validate(schema(), parse(asked["query"]))
        assert not problems, problems
        return httpx.Response(200, json={"data": self._answer(asked["query"], asked["variables"])})

    def _answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "launchRun" in query:
            return {"launchRun": self._launch(variables["params"])}
        if "reloadRepositoryLocation" in query:
            return {"reloadRepositoryLocation": self._reload()}
        if "scheduleOrError" in query:
            ticks = [] if self.next_tick is None else [{"timestamp": self.next_tick}]
            state = {"scheduleState": {"status": "RUNNING"}, "futureTicks": {"results": ticks}}
            return {"scheduleOrError": {"__typename": "Schedule", **state}}
        wanted = variables["filter"]
        found = [
            run
            for run in self.runs.get(wanted["pipelineName"], [])
            if run["status"] in wanted.get("statuses", [run["status"]])
        ]
        return {"runsOrError": {"__typename": "Runs", "results": found[: variables["limit"]]}}

    def _reload(self) -> dict[str, Any]:
        if self.code_error is not None:
            found = {"__typename": "PythonError", "message": self.code_error}
        else:
            found = {"__typename": "RepositoryLocation"}
            self.has_lost_jobs = False
        return {"__typename": "WorkspaceLocationEntry", "locationOrLoadError": found}

    def _launch(self, params: dict[str, Any]) -> dict[str, Any]:
        job = params["selector"]["jobName"]
        if job not in self.jobs or self.has_lost_jobs:
            return {"__typename": "PipelineNotFoundError", "message": f"Could not find job {job}\n  a stack trace"}
        self.launched.append(params)
        new = run(f"run-{len(self.launched)}", "QUEUED")
        self.runs.setdefault(job, []).insert(0, new)
        return {"__typename": "LaunchRunSuccess", "run": {"runId": new["runId"]}}


def run(run_id: str, status: str, *steps: tuple[str, str | None]) -> dict[str, Any]:
    """A run as Dagster describes it; a step without a status has not begun."""
    stats = [
        {"stepKey": key, "status": state, "startTime": 100.0 + i, "endTime": 160.0 if state == "SUCCESS" else None}
        for i, (key, state) in enumerate(steps)
        if state is not None
    ]
    return {
        "runId": run_id,
        "status": status,
        "creationTime": 90.0,
        "startTime": 100.0 if status != "QUEUED" else None,
        "endTime": 200.0 if status in ("SUCCESS", "FAILURE") else None,
        "executionPlan": {"steps": [{"key": key} for key, _ in steps]},
        "stepStats": stats,
    }
