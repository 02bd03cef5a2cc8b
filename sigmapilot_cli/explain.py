"""`sigmapilot explain` lays one decision open; `sigmapilot export` writes the log as CSV or Parquet."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated
from uuid import UUID

import typer

from sigmapilot_cli.answering import answering
from sigmapilot_cli.errors import CommandError
from sigmapilot_cli.options import ModeOption, settings_of_running

_EXPORT_TIMEOUT_MS = 600_000
_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]


class FileFormat(StrEnum):
    """What the log is written as."""

    CSV = "csv"
    PARQUET = "parquet"


class Kind(StrEnum):
    """Type of a decision."""

    SIGNAL = "signal"
    SKIP = "skip"
    RISK_REJECT = "risk_reject"


def explain(
    decision_id: Annotated[UUID, typer.Argument(help="The id that /decisions shows.")],
    mode: ModeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Who voted with which record, every gate with its margin, the EV step by step, and what would have changed it."""
    from dataclasses import asdict

    import orjson

    from sigmapilot_core.adapters.postgres.queries import reading
    from sigmapilot_core.adapters.postgres.queries_explanation import NotExplainableError, explained
    from sigmapilot_core.domain.consensus.explanation_text import explanation_text

    settings = settings_of_running(mode)
    try:
        with answering(settings) as engine, reading(engine) as db:
            found = explained(db, str(decision_id))
    except NotExplainableError as error:
        raise CommandError(f"{error}.") from error
    if as_json:
        typer.echo(orjson.dumps(asdict(found), option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())
        return
    typer.echo(explanation_text(found.explanation))
    same = "the same bytes" if found.is_same else "NOT the same bytes; `sigmapilot replay` names the field"
    typer.echo(f"row {found.seq} of chain {found.chain}; made again from its stored inputs: {same}")
    typer.echo(f"model snapshot {found.snapshot['snapshot_version']}, made by these runs of Dagster:")
    for run in found.runs:
        at = f"{run['materialized_at']:%Y-%m-%d %H:%M:%S} UTC"
        typer.echo(
            f"  {run['part']}  {run['asset']:32}  {at}  http://127.0.0.1:{settings.ports.dagster}/runs/{run['run_id']}"
        )


def export(
    out: Annotated[Path, typer.Option("--out", help="File to write; - for standard output.")],
    form: Annotated[FileFormat, typer.Option("--format")] = FileFormat.CSV,
    since: Annotated[datetime | None, typer.Option("--since", formats=_FORMATS, help="Included; UTC.")] = None,
    until: Annotated[datetime | None, typer.Option("--until", formats=_FORMATS, help="Not included; UTC.")] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Coin, such as BTC.")] = None,
    kind: Annotated[Kind | None, typer.Option("--type")] = None,
    mode: ModeOption = None,
) -> None:
    """Write the decision log with its outcomes, oldest first, in bounded memory."""
    from sigmapilot_core.adapters.postgres.export import ExportFilter, ExportFormat, exported
    from sigmapilot_core.adapters.postgres.queries import reading

    try:
        wanted = ExportFilter(_utc(since), _utc(until), symbol, kind)
    except ValueError as error:
        raise CommandError(f"{error}.") from error
    with (
        answering(settings_of_running(mode)) as engine,
        reading(engine, _EXPORT_TIMEOUT_MS) as db,
        _written(out) as file,
    ):
        size = sum(file.write(piece) for piece in exported(db, wanted, ExportFormat(form.value)))
    if str(out) != "-":
        typer.echo(f"{out} ({size / 1e6:.2f} MB)")


@contextmanager
def _written(out: Path) -> Iterator[IO[bytes]]:
    """The file, whole or not at all. Errors: CommandError where it cannot be written."""
    if str(out) == "-":
        yield sys.stdout.buffer
        return
    part = out.with_name(f"{out.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(out)
    except OSError as error:
        raise CommandError(f"{out} cannot be written ({error.strerror}).") from error
    finally:
        part.unlink(missing_ok=True)


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
