"""The `sigmapilot` command. Exit codes: 0 done, 1 not done (one sentence says why), 2 bad configuration, 3 timeout."""

from __future__ import annotations

import sys

import typer

from sigmapilot_cli.about import settings, version
from sigmapilot_cli.audit import replay, verify
from sigmapilot_cli.database import db
from sigmapilot_cli.demo import demo
from sigmapilot_cli.errors import EXIT_CONFIGURATION, CommandError
from sigmapilot_cli.evaluate import evaluate
from sigmapilot_cli.evaluate_recordings import evaluate_recordings
from sigmapilot_cli.explain import explain, export
from sigmapilot_cli.kill_switch import kill_switch
from sigmapilot_cli.pinned import pinned
from sigmapilot_cli.pool import pool
from sigmapilot_cli.reset import reset
from sigmapilot_cli.running import down, logs, status, up
from sigmapilot_core.adapters.settings import SettingsError

cli = typer.Typer(
    help="Consensus signals from independent, provably good Hyperliquid traders.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (up, demo, down, status, logs, replay, verify, explain, export, evaluate, reset, settings, version):
    cli.command()(command)
cli.command("evaluate-recordings")(evaluate_recordings)
cli.add_typer(db, name="db")
cli.add_typer(kill_switch, name="kill-switch")
cli.add_typer(pinned, name="pinned")
cli.add_typer(pool, name="pool")


def app() -> None:
    """Entry point: errors of configuration and circumstance become one sentence on stderr."""
    try:
        cli()
    except SettingsError as error:
        typer.echo(f"sigmapilot: {error}", err=True)
        sys.exit(EXIT_CONFIGURATION)
    except CommandError as error:
        typer.echo(f"sigmapilot: {error}", err=True)
        sys.exit(error.exit_code)
