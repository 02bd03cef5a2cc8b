"""Dagster's instance folder of one mode, written at every start."""

from __future__ import annotations

import json
from pathlib import Path

from sigmapilot_core.adapters.dagster_graphql import LOCATION
from sigmapilot_core.adapters.settings import Settings
from sigmapilot_core.adapters.settings_values import RUN_HISTORY_DAYS

CODE_SOCKET = "code.sock"
INSTANCE_FILE = "dagster.yaml"
WORKSPACE_FILE = "workspace.yaml"
_TICKS = {"purge_after_days": {"skipped": 1, "failure": RUN_HISTORY_DAYS, "success": RUN_HISTORY_DAYS}}


def write_dagster_home(settings: Settings) -> Path:
    """Write `dagster.yaml` and `workspace.yaml`; returns the folder.

    The database URL may hold a password, so the file names the variable instead. Runs go one at a time: jobs use the
    in-process executor, and a small machine has no room for two. The code server listens on a socket in this folder.
    """
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    instance = {
        "storage": {"postgres": {"postgres_url": {"env": "SIGMAPILOT_DAGSTER_DATABASE_URL"}}},
        "concurrency": {"runs": {"max_concurrent_runs": 1}},
        "run_monitoring": {"enabled": True, "start_timeout_seconds": 180, "poll_interval_seconds": 30},
        "retention": {"schedule": _TICKS, "sensor": _TICKS, "auto_materialize": _TICKS},
        "local_artifact_storage": {
            "module": "dagster._core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(home)},
        },
        "compute_logs": {
            "module": "dagster._core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(home / "compute_logs")},
        },
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        "freshness": {"enabled": True},
    }
    workspace = {"load_from": [{"grpc_server": {"socket": str(home / CODE_SOCKET), "location_name": LOCATION}}]}
    for name, content in ((INSTANCE_FILE, instance), (WORKSPACE_FILE, workspace)):
        (home / name).write_text(json.dumps(content, indent=2))  # every JSON document is a YAML document
    return home
