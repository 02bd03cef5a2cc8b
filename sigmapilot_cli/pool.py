"""`sigmapilot pool redraw`: the draws of a day made again and compared with what is stored."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sigmapilot_cli.errors import EXIT_FAILED, CommandError
from sigmapilot_cli.options import ModeOption, settings_of_running

if TYPE_CHECKING:
    import sqlalchemy as sa

    from sigmapilot_core.domain.params import Params

pool = typer.Typer(help="The pool of traders.", no_args_is_help=True)
_SHOWN = 20


@pool.callback()
def _group() -> None:
    """Keeps `redraw` a command of its own."""


@pool.command()
def redraw(
    date: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day the draws are of.")],
    mode: ModeOption = None,
) -> None:
    """Repeat every draw of a day from its stored key, and evaluate it again from what was known; changes nothing.

    Exit code 0 if every number is the same; otherwise the first differences are named.
    """
    # SQLAlchemy is slow to import, and most commands do without
    from sqlalchemy.exc import DBAPIError

    from sigmapilot_core.adapters.postgres import as_of_store
    from sigmapilot_core.adapters.postgres.engine import create_engine

    settings = settings_of_running(mode)
    engine = create_engine(settings.database_url.get_secret_value(), pool_size=1)
    try:
        with engine.connect() as connection:
            draws = as_of_store.selections_of(connection, date.date())
            if not draws:
                raise CommandError(f"no draw of {date:%Y-%m-%d} is stored in mode {settings.mode}.")
            found = [difference for draw in draws for difference in _differences(connection, draw, settings.params)]
    except DBAPIError as error:
        first = (str(error.orig).strip().splitlines() or ["no answer"])[0]
        raise CommandError(
            f"the database of mode {settings.mode} does not answer ({first}); start it with `sigmapilot up`."
        ) from error
    finally:
        engine.dispose()
    for difference in found[:_SHOWN]:
        typer.echo(difference)
    typer.echo(f"different: {len(found)} values" if found else "identical: keys, draws, members and rows of traders")
    raise typer.Exit(EXIT_FAILED if found else 0)


def _differences(connection: sa.Connection, draw: dict[str, Any], params: Params) -> list[str]:
    """Differences of one draw, after a line on what was compared."""
    from sigmapilot_core.adapters.postgres import as_of_store

    found = list(as_of_store.key_differences(connection, draw, params))
    version = draw["selection_version"]
    what = f"version {version}" if version else "whole day"
    said = f"{draw['as_of_date']} {what}, as of {draw['drawn_at']:%Y-%m-%d %H:%M:%S %Z}, key {draw['philox_key']}"
    if draw["flavour"] == "recording":
        typer.echo(f"{said}: repeated from its key; who occurs in the recording is known to its emulator alone")
        return found
    found += as_of_store.differences(connection, draw, None, params)
    typer.echo(f"{said}: repeated from its key and from what was known: {len(found)} differences")
    return found
