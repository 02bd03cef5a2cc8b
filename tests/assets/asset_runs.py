"""Running the graph, or a part of it, in the test's own process."""

from __future__ import annotations

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
    definitions = build({"platform": platform})
    selection = dg.AssetSelection.all() - dg.AssetSelection.groups("report", "stream") - jobs.PAST_DAYS
    job = dg.Definitions(
        assets=definitions.assets,
        jobs=[dg.define_asset_job("python_assets", selection, executor_def=dg.in_process_executor)],
        resources=definitions.resources,
    ).resolve_job_def("python_assets")
    return job.execute_in_process(instance=instance)


def rows(platform: Platform, table: sa.Table) -> list[dict[str, object]]:
    with platform.engine.connect() as connection:
        return [dict(found) for found in connection.execute(sa.select(table)).mappings()]
