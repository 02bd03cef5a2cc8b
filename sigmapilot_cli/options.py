"""Options and look-ups that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from sigmapilot_cli.lock import running_modes
from sigmapilot_core.adapters.settings import Settings, load_settings

ModeOption = Annotated[
    str | None, typer.Option("--mode", help="demo | live | testnet | recording:<name>", show_default=False)
]
PortBaseOption = Annotated[int | None, typer.Option("--port-base", help="Move all ports; the API listens on this one.")]


def settings_of(mode: str | None = None, port_base: int | None = None, **more: str | None) -> Settings:
    """Settings with the command line on top of the environment; `more` by name without the prefix, lower case."""
    overrides = {"mode": mode, "port_base": None if port_base is None else str(port_base), **more}
    return load_settings({f"SIGMAPILOT_{name.upper()}": text for name, text in overrides.items()})


def settings_of_running(mode: str | None = None) -> Settings:
    """Settings for a command that looks at a mode: the named one, else the only one that runs, else the default."""
    settings = settings_of(mode)
    if mode is None and "SIGMAPILOT_MODE" not in settings.given:
        running = running_modes(settings.home)
        if len(running) == 1:
            return settings_of(running[0].mode)
    return settings
