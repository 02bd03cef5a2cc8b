"""`sigmapilot evaluate --truth`: what the truth of simulated worlds says of the method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from sigmapilot_core.adapters.postgres.instants import midnight, ms_of
from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.codec import from_json
from sigmapilot_core.domain.evaluation.bootstrap import Interval
from sigmapilot_core.domain.evaluation.truth_report import HISTORY_DAYS, SeedTruth, ask
from sigmapilot_core.domain.evaluation.truth_summary import TruthReport, report_of
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.world import World
from sigmapilot_core.domain.snapshot import settings_hash

if TYPE_CHECKING:
    from collections.abc import Sequence


def asked_worlds(
    seeds: Sequence[int],
    traders: int,
    end: date,
    params: Params,
    progress: Callable[[int, int], None],
    kept_in: Path | None = None,
) -> TruthReport:
    """Make each world and ask its truth; about two minutes of processor time a world of 1,000 traders.

    With a folder each world's answers are kept there as they come, and those that are there are not asked again: a run
    that was cut short goes on. Answers of other settings, sizes or ends have other names; those of older code have not.
    """
    found: list[SeedTruth] = []
    for done, seed in enumerate(seeds, start=1):
        file = None if kept_in is None else kept_in / _name(seed, traders, end, params)
        if file is not None and file.exists():
            found.append(from_json(SeedTruth, file.read_text(), "world"))
        else:
            found.append(_asked(seed, traders, end, params))
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(canonical_json(found[-1]) + "\n")
        progress(done, len(seeds))
    return report_of(found)


def _asked(seed: int, traders: int, end: date, params: Params) -> SeedTruth:
    settings = WorldSettings(seed=seed, epoch_ms=ms_of(midnight(end)), traders=traders, history_days=HISTORY_DAYS)
    return ask(World(settings), params)


def _name(seed: int, traders: int, end: date, params: Params) -> str:
    return f"world-{seed}-{traders}-{end:%Y%m%d}-{settings_hash(params)[:12]}.json"


def as_tree(report: TruthReport) -> dict[str, Any]:
    """The report as JSON can hold it."""
    return asdict(report)


def print_truth(report: TruthReport) -> None:
    """Tables for people."""
    console = Console()
    console.print(f"worlds: {', '.join(map(str, report.seeds))}; 95 % intervals over worlds")
    columns = ("precision", "recall", "distinct minds", "own skill", "skilled minds")
    pools = Table("day", "pool by", *columns, title="Who is in the pool")
    for line in report.pools:
        told = (line.precision, line.recall, line.deciders, line.own_skill, line.skilled_minds)
        pools.add_row(str(line.day), line.strategy, *map(shown, told))
    console.print(pools)
    regrets = Table("pool by", "regret, net R an episode", title="Best possible pool minus the pool chosen")
    for regret in report.regrets:
        regrets.add_row(regret.strategy, shown(regret.net_r))
    console.print(regrets)
    copied = Table("correlation", "K gate", "decisions", "one mind", "fewer than three minds", title="Copied leaders")
    for row in report.copied:
        gate = "with" if row.has_gate else "without"
        copied.add_row(row.method, gate, f"{row.decisions:,}", shown(row.one_mind, 4), shown(row.too_few_minds, 4))
    console.print(copied)
    gaps = Table(
        "decisions", "number", "realised gross R", "gap, raw", "gap, mapped", "gap, mapped, by days",
        title="Realised - estimated EV",
    )  # fmt: skip
    for gap in report.gaps:
        parts = (gap.realised_r, gap.raw, gap.mapped, gap.mapped_by_day)
        gaps.add_row(gap.name, f"{gap.raw.n:,}", *map(shown, parts))
    console.print(gaps)
    _print_trades(console, report)
    for name, score in (("raw", report.raw_probability), ("mapped", report.mapped_probability)):
        if score is not None:
            curve = ", ".join(f"{point.estimated:.2f}>{point.realised:.2f}" for point in score.curve)
            console.print(
                f"{name} p: Brier {score.brier:.4f} (of the mean {score.base:.4f}), log {score.log_score:.4f}"
            )
            console.print(f"  estimated>realised by tenths: {curve}")
    for goal in report.goals:
        verdict = {True: "met", False: "missed", None: "unknown"}[goal.is_met]
        console.print(f"{verdict}: {goal.name}: {goal.measured}; wanted {goal.wanted}")


def _print_trades(console: Console, report: TruthReport) -> None:
    trades = Table("strategy", "trades", "mean R", "consensus - this", title="R per trade after costs")
    for line in report.traded:
        trades.add_row(line.strategy, f"{line.mean_r.n:,}", shown(line.mean_r), shown(line.margin))
    console.print(trades)
    gates = Table(
        "gate",
        "stopped by it alone",
        "mean R of these",
        "passed - these",
        "R it saved",
        title="What each gate was worth",
    )
    for row in report.gates:
        gates.add_row(row.gate, f"{row.stopped.n:,}", shown(row.stopped), shown(row.margin), f"{row.saved_r:+,.0f}")
    console.print(gates)
    listed, gone = (sum(getattr(one, name) for one in report.survivors) for name in ("listed", "gone"))
    console.print(f"of {listed:,} traders ever listed {gone:,} are gone (vanished or liquidated); all are counted")


def shown(interval: Interval, digits: int = 3) -> str:
    """Value and interval as text."""
    if interval.value is None:
        return "unknown"
    if interval.low is None or interval.high is None:
        return f"{interval.value:.{digits}f}"
    return f"{interval.value:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"
