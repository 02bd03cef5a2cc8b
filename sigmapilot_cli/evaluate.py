"""`sigmapilot evaluate`: walk-forward over a simulated world or stored history, beside its baselines."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from sigmapilot_cli.answering import answering
from sigmapilot_cli.errors import EXIT_CONFIGURATION, CommandError
from sigmapilot_cli.options import ModeOption, settings_of_running
from sigmapilot_core.adapters.postgres.instants import midnight, ms_of

if TYPE_CHECKING:
    from sigmapilot_core.adapters.postgres.walk_stored import WalkReport
    from sigmapilot_core.adapters.settings import Settings
    from sigmapilot_core.domain.evaluation.record import VenueRecord
    from sigmapilot_core.domain.evaluation.summary import Evaluation
    from sigmapilot_core.domain.params import Params

DEFAULT_END = date(2026, 1, 1)
DEFAULT_DAYS = 180
DEFAULT_TRADERS = 300


def evaluate(
    since: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Day after the last.")] = None,
    world: Annotated[
        int | None, typer.Option("--world", help="Seed of a simulated world; without it stored history.")
    ] = None,
    traders: Annotated[
        int | None, typer.Option(min=20, help="Traders of the simulated world: 300, with --truth 1,000.")
    ] = None,
    compares: Annotated[
        bool, typer.Option("--compare/--no-compare", help="Other pools through the same decisions.")
    ] = True,
    out: Annotated[Path | None, typer.Option("--json", help="Also write the whole report to this file.")] = None,
    truth: Annotated[bool, typer.Option("--truth", help="Ask the truth of simulated worlds instead.")] = False,
    worlds: Annotated[int, typer.Option(min=1, help="With --truth: how many, from the seed of --world on.")] = 10,
    kept_in: Annotated[
        Path | None, typer.Option("--keep", help="With --truth: folder in which each world's answers are kept.")
    ] = None,
    accepts_gaps: Annotated[
        bool, typer.Option("--accept-gaps", help="Walk over stored history that is not complete; the report says so.")
    ] = False,
    mode: ModeOption = None,
) -> None:
    """Walk forward over past days: what the rules would have decided and earned, fold by fold, beside the baselines."""
    # numpy, SciPy and the domain are slow to import, and most commands do without
    from sigmapilot_core.domain.evaluation.day_model import Learner
    from sigmapilot_core.domain.evaluation.summary import evaluate as walk_and_compare

    settings = settings_of_running(mode)
    params = settings.params
    if truth:
        first = 1 if world is None else world
        _ask_truth(range(first, first + worlds), traders, params, out, kept_in)
        return
    if world is None:
        report = _of_stored_history(settings, since, until, compares=compares, accepts_gaps=accepts_gaps)
        print_range(report)
        print_evaluation(report.evaluation)
        _write(out, report)
        return
    record = _simulated(world, *_span(since, until), traders or DEFAULT_TRADERS)
    with Progress(transient=True) as shown:
        found = _or_say_why(
            lambda: walk_and_compare(
                Learner.of(record, params), params, seed=world or 1, compares=compares, progress=_shown(shown)
            )
        )
    print_evaluation(found)
    _write(out, found)


def _write(out: Path | None, found: Evaluation | WalkReport) -> None:
    if out is not None:
        out.write_text(json.dumps(asdict(found), default=str, indent=1) + "\n")


def _of_stored_history(
    settings: Settings, since: datetime | None, until: datetime | None, *, compares: bool, accepts_gaps: bool
) -> WalkReport:
    """Walk over the database of the mode and store the report beside those of the asset.

    Errors: CommandError with one sentence; a range that cannot be asked for has the exit code of a bad argument.
    """
    from sigmapilot_core.adapters.postgres import walk_stored
    from sigmapilot_core.adapters.postgres.stored_record import NoHistoryError

    first, last = (None if moment is None else moment.date() for moment in (since, until))
    with answering(settings) as engine, Progress(transient=True) as shown:
        try:
            report = walk_stored.walk_stored(
                engine.begin, first, last, settings.params, compares=compares, accepts_gaps=accepts_gaps,
                progress=_shown(shown),
            )  # fmt: skip
        except walk_stored.BadRangeError as error:
            raise CommandError(str(error), EXIT_CONFIGURATION) from error
        except walk_stored.IncompleteHistoryError as error:
            raise CommandError(f"{error}; --accept-gaps walks over what there is") from error
        except NoHistoryError as error:
            raise CommandError(str(error)) from error
        walk_stored.store_walk(engine.begin, report, datetime.now(UTC))
    return report


def _ask_truth(seeds: range, traders: int | None, params: Params, out: Path | None, kept_in: Path | None) -> None:
    from sigmapilot_cli.evaluate_truth import as_tree, asked_worlds, print_truth
    from sigmapilot_core.domain.evaluation.truth_report import TRADERS

    with Progress(transient=True) as progress:
        found = asked_worlds(seeds, traders or TRADERS, DEFAULT_END, params, _shown(progress, "worlds"), kept_in)
    print_truth(found)
    if out is not None:
        out.write_text(json.dumps(as_tree(found), indent=1) + "\n")


def _span(since: datetime | None, until: datetime | None) -> tuple[date, int]:
    """(day after the last, days)."""
    end = until.date() if until else (since.date() + timedelta(days=DEFAULT_DAYS) if since else DEFAULT_END)
    days = (end - since.date()).days if since else DEFAULT_DAYS
    if days < 1:
        raise CommandError(f"--from {since:%Y-%m-%d} is not before --to {end}")
    return end, days


def _simulated(seed: int, end: date, days: int, traders: int) -> VenueRecord:
    from sigmapilot_core.domain.evaluation.simulated import record_of
    from sigmapilot_core.domain.simulation.settings import WorldSettings
    from sigmapilot_core.domain.simulation.world import World

    settings = WorldSettings(seed=seed, epoch_ms=ms_of(midnight(end)), traders=traders, history_days=days)
    return record_of(World(settings))


def _or_say_why(run: Callable[[], Evaluation]) -> Evaluation:
    try:
        return run()
    except ValueError as error:
        raise CommandError(str(error)) from error


def _shown(shown: Progress, what: str = "days") -> Callable[[int, int], None]:
    task = shown.add_task(what, total=None)

    def step(done: int, total: int) -> None:
        shown.update(task, completed=done, total=total)

    return step


def print_range(report: WalkReport) -> None:
    """What was walked over, and what it lacks."""
    rules = report.rules
    typer.echo(
        f"{report.first} to {report.last}: {report.traders:,} traders, {report.fills:,} fills of "
        f"{', '.join(report.coins)}; {rules.warm_up_days} days teach, tests of {rules.test_days} days, "
        f"{rules.gap_days} days between fitting and test; slippage {report.slippage}"
    )
    typer.echo(f"missing: {report.missing.sentence() or 'nothing'}")


def print_evaluation(found: Evaluation) -> None:
    """Tables for people."""
    console = Console()
    lines = Table(
        "strategy", "fold", "trades", "mean R", "95 %", "sum of R", "consensus - this", title="R per trade after costs"
    )
    for line in found.lines:
        mean = line.mean_r
        shown = "unknown" if mean.value is None else f"{mean.value:+.3f}"
        lines.add_row(
            line.strategy, "all" if line.fold is None else str(line.fold + 1), f"{mean.n:,}", shown,
            _range(mean.low, mean.high), f"{line.total_r:+,.1f}", _range(line.margin.low, line.margin.high),
        )  # fmt: skip
    console.print(lines)
    gates = Table(
        "gate", "stopped by it alone", "mean R of these", "95 %", "R it saved", title="What each gate was worth"
    )
    for row in found.gates:
        value = "unknown" if row.stopped.value is None else f"{row.stopped.value:+.3f}"
        gates.add_row(
            row.gate, f"{row.stopped.n:,}", value, _range(row.stopped.low, row.stopped.high), f"{row.saved_r:+.1f}"
        )
    console.print(gates)
    console.print(f"realised - estimated gross R: {found.ev_gap}; before the maps {found.raw_ev_gap}")
    for name, score in (("mapped", found.probability), ("raw", found.raw_probability)):
        if score is not None:
            console.print(
                f"{name} p: Brier {score.brier:.4f} (of the mean: {score.base:.4f}), log score {score.log_score:.4f}"
            )
    if found.sharpe is not None:
        console.print(
            f"Sharpe ratio of a day {found.sharpe.daily:.3f}, best of {found.sharpe.trials} without edge "
            f"{found.sharpe.expected_best:.3f}: deflated {found.sharpe.probability:.4f}"
        )
    left = found.survivorship
    console.print(
        f"of {left.listed} traders ever listed {left.gone} are gone ({left.vanished} vanished, {left.liquidated} "
        f"liquidated) and counted: copied, all of them make {_number(left.everybody_r)} R, who is left "
        f"{_number(left.survivors_r)} R"
    )
    shifted = [row.name for row in found.drift if row.is_shifted]
    console.print(f"inputs that shifted against the fitting period (PSI > .25): {', '.join(shifted) or 'none'}")


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.3f}"


def _range(low: float | None, high: float | None) -> str:
    return "unknown" if low is None or high is None else f"{low:+.3f} to {high:+.3f}"
