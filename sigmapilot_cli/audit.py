"""`sigmapilot replay` makes one decision again; `sigmapilot verify` walks the hash chains of both logs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from sigmapilot_cli.answering import unanswered
from sigmapilot_cli.errors import EXIT_FAILED, CommandError
from sigmapilot_cli.options import ModeOption, settings_of_running

if TYPE_CHECKING:
    from sigmapilot_core.adapters.postgres.audit import Audited
    from sigmapilot_core.domain.consensus.gates import GateResult


TOLD_FROM_ROWS = 1_000


def replay(
    decision_id: Annotated[UUID | None, typer.Argument(help="The id that /decisions shows.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Play this folder of a journal through the agents.")] = None,
    speed: Annotated[str, typer.Option(help="N times real time, or max.")] = "max",
    from_seq: Annotated[int | None, typer.Option(help="Begin with the last state kept before this input.")] = None,
    into: Annotated[str | None, typer.Option(help="URL of the replay's database; a temporary one without.")] = None,
    against: Annotated[str | None, typer.Option(help="URL of the live database, or `mode`: compare.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All decisions, or those of --from to --to.")] = False,
    since: Annotated[str | None, typer.Option("--from", help="First day, such as 2026-03-15.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Last day.")] = None,
    mode: ModeOption = None,
) -> None:
    """Make a stored decision, or --all, again from stored inputs and snapshot; exit code 0 if every byte is the same.

    With --journal: play everything the decision step consumed once more, into a database of its own. Exit code 0 if it
    was played, and with --against gave the same decisions byte for byte; 4 if one differs, which is named.
    """
    if (decision_id is not None) + (journal is not None) + every != 1:
        raise CommandError("give either the id of a decision, --all, or --journal DIR.")
    if every:
        _replay_all(since, until, mode)
    elif decision_id is not None:
        _replay_one(decision_id, mode)
    else:
        _replay_journal({"--journal": journal, "--from-seq": from_seq, "--database": into}, speed, against, mode)


def _replay_journal(
    options: dict[str, Path | int | str | None], speed: str, against: str | None, mode: str | None
) -> None:
    if speed != "max" and not _is_positive(speed):
        raise CommandError(f"--speed is {speed}; allowed is a number above 0, or max.")
    if against == "mode":
        against = settings_of_running(mode).database_url.get_secret_value()
    options |= {"--speed": speed, "--against": against}
    words = [str(word) for name, value in options.items() if value is not None for word in (name, value)]
    # the stream is a program of its own: commands do not import it
    raise typer.Exit(
        subprocess.run([sys.executable, "-m", "sigmapilot_stream.replaying", *words], check=False).returncode
    )


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


def _replay_all(since: str | None, until: str | None, mode: str | None) -> None:
    from sqlalchemy.exc import DBAPIError

    from sigmapilot_cli.recompute import replay_all

    settings = settings_of_running(mode)
    try:
        replay_all(settings.database_url.get_secret_value(), since, until)
    except DBAPIError as error:
        raise unanswered(str(settings.mode), error.orig) from error


def _replay_one(decision_id: UUID, mode: str | None) -> None:
    # SQLAlchemy is slow to import, and most commands do without
    from sqlalchemy.exc import DBAPIError

    from sigmapilot_core.adapters.postgres.audit import NotReplayableError, replayed

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
    """Check every row of the decision and outcome logs, and what stands beside them: inputs, ids, signals, snapshots.

    Exit code 0 if nothing was changed, removed or put in; otherwise the first such row of each chain is named.
    """
    from sqlalchemy.exc import DBAPIError

    from sigmapilot_core.adapters.postgres.audit import audited

    settings = settings_of_running(mode)
    try:
        found = audited(settings.database_url.get_secret_value(), _tell_walked)
    except DBAPIError as error:
        raise unanswered(str(settings.mode), error.orig) from error
    for log in dict.fromkeys(item.log for item in found):
        typer.echo(_summary(log, [item for item in found if item.log == log]))
    damaged = [item for item in found if item.damage is not None]
    for item in damaged:
        typer.echo(f"{item.name}: {item.damage}")
    typer.echo("nothing was changed, removed or put in" if not damaged else f"damaged: {len(damaged)}")
    raise typer.Exit(EXIT_FAILED if damaged else 0)


def _tell_walked(item: Audited) -> None:
    """How far it is, on stderr; small logs need no telling."""
    if item.n_rows >= TOLD_FROM_ROWS:
        typer.echo(f"{item.name}: {item.n_rows} rows walked", err=True)


def _summary(log: str, chains: list[Audited]) -> str:
    if chains[0].chain is None:
        return f"{log}: {chains[0].n_rows} rows"
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
