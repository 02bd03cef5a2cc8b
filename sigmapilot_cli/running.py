"""Commands about a running system: up, down, status, logs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sigmapilot_cli.errors import EXIT_FAILED, EXIT_TIMEOUT, CommandError
from sigmapilot_cli.lock import Owner, owner_of
from sigmapilot_cli.options import ModeOption, PortBaseOption, settings_of, settings_of_running
from sigmapilot_cli.runner import STATE_FILE, run_mode
from sigmapilot_cli.supervisor.log_file import last_lines
from sigmapilot_core.adapters.settings import Settings

_POLL_S = 0.05
_STEADY = {"ready"}


def up(mode: ModeOption = None, port_base: PortBaseOption = None) -> None:
    """Start everything and keep it running; Ctrl-C stops it in order, a second one at once."""
    raise typer.Exit(run_mode(settings_of(mode, port_base)))


def down(
    mode: ModeOption = None,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for an orderly end.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 120,
) -> None:
    """Stop a system that runs in another terminal."""
    settings = settings_of_running(mode)
    owner = owner_of(settings.mode_dir)
    if owner is None:
        typer.echo(f"SigmaPilot does not run in mode {settings.mode}.")
        return
    for _ in range(2 if now else 1):
        os.kill(owner.pid, signal.SIGTERM)
        time.sleep(_POLL_S)  # two signals of the same kind that arrive together count as one
    deadline = time.monotonic() + timeout
    while owner_of(settings.mode_dir) is not None:
        if time.monotonic() > deadline:
            raise CommandError(f"process {owner.pid} has not stopped within {timeout:g} s; try --now.", EXIT_TIMEOUT)
        time.sleep(_POLL_S)
    typer.echo(f"SigmaPilot (mode {settings.mode}, process {owner.pid}) has stopped.")


def status(
    mode: ModeOption = None, as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False
) -> None:
    """What runs and how it is; exit code 0 if every part is ready."""
    settings = settings_of_running(mode)
    owner = owner_of(settings.mode_dir)
    parts = _parts(settings) if owner else []
    ready = bool(parts) and all(part["state"] in _STEADY for part in parts)
    fetching = _fetching(settings) if owner else None
    if as_json:
        found = {"mode": str(settings.mode), "running": owner is not None, "ready": ready, "parts": parts}
        found["fetching"] = fetching
        typer.echo(json.dumps({**found, "pid": owner.pid if owner else None, "since": owner.since if owner else None}))
    else:
        _print_table(settings, owner, parts)
        if fetching is not None:
            typer.echo(fetching)
    raise typer.Exit(0 if ready else EXIT_FAILED)


def logs(
    part: Annotated[str, typer.Argument(help="A part named by `sigmapilot status`.")],
    mode: ModeOption = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1)] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing until Ctrl-C.")] = False,
) -> None:
    """The last lines one part has written."""
    folder = settings_of_running(mode).logs_dir
    names = sorted(path.stem for path in folder.glob("*.log"))
    if part not in names:
        known = " | ".join(names) or "none yet; start it with `sigmapilot up`"
        raise CommandError(f"there is no log of {part!r}; allowed: {known}.")
    path = folder / f"{part}.log"
    for line in last_lines(path, lines):
        typer.echo(line)
    if follow:
        with contextlib.suppress(KeyboardInterrupt):
            _follow(path)


def _follow(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        while True:
            chunk = file.read()
            if chunk:
                typer.echo(chunk.decode(errors="replace"), nl=False)
            else:
                time.sleep(_POLL_S)


def _parts(settings: Settings) -> list[dict[str, object]]:
    try:
        found: list[dict[str, object]] = json.loads((settings.mode_dir / STATE_FILE).read_text())["parts"]
    except FileNotFoundError:  # it is only just starting
        return []
    return found


def _fetching(settings: Settings) -> str | None:
    """How far the histories are while they are fetched; None when there is nothing to wait for, or nobody to ask."""
    # SQLAlchemy is slow to import, and most commands do without
    from sqlalchemy.exc import DBAPIError

    from sigmapilot_core.adapters.postgres import progress_store
    from sigmapilot_core.adapters.postgres.engine import create_engine

    engine = create_engine(settings.database_url.get_secret_value(), pool_size=1)
    try:
        with engine.connect() as connection:
            found = progress_store.read(connection, progress_store.HISTORIES)
    except DBAPIError:  # it is not up yet: the table of parts says so
        return None
    finally:
        engine.dispose()
    return str(found) if found is not None and found.ended_at is None else None


def _print_table(settings: Settings, owner: Owner | None, parts: list[dict[str, object]]) -> None:
    if owner is None:
        typer.echo(f"SigmaPilot does not run in mode {settings.mode}; start it with `sigmapilot up`.")
        return
    table = Table(title=f"SigmaPilot, mode {owner.mode}, process {owner.pid} since {owner.since}", title_justify="left")
    for heading in ("part", "state", "pid", "ports", "restarts", "last end"):
        table.add_column(heading, no_wrap=heading != "ports" and heading != "last end")
    for part in parts:
        ports = part["ports"]
        shown = ", ".join(map(str, ports)) if isinstance(ports, list) else ""
        cells = (part["name"], part["state"], part["pid"], shown, part["restarts"], part["last_end"])
        table.add_row(*("" if cell is None else str(cell) for cell in cells))
    Console().print(table)
