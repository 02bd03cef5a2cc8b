"""The dbt project as assets: staging views, funnels and decision days; its tests are asset checks."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, dbt_assets

from sigmapilot_assets.composition import DBT, dbt_paths

PROJECT_DIR = Path(__file__).parents[2] / "dbt"
_PATHS = dbt_paths(PROJECT_DIR)


class Translator(DagsterDbtTranslator):
    """Names and groups of the models in the style of the other assets."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """`report_<model>`; sources name their asset themselves."""
        if dbt_resource_props["resource_type"] == "model":
            return dg.AssetKey(f"report_{dbt_resource_props['name']}")
        return super().get_asset_key(dbt_resource_props)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """All models are reports."""
        return "report"

    def get_automation_condition(self, dbt_resource_props: Mapping[str, Any]) -> dg.AutomationCondition | None:
        """Every quarter of an hour: often enough for people, rare enough for a small machine."""
        return dg.AutomationCondition.on_cron("*/15 * * * *")


dbt_resource = DbtCliResource(
    project_dir=str(PROJECT_DIR), profiles_dir=str(PROJECT_DIR), target_path=_PATHS.target, dbt_executable=DBT
)


# several tables come from one asset: a draw, its members and the rows of traders
_TRANSLATOR = Translator(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))


@dbt_assets(manifest=_PATHS.manifest, dagster_dbt_translator=_TRANSLATOR, name="report_models")
def report_models(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
    """Build and test the models that were asked for."""
    yield from dbt.cli(["build"], context=context, target_path=_PATHS.target).stream()
