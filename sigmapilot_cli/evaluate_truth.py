"""`sigmapilot evaluate --truth`: what the truth of simulated worlds says of the method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from sigmapilot_core.domain.evaluation.bootstrap import Interval
from sigmapilot_core.domain.evaluation.truth_report import HISTORY_DAYS, SeedTruth, ask
from sigmapilot_core.domain.evaluation.truth_summary import TruthReport, report_of
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence


def asked_worlds(
    seeds: Sequence[int], traders: int, end: date, params: Params, progress: Callable[[int, int], None]
) -> TruthReport:
    """Make each world and ask its truth; about half a minute of processor time a world."""
    found: list[SeedTruth] = []
    epoch_ms = int(datetime(end.year, end.month, end.day, tzinfo=UTC).timestamp() * 1000)
    for done, seed in enumerate(seeds, start=1):
        world = World(WorldSettings(seed=seed, epoch_ms=epoch_ms, traders=traders, history_days=HISTORY_DAYS))
        found.append(ask(world, params))
        progress(done, len(seeds))
    return report_of(found)


def as_tree(report: TruthReport) -> dict[str, Any]:
    """The report as JSON can hold it."""
    return asdict(report)


def print_truth(report: TruthReport) -> None:
    """Tables for people."""
    console = Console()
    console.print(f"worlds: {', '.join(map(str, report.seeds))}; 95 % intervals over worlds")
    pools = Table("day", "pool by", "precision", "recall", "distinct minds", title="Who is in the pool")
    for line in report.pools:
        pools.add_row(str(line.day), line.strategy, *(shown(x) for x in (line.precision, line.recall, line.deciders)))
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
    gaps = Table("decisions", "number", "realised gross R", "gap, raw", "gap, mapped", title="Realised - estimated EV")
    for gap in report.gaps:
        gaps.add_row(gap.name, f"{gap.raw.n:,}", *(shown(x) for x in (gap.realised_r, gap.raw, gap.mapped)))
    console.print(gaps)
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


def shown(interval: Interval, digits: int = 3) -> str:
    """Value and interval as text."""
    if interval.value is None:
        return "unknown"
    if interval.low is None or interval.high is None:
        return f"{interval.value:.{digits}f}"
    return f"{interval.value:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"
