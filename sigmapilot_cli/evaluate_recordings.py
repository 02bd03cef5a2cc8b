"""`sigmapilot evaluate-recordings`: recorded real fills through the pipeline, results as they are."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sigmapilot_cli.errors import CommandError

if TYPE_CHECKING:
    from sigmapilot_core.domain.evaluation.recorded import Recorded


def evaluate_recordings(
    data: Annotated[Path, typer.Argument(help="Folder that holds the recordings, each in a folder of its own.")],
    out: Annotated[Path | None, typer.Option("--json", help="Also write all figures to this file.")] = None,
) -> None:
    """Play recorded fills of real traders through episodes, posteriors, correlation, votes and gates; tune nothing."""
    from sigmapilot_core.domain.evaluation.recorded import play
    from sigmapilot_core.domain.evaluation.recorded_summary import summary

    found = _recordings(data)
    if not found:
        raise CommandError(f"{data} holds none of the known recordings; docs/evaluation.md names them.")
    reports = []
    for recording in found:
        report = summary(play(recording))
        _tell(report)
        reports.append(report)
    if out is not None:
        out.write_text(json.dumps(reports, indent=1, default=_plain) + "\n")


def _recordings(data: Path) -> list[Recorded]:
    """Those that are there, one after the other."""
    from sigmapilot_core.adapters.recordings import fill_files, sweeps

    relay, reference = data / "hl-candles-relay-202607-08", data / "okx-1h-candles-2023-2026"
    known = (
        (data / "hl-whale-events-202608", lambda folder: sweeps.whales(folder, relay)),
        (data / "hl-leader-fills-202607", lambda folder: fill_files.leaders(folder, relay)),
        (data / "hl-4traders-fills-2024-2025", lambda folder: fill_files.four_traders(folder, reference)),
    )
    return [read(folder) for folder, read in known if folder.exists()]


def _tell(report: dict[str, Any]) -> None:
    typer.echo(f"\n{report['recording']}")
    for remark in report["remarks"]:
        typer.echo(f"  ({remark})")
    for part, figures in report.items():
        if isinstance(figures, dict):
            told = ", ".join(f"{name} {_shown(value)}" for name, value in figures.items())
            typer.echo(f"  {part}: {told or 'none'}")


def _shown(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {count}" for name, count in value.items()) + ")"
    return f"{value:.3g}" if isinstance(value, float) else f"{value}"


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
