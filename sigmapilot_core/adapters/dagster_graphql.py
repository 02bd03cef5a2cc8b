"""Starting and watching Dagster jobs through the webserver's GraphQL; only what the HTTP API needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

LOCATION = "sigmapilot_assets"
REPOSITORY = "__repository__"  # Dagster's own name for the one repository of a `Definitions` object
UNDER_WAY = ("QUEUED", "STARTING", "STARTED", "CANCELING")
ACTIVE = ("NOT_STARTED", *UNDER_WAY)

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PipelineNotFoundError { message }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on RunConflict { message }
    ... on UnauthorizedError { message }
    ... on PythonError { message }
  }
}
"""

RELOAD = """
mutation Reload($location: String!) {
  reloadRepositoryLocation(repositoryLocationName: $location) {
    __typename
    ... on WorkspaceLocationEntry { locationOrLoadError { __typename ... on PythonError { message } } }
    ... on ReloadNotSupported { message }
    ... on RepositoryLocationNotFound { message }
    ... on UnauthorizedError { message }
    ... on PythonError { message }
  }
}
"""

RUNS = """
query Runs($filter: RunsFilter!, $limit: Int!) {
  runsOrError(filter: $filter, limit: $limit) {
    __typename
    ... on Runs {
      results {
        runId
        status
        creationTime
        startTime
        endTime
        executionPlan { steps { key } }
        stepStats { stepKey status startTime endTime }
      }
    }
    ... on InvalidPipelineRunsFilterError { message }
    ... on PythonError { message }
  }
}
"""

NEXT_TICK = """
query NextTick($selector: ScheduleSelector!) {
  scheduleOrError(scheduleSelector: $selector) {
    __typename
    ... on Schedule {
      scheduleState { status }
      futureTicks(limit: 1) { results { timestamp } }
    }
    ... on ScheduleNotFoundError { message }
    ... on PythonError { message }
  }
}
"""


class DagsterUnavailableError(RuntimeError):
    """Dagster does not answer; the same call may succeed later."""


class DagsterRefusedError(RuntimeError):
    """Dagster answered and refuses: unknown job, wrong configuration."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run; times in seconds since the epoch, None while unknown."""

    key: str
    status: str | None
    started_at: float | None
    ended_at: float | None

    @property
    def is_finished(self) -> bool:
        return self.status in ("SUCCESS", "FAILURE", "SKIPPED")


@dataclass(frozen=True, slots=True)
class JobRun:
    """A run of a job; times in seconds since the epoch. `steps` are in the order they began, the others after them."""

    run_id: str
    status: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    steps: tuple[Step, ...]

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE

    @property
    def percent(self) -> float | None:
        """Finished steps of all, percent; a successful run is 100; None if the steps are not known."""
        if self.status == "SUCCESS":
            return 100.0
        return 100.0 * sum(step.is_finished for step in self.steps) / len(self.steps) if self.steps else None


