"""`sigmapilot replay --all`: every decision of a period made again, in this process, from what is stored."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import typer

from sigmapilot_cli.errors import EXIT_FAILED, CommandError
from sigmapilot_core.adapters.postgres.instants import midnight

if TYPE_CHECKING:
    from sigmapilot_core.adapters.postgres.recompute import Recomputed


def period_of(since: str | None, until: str | None) -> tuple[datetime, datetime]:
    """[first instant of the day `since`, end of the day `until`), UTC; everything without days."""
    first, last = _day("--from", since), _day("--to", until)
    if first is not None and last is not None and last < first:
        raise CommandError(f"--to is {last}; allowed is {first} or later.")
    begin = datetime.min.replace(tzinfo=UTC) if first is None else midnight(first)
    return begin, datetime.max.replace(tzinfo=UTC) if last is None else midnight(last + timedelta(days=1))


def _day(option: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{option} is {text}; allowed is a day such as 2026-03-15.") from None


def replay_all(url: str, since: str | None, until: str | None) -> None:
    """Make all decisions of some days again and say which differ; exit code 0 if every byte is the same."""
    from sigmapilot_core.adapters.postgres.audit import state_of
    from sigmapilot_core.adapters.postgres.recompute import recomputed

    begin, end = period_of(since, until)
    started = time.monotonic()

    def told(sofar: Recomputed) -> None:
        rate = sofar.decisions / (time.monotonic() - started)
        # on stderr: what is said at the end stays alone on stdout
        typer.echo(f"{sofar.decisions} decisions made again, {sofar.differing} differ, {rate:.0f}/s", err=True)

    with state_of(url) as connection:
        found = recomputed(connection, begin, end, told)
    _tell(found, time.monotonic() - started)
    raise typer.Exit(EXIT_FAILED if found.differing else 0)


def _tell(found: Recomputed, seconds: float) -> None:
    for item in found.named:
        typer.echo(f"{item.decided_at:%Y-%m-%d %H:%M:%S} {item.symbol} {item.id}: {item.what}")
    if found.differing > len(found.named):
        typer.echo(f"and {found.differing - len(found.named)} more")
    made = f"{found.decisions} decisions made again with {found.snapshots} snapshots in {seconds:.1f} s"
    typer.echo(f"{made}: " + (f"{found.differing} differ" if found.differing else "identical byte for byte"))
