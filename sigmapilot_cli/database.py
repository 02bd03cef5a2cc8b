"""Commands about the database: `db url`, `db backup`, `db migrate`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sigmapilot_cli.errors import CommandError
from sigmapilot_cli.migration import prepare_databases
from sigmapilot_cli.options import ModeOption, settings_of_running
from sigmapilot_core.adapters.postgres.account import ServerError
from sigmapilot_core.adapters.postgres.backup import dump
from sigmapilot_core.adapters.settings import libpq_environment

db = typer.Typer(help="The database of a mode.", no_args_is_help=True)


@db.command()
def url(mode: ModeOption = None) -> None:
    """Print the URL for psql. Starts and stops nothing."""
    typer.echo(settings_of_running(mode).libpq_url.get_secret_value())


@db.command()
def backup(
    mode: ModeOption = None,
    to: Annotated[Path | None, typer.Option(help="File to write; default: a dated one in the home folder.")] = None,
) -> None:
    """Write a consistent copy of the running database; read it back with `pg_restore`."""
    settings = settings_of_running(mode)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = to or settings.backups_dir / f"sigmapilot_{settings.mode.slug}-{stamp}.dump"
    try:
        size_bytes = dump(libpq_environment(settings), target)
    except ServerError as error:
        raise CommandError(str(error)) from error
    typer.echo(f"{target} ({size_bytes / 1e6:.1f} MB)")


@db.command()
def migrate(mode: ModeOption = None) -> None:
    """Bring the schema of the running database up to date; `sigmapilot up` does the same at every start."""
    settings = settings_of_running(mode)
    prepare_databases(settings)
    typer.echo(f"the schema of mode {settings.mode} is up to date.")