class DagsterGraphql:
    """Client of one Dagster webserver; every call opens and closes its own connection."""

    def __init__(
        self, url: str, location: str = LOCATION, transport: httpx.BaseTransport | None = None, timeout_s: float = 10.0
    ) -> None:
        self.url = url.rstrip("/")
        self._location = location
        self._transport = transport
        self._timeout_s = timeout_s

    def launch(self, job: str, run_config: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Start a run of a job and return its id.

        A webserver whose code server was replaced may not know its jobs until it is told to look again: it is told
        once, before a job counts as unknown.

        Raises:
            DagsterUnavailableError: no answer, or not one of Dagster's, or its code server is not up.
            DagsterRefusedError: the job does not exist or its configuration is not allowed.
        """
        selector = {"repositoryLocationName": self._location, "repositoryName": REPOSITORY, "jobName": job}
        metadata = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
        params = {"selector": selector, "runConfigData": dict(run_config), "executionMetadata": metadata}
        result = self._ask(LAUNCH, {"params": params})["launchRun"]
        if result["__typename"] == "PipelineNotFoundError":
            self._reload()
            result = self._ask(LAUNCH, {"params": params})["launchRun"]
        if result["__typename"] != "LaunchRunSuccess":
            raise DagsterRefusedError(f"Dagster does not start job {job!r}: {_reason(result)}")
        return result["run"]["runId"]

    def _reload(self) -> None:
        """Let the webserver look at its code server again."""
        entry = self._ask(RELOAD, {"location": self._location})["reloadRepositoryLocation"]
        loaded = entry["locationOrLoadError"] if entry["__typename"] == "WorkspaceLocationEntry" else entry
        if loaded is None or loaded["__typename"] != "RepositoryLocation":
            reason = "it is still loading" if loaded is None else _reason(loaded)
            raise DagsterUnavailableError(f"Dagster at {self.url} does not reach its code server: {reason}")

    def newest_run(self, job: str) -> JobRun | None:
        """The newest run of a job in whatever state."""
        return next(iter(self._runs({"pipelineName": job}, 1)), None)

    def active_run(self, job: str) -> JobRun | None:
        """A run of a job that is queued or running.

        One that was made and never queued, as when the code server goes away in between, does not count: nothing will
        start it, and Dagster calls it failed minutes later.
        """
        return next(iter(self._runs({"pipelineName": job, "statuses": list(UNDER_WAY)}, 1)), None)

    def next_tick(self, schedule: str) -> float | None:
        """When a schedule runs next, seconds since the epoch; None if it is stopped."""
        selector = {"repositoryLocationName": self._location, "repositoryName": REPOSITORY, "scheduleName": schedule}
        result = self._ask(NEXT_TICK, {"selector": selector})["scheduleOrError"]
        if result["__typename"] != "Schedule":
            raise DagsterRefusedError(f"Dagster does not know schedule {schedule!r}: {_reason(result)}")
        ticks = result["futureTicks"]["results"]
        return ticks[0]["timestamp"] if ticks and result["scheduleState"]["status"] == "RUNNING" else None

    def _runs(self, wanted: Mapping[str, Any], limit: int) -> list[JobRun]:
        result = self._ask(RUNS, {"filter": wanted, "limit": limit})["runsOrError"]
        if result["__typename"] != "Runs":
            raise DagsterRefusedError(f"Dagster does not list runs: {_reason(result)}")
        return [_run(found) for found in result["results"]]

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        try:
            with httpx.Client(transport=self._transport, timeout=self._timeout_s, trust_env=False) as client:
                response = client.post(f"{self.url}/graphql", json={"query": query, "variables": variables})
                response.raise_for_status()
                answer = response.json()
        except httpx.HTTPStatusError as error:
            code = error.response.status_code
            raise DagsterUnavailableError(f"Dagster at {self.url} answers with status {code}") from error
        except (httpx.HTTPError, ValueError) as error:
            raise DagsterUnavailableError(f"Dagster does not answer at {self.url}: {error or type(error)}") from error
        if not isinstance(answer, dict) or answer.get("errors") or not isinstance(answer.get("data"), dict):
            raise DagsterUnavailableError(f"Dagster at {self.url} answers with an error: {answer}")
        return answer["data"]


def _reason(result: Mapping[str, Any]) -> str:
    """The first line of what Dagster says, without its stack trace."""
    messages = [error["message"] for error in result.get("errors", [])] or [result.get("message") or ""]
    return next((text.strip().splitlines()[0] for text in messages if text.strip()), result["__typename"])


def _run(found: Mapping[str, Any]) -> JobRun:
    seen = {stat["stepKey"]: stat for stat in found["stepStats"]}
    planned = [step["key"] for step in (found["executionPlan"] or {"steps": []})["steps"]]
    steps = [_step(key, seen.get(key, {})) for key in planned or list(seen)]
    # Dagster's plan is in no order: those begun first, as they began
    steps.sort(key=lambda step: (step.started_at is None, step.started_at or 0.0, step.key))
    return JobRun(
        run_id=found["runId"],
        status=found["status"],
        created_at=found["creationTime"],
        started_at=found["startTime"],
        ended_at=found["endTime"],
        steps=tuple(steps),
    )


def _step(key: str, stat: Mapping[str, Any]) -> Step:
    return Step(key, stat.get("status"), stat.get("startTime"), stat.get("endTime"))
