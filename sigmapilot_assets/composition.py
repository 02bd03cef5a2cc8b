"""The platform of the settings: the only place of this package that knows concrete adapters."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
from dagster_dbt import DbtCliResource

from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.clock import FeedClock, SystemClock
from sigmapilot_core.adapters.hyperliquid.leaderboard_source import leaderboard_source
from sigmapilot_core.adapters.hyperliquid.reader import HttpVenueReader
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.settings import Settings, export_libpq, load_settings
from sigmapilot_core.ports import Clock

DBT = str(Path(sys.executable).parent / "dbt")  # of this environment, whatever PATH says


def platform_from_settings(settings: Settings | None = None) -> Platform:
    """Database, venue and clock as the settings say."""
    settings = settings or load_settings()
    clock = clock_of(settings)
    return Platform(
        mode=str(settings.mode),
        pool_flavour=settings.pool,
        params=settings.params,
        engine=create_engine(settings.database_url.get_secret_value()),
        clock=clock,
        open_venue=lambda: HttpVenueReader(
            settings.venue.api, settings.request_weight_per_minute, clock.now_ms, settings.budget_dir
        ),
        leaderboard=leaderboard_source(settings),
        data_dir=settings.mode_dir,
        retention_months=settings.retention.database_months,
        completeness=settings.completeness,
        account=settings.account_address,
    )


def clock_of(settings: Settings) -> Clock:
    """The machine's clock; of a recording the virtual time its emulator stands at."""
    if settings.mode.kind != "recording":
        return SystemClock()
    answer = httpx.get(f"{settings.venue.api}/emulator/status", timeout=10.0, trust_env=False)
    answer.raise_for_status()
    return FeedClock(int(answer.json()["now_ms"]))


@dataclass(frozen=True, slots=True)
class DbtPaths:
    """Where dbt writes, and its parsed project."""

    target: Path
    manifest: Path


def dbt_paths(project: Path) -> DbtPaths:
    """The folder of this mode for dbt's output; the project is parsed once after each change of its files."""
    settings = load_settings()
    export_libpq(settings)
    target = settings.mode_dir / "dbt"
    manifest = target / "manifest.json"
    newest = max(path.stat().st_mtime for path in project.rglob("*") if path.is_file())
    if not manifest.exists() or manifest.stat().st_mtime < newest:
        target.mkdir(parents=True, exist_ok=True)
        DbtCliResource(project_dir=str(project), profiles_dir=str(project), dbt_executable=DBT).cli(
            ["parse", "--quiet"], target_path=target
        ).wait()
    return DbtPaths(target, manifest)
