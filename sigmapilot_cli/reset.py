"""`sigmapilot reset`: removes everything one mode has stored."""

from __future__ import annotations

import shutil
from typing import Annotated

import psycopg
import typer

from sigmapilot_cli.errors import CommandError
from sigmapilot_cli.lock import FILE_NAME, single_instance
from sigmapilot_cli.options import settings_of
from sigmapilot_core.adapters.postgres.databases import drop_database
from sigmapilot_core.adapters.settings import Settings


def reset(
    mode: Annotated[str, typer.Option("--mode", help="demo | live | testnet | recording:<name>")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove database, journal, logs and token of one mode. Back-ups stay."""
    settings = settings_of(mode)
    if not settings.mode_dir.exists() and not settings.database_is_external:
        typer.echo(f"mode {settings.mode} has stored nothing in {settings.mode_dir}.")
        return
    if not yes and typer.prompt(f"This removes all data of mode {settings.mode}. Type its name to go on") != mode:
        raise CommandError("nothing was removed.")
    settings.mode_dir.mkdir(parents=True, exist_ok=True)
    with single_instance(settings.mode_dir, str(settings.mode), None):
        _remove(settings)
    shutil.rmtree(settings.mode_dir)
    typer.echo(f"mode {settings.mode} is empty.")


def _remove(settings: Settings) -> None:
    """Everything but the lock, which stays until all else is gone."""
    if settings.database_is_external:
        try:
            for url in (settings.libpq_url, settings.dagster_database_url):
                drop_database(url.get_secret_value())
        except psycopg.Error as error:
            raise CommandError(f"the database cannot be removed: {str(error).strip().splitlines()[0]}") from error
    socket_dir = settings.server_paths.socket_dir
    if not socket_dir.is_relative_to(settings.mode_dir):
        shutil.rmtree(socket_dir, ignore_errors=True)
    for path in settings.mode_dir.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != FILE_NAME:
            path.unlink()
