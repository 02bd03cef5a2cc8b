"""Commands that only tell: version, settings."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sigmapilot_cli.options import ModeOption, settings_of
from sigmapilot_core.adapters.settings import describe


def version() -> None:
    """Print the version."""
    typer.echo(importlib.metadata.version("sigmapilot"))


def settings(
    mode: ModeOption = None, as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False
) -> None:
    """Every setting: its value now (secrets masked), its default, what is allowed."""
    rows = list(describe(settings_of(mode)))
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows]))
        return
    table = Table()
    for heading in ("setting", "value", "default", "allowed", "meaning"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(row.name, row.value, row.default, row.allowed, row.meaning)
    Console().print(table)
