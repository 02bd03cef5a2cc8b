"""`sigmapilot demo`: the whole system on one machine without a network, on a simulated or a recorded exchange."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from sigmapilot_cli.options import PortBaseOption, settings_of
from sigmapilot_cli.runner import run_mode


def demo(
    until_signal: Annotated[bool, typer.Option("--until-signal", help="Stop after the first executed signal.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds --until-signal or a recording may take.")] = 900,
    recording: Annotated[str | None, typer.Option(help="Folder of a recorded market to replay.")] = None,
    leaderboard: Annotated[str | None, typer.Option(help="Folder of a recorded leaderboard.")] = None,
    pool: Annotated[str | None, typer.Option(help="normal | recording")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the simulated world.")] = None,
    port_base: PortBaseOption = None,
) -> None:
    """Run everything against a simulated (or recorded) exchange on this machine."""
    settings = settings_of(
        demo_mode(recording),
        port_base,
        recording_dir=recording,
        leaderboard_dir=leaderboard,
        pool=pool or ("recording" if recording else None),
        seed=None if seed is None else str(seed),
    )
    from sigmapilot_cli.demo_journey import DemoJourney  # SQLAlchemy is slow to import, and most commands do without

    journey = DemoJourney(settings, typer.echo)
    if recording is not None:
        raise typer.Exit(run_mode(settings, journey.until_end, timeout))
    if until_signal:
        raise typer.Exit(run_mode(settings, journey.until_signal, timeout))
    raise typer.Exit(run_mode(settings, journey.stay))


def demo_mode(recording: str | None) -> str:
    """The mode of a demo: `demo`, or `recording:<name>` named after the recording's folder."""
    if recording is None:
        return "demo"
    name = re.sub(r"[^a-z0-9_]+", "_", Path(recording).absolute().name.lower()).strip("_")
    return f"recording:{name[:40] or 'unnamed'}"
