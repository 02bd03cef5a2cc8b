"""Dagster runs whose process died with its code server: marked as failed before a new code server starts.

With one run at a time an abandoned one would hold up the queue for ever: Dagster's own monitoring does not look after
runs of the default launcher. A run is a process of the code server's group, which ends with it, so whatever counts as
in progress when a code server is about to start is dead.
"""

from __future__ import annotations

import subprocess
import sys

import psycopg

from sigmapilot_cli.errors import CommandError
from sigmapilot_core.adapters.settings import Settings, child_environment

_UNFINISHED = ("NOT_STARTED", "STARTING", "STARTED", "CANCELING")
_TIMEOUT_S = 120


def settle_abandoned_runs(settings: Settings) -> None:
    """Mark them, in a process of its own: Dagster takes seconds to import, and mostly there are none.

    Raises:
        CommandError: Dagster could not do it.
    """
    try:
        if _any_unfinished(settings):
            _run_in_own_process(settings)
    except (psycopg.Error, subprocess.SubprocessError) as error:
        raise CommandError(f"abandoned Dagster runs cannot be marked as failed: {error}") from error


def _run_in_own_process(settings: Settings) -> None:
    subprocess.run(
        [sys.executable, "-m", "sigmapilot_cli.abandoned_runs"],
        env=child_environment(settings),
        cwd="/",
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=True,
    )


def _any_unfinished(settings: Settings) -> bool:
    url = settings.dagster_database_url.get_secret_value().replace("+psycopg2", "", 1)
    with psycopg.connect(url, connect_timeout=10) as connection:
        try:
            query = "SELECT EXISTS (SELECT 1 FROM runs WHERE status = ANY(%s))"
            row = connection.execute(query, [list(_UNFINISHED)]).fetchone()
        except psycopg.errors.UndefinedTable:  # Dagster has not been here yet
            return False
    return bool(row and row[0])


def main() -> None:
    """Runs with `DAGSTER_HOME` set."""
    import dagster as dg  # only in the process that needs it

    statuses = [dg.DagsterRunStatus(name) for name in _UNFINISHED]
    with dg.DagsterInstance.get() as instance:
        for run in instance.get_runs(dg.RunsFilter(statuses=statuses)):
            instance.report_run_failed(run, "The process of this run ended together with its code server.")


if __name__ == "__main__":
    main()
