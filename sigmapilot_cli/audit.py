"""`sigmapilot replay` makes one decision again; `sigmapilot verify` walks the hash chains of both logs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from sigmapilot_cli.answering import unanswered
from sigmapilot_cli.errors import EXIT_FAILED, CommandError
from sigmapilot_cli.options import ModeOption, settings_of_running

if TYPE_CHECKING:
    from sigmapilot_cli.audit_checks import Audited
    from sigmapilot_core.domain.consensus.gates import GateResult


def replay(
    decision_id: Annotated[UUID, typer.Argument(help="The id that /decisions shows.")], mode: ModeOption = None
) -> None:
    """Make a stored decision again from its stored inputs and settings; exit code 0 if every byte is the same."""
    # SQLAlchemy is slow to import, and most commands do without
    from sqlalchemy.exc import DBAPIError

    from sigmapilot_cli.audit_checks import NotReplayableError, replayed

    settings = settings_of_running(mode)
    try:
        found = replayed(settings.database_url.get_secret_value(), str(decision_id))
    except NotReplayableError as error:
        raise CommandError(str(error)) from error
    except DBAPIError as error:
        raise unanswered(str(settings.mode), error.orig) from error
    decision = found.decision
    typer.echo(f"{decision.decision_type.value} {decision.asset} {decision.direction.value}: {decision.reasoning}")
    _print_checks("gate", decision.gates)
    _print_checks("risk check", decision.risk_checks)
    if found.difference is not None:
        typer.echo(f"different: {found.difference}")
        raise typer.Exit(EXIT_FAILED)
    typer.echo(f"identical: {len(found.record.encode())} bytes, row hash {found.row_hash}")


def verify(mode: ModeOption = None) -> None:
    """Check every row of the decision and outcome logs; exit code 0 if none was changed, removed or put in."""
    from sqlalchemy.exc import DBAPIError

    from sigmapilot_cli.audit_checks import audited

    settings = settings_of_running(mode)
    try:
        found = audited(settings.database_url.get_secret_value())
    except DBAPIError as error:
        raise unanswered(str(settings.mode), error.orig) from error
    for log in dict.fromkeys(item.log for item in found):
        typer.echo(_summary(log, [item for item in found if item.log == log]))
    damaged = [item for item in found if item.damage is not None]
    for item in damaged:
        typer.echo(f"{item.log}, chain {item.chain}: {item.damage}")
    typer.echo("nothing was changed, removed or put in" if not damaged else f"damaged chains: {len(damaged)}")
    raise typer.Exit(EXIT_FAILED if damaged else 0)


def _summary(log: str, chains: list[Audited]) -> str:
    used = [item for item in chains if item.n_rows]
    anchored = sum(item.is_anchored for item in chains)
    return f"{log}: {sum(item.n_rows for item in used)} rows in {len(used)} chains" + (
        f", {anchored} of them behind an anchor of dropped months" if anchored else ""
    )


def _print_checks(title: str, results: Iterable[GateResult]) -> None:
    table = Table(title_justify="left")
    for heading in (title, "verdict", "value", "limit", "detail"):
        table.add_column(heading, overflow="fold", no_wrap=heading in (title, "verdict"))
    for result in results:
        numbers = ("" if number is None else f"{number:.6g}" for number in (result.value, result.threshold))
        table.add_row(result.name, result.verdict.value, *numbers, result.detail)
    Console().print(table)
