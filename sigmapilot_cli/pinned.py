"""`sigmapilot pinned list|add|remove`: accounts that are always followed; they vote only if they are in the pool."""

from __future__ import annotations

import os
import pwd
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sigmapilot_cli.answering import answering
from sigmapilot_cli.errors import CommandError
from sigmapilot_cli.options import ModeOption, settings_of_running

pinned = typer.Typer(
    help="Accounts that are always followed; they vote only if they are in the pool.", no_args_is_help=True
)

_SHOWN = 50
AddressArgument = Annotated[str, typer.Argument(help="0x and 40 hexadecimal digits.")]


@pinned.command()
def add(
    address: AddressArgument,
    mode: ModeOption = None,
    nickname: Annotated[str | None, typer.Option("--nickname", help="How the page calls it.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; kept with the change.")] = None,
) -> None:
    """Follow an account from the next snapshot on; at most three that are on no leaderboard."""
    from sigmapilot_core.adapters.postgres import pinned_store
    from sigmapilot_core.adapters.postgres.queries import feed_now

    with answering(settings_of_running(mode)) as engine:
        try:
            with engine.begin() as connection:
                found = pinned_store.pin(
                    connection, address, nickname, pinned_store.Change(_who(), feed_now(connection), "cli", reason)
                )
        except ValueError as error:
            raise CommandError(f"{error}.") from error
    kind = "custom: it is on no leaderboard" if found["is_custom"] else "on the leaderboard"
    typer.echo(f"{found['address']} is pinned ({kind}); it is followed from the next snapshot on.")


@pinned.command()
def remove(
    address: AddressArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with who and when in hl_pinned_changes.")],
    mode: ModeOption = None,
) -> None:
    """No longer follow an account for its own sake; what was learnt of it stays."""
    from sigmapilot_core.adapters.postgres import pinned_store
    from sigmapilot_core.adapters.postgres.queries import feed_now

    with answering(settings_of_running(mode)) as engine:
        try:
            with engine.begin() as connection:
                change = pinned_store.Change(_who(), feed_now(connection), "cli", reason)
                was_pinned = pinned_store.unpin(connection, address, change)
        except ValueError as error:
            raise CommandError(f"{error}.") from error
    if not was_pinned:
        raise CommandError(f"{address} is not pinned; see `sigmapilot pinned list`.")
    typer.echo(f"{address} is no longer pinned.")


@pinned.command()
def history(mode: ModeOption = None) -> None:
    """What was pinned, renamed and unpinned: who, when and why; newest first."""
    from sigmapilot_core.adapters.postgres import pinned_store
    from sigmapilot_core.adapters.postgres.queries import reading

    with answering(settings_of_running(mode)) as engine, reading(engine) as db:
        found = pinned_store.pinned_changes(db, _SHOWN)
    for row in found:
        typer.echo(
            f"{row['changed_at']:%Y-%m-%d %H:%M} {row['action']:6} {row['address']} by {row['changed_by']} "
            f"({row['via']}): {row['reason'] or 'no reason given'}"
        )
    if not found:
        typer.echo("no account was ever pinned.")


def _who() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


@pinned.command("list")
def list_(mode: ModeOption = None) -> None:
    """Pinned accounts, and what is known of them."""
    from sigmapilot_core.adapters.postgres import pinned_store
    from sigmapilot_core.adapters.postgres.queries import reading

    with answering(settings_of_running(mode)) as engine, reading(engine) as db:
        found = pinned_store.pinned_accounts(db)
    if not found:
        typer.echo("no account is pinned.")
        return
    table = Table(title_justify="left")
    for heading in ("address", "nickname", "kind", "followed", "in the pool", "filters", "n eff", "pinned by"):
        table.add_column(heading, no_wrap=heading == "address")
    for row in found:
        n_eff = "" if row["n_eff"] is None else f"{row['n_eff']:.1f}"
        kind, filters = "custom" if row["is_custom"] else "leaderboard", row["eligible"] or "unknown"
        yes = {True: "yes", False: "no"}
        who = (row["address"], row["nickname"] or "", kind)
        table.add_row(*who, yes[row["is_followed"]], yes[row["in_pool"]], filters, n_eff, row["pinned_by"])
    Console(width=160).print(table)
