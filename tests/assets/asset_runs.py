"""Running the graph, or a part of it, in the test's own process."""

from __future__ import annotations

from typing import Any

import dagster as dg
import sqlalchemy as sa

from sigmapilot_assets import jobs
from sigmapilot_assets.definitions import build
from sigmapilot_assets.platform import Platform


def run(
    platform: Platform, instance: dg.DagsterInstance, job: str, *, raises: bool = True
) -> dg.ExecuteInProcessResult:
    """Run a job of the graph with this platform."""
    definitions = build({"platform": platform})
    return definitions.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=raises)


def run_python_assets(platform: Platform, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Everything but the dbt models."""
    selection = dg.AssetSelection.all() - dg.AssetSelection.groups("report", "stream") - jobs.PAST_DAYS
    return run_selection(platform, instance, selection)


def run_selection(
    platform: Platform, instance: dg.DagsterInstance, selection: dg.AssetSelection, config: dict[str, Any] | None = None
) -> dg.ExecuteInProcessResult:
    """Some assets of the graph, as one job."""
    definitions = build({"platform": platform})
    job = dg.Definitions(
        assets=definitions.assets,
        jobs=[dg.define_asset_job("some", selection, executor_def=dg.in_process_executor)],
        resources=definitions.resources,
    ).resolve_job_def("some")
    return job.execute_in_process(instance=instance, run_config=config)


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    """Checks that were evaluated, by name; of several with one name whether all passed."""
    passed: dict[str, bool] = {}
    for event in result.all_events:
        if event.event_type_value == "ASSET_CHECK_EVALUATION":
            check = event.asset_check_evaluation_data
            passed[check.check_name] = passed.get(check.check_name, True) and check.passed
    return passed


def rows(platform: Platform, table: sa.Table) -> list[dict[str, object]]:
    with platform.engine.connect() as connection:
        return [dict(found) for found in connection.execute(sa.select(table)).mappings()]
