"""Nightly reports of the science: what each gate was worth, whether inputs drift, and what the truth of worlds says."""

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import dagster as dg
import numpy as np

from sigmapilot_assets.metadata import preview_table
from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import science_store
from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.codec import from_json
from sigmapilot_core.domain.evaluation.ablation import GateWorth, gate_worth
from sigmapilot_core.domain.evaluation.drift import InputDrift, drift_between
from sigmapilot_core.domain.evaluation.record import Minutes
from sigmapilot_core.domain.evaluation.replay import Judged
from sigmapilot_core.domain.evaluation.scoring import score
from sigmapilot_core.domain.evaluation.sharpe import DeflatedSharpe, deflated_sharpe
from sigmapilot_core.domain.evaluation.truth_report import HISTORY_DAYS, TRADERS, SeedTruth, ask
from sigmapilot_core.domain.evaluation.truth_summary import report_of
from sigmapilot_core.domain.params import DAY_MS, MINUTE_MS, Params
from sigmapilot_core.domain.simulation.settings import WorldSettings
from sigmapilot_core.domain.simulation.world import World

LOOKBACK = timedelta(days=60)
NOW_DAYS, GAP_DAYS = 7, 7
WORLDS = 10
BOOTSTRAP_SEED = 1


@dataclass(frozen=True, slots=True)
class GateReport:
    """Stored decisions of 60 days: gates, drift of the last week against what lies before a week's gap, Sharpe."""

    decisions: int
    ended: int
    gates: tuple[GateWorth, ...]
    drift: tuple[InputDrift, ...]
    sharpe: DeflatedSharpe | None


@dg.asset(
    name="report_science__gates",
    group_name="report",
    owners=["team:research"],
    kinds={"python", "numpy", "postgres"},
    deps=["stream_decisions", "raw_hyperliquid__candles"],
    check_specs=[dg.AssetCheckSpec("inputs_do_not_drift", asset="report_science__gates")],
)
def gates(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Follow every decision that one gate alone stopped over the stored minutes: what it saved, with its interval."""
    now_ms = platform.clock.now_ms()
    with platform.transaction() as connection:
        coins, judged = science_store.written_decisions(connection, platform.now() - LOOKBACK)
        first = min((one.decided_at_ms for one in judged), default=now_ms) // MINUTE_MS * MINUTE_MS
        minutes = science_store.read_minutes(connection, coins, first, now_ms)
        found = gate_report(minutes, judged, now_ms, platform.params)
        content = json.dumps(asdict(found))
        science_store.store_report(connection, science_store.Report(science_store.GATES, platform.now(), content))
    shown = [[row.gate, row.stopped.n, row.stopped.value, row.stopped.low, row.stopped.high] for row in found.gates]
    shifted = [row.name for row in found.drift if row.is_shifted]
    return dg.MaterializeResult(
        metadata={
            "decisions": found.decisions,
            "passed and ended": found.ended,
            "gates": preview_table(["gate", "stopped alone", "mean R", "low", "high"], shown),
            "deflated sharpe": "unknown" if found.sharpe is None else round(found.sharpe.probability, 4),
            "shifted inputs": ", ".join(shifted) or "none",
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="inputs_do_not_drift", passed=not shifted, severity=dg.AssetCheckSeverity.WARN
            )
        ],
    )


def gate_report(minutes: Minutes, judged: list[Judged], now_ms: int, params: Params) -> GateReport:
    """Gates, drift and Sharpe of stored decisions."""
    passed = [one for one in judged if one.passed_gates]
    ended = [one for one in score(minutes, passed, params.outcome) if one.result_r is not None]
    days = np.array([one.judged.decided_at_ms // DAY_MS for one in ended], dtype=np.int64)
    results = [one.result_r or 0.0 for one in ended]
    daily = np.bincount(days - days.min(), weights=results) if len(days) else np.zeros(0)
    week, before = now_ms - NOW_DAYS * DAY_MS, now_ms - (NOW_DAYS + GAP_DAYS) * DAY_MS
    return GateReport(
        decisions=len(judged),
        ended=len(ended),
        gates=gate_worth(minutes, judged, ended, params.outcome, BOOTSTRAP_SEED),
        drift=drift_between(
            [one for one in judged if one.decided_at_ms < before], [one for one in judged if one.decided_at_ms >= week]
        ),
        sharpe=deflated_sharpe([daily]),
    )


class TruthConfig(dg.Config):
    """Which world is asked; without a seed that of the day."""

    seed: int | None = None
    traders: int = TRADERS


@dg.asset(
    name="report_science__truth",
    group_name="report",
    owners=["team:research"],
    kinds={"python", "numpy", "postgres"},
    check_specs=[dg.AssetCheckSpec("goals_are_met", asset="report_science__truth")],
)
def truth(config: TruthConfig, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Ask the truth of one more simulated world, and put the ten newest together: intervals, goals, plain misses.

    A world takes about two minutes of processor time; nothing of it reaches what decides.
    """
    seed = platform.today().toordinal() if config.seed is None else config.seed
    midnight_ms = platform.clock.now_ms() // DAY_MS * DAY_MS
    settings = WorldSettings(seed=seed, epoch_ms=midnight_ms, traders=config.traders, history_days=HISTORY_DAYS)
    asked = ask(World(settings), platform.params)
    with platform.transaction() as connection:
        _store(connection, science_store.TRUTH_WORLD, canonical_json(asked), platform)
        stored = science_store.newest_reports(connection, science_store.TRUTH_WORLD, WORLDS)
        worlds = {one.seed: one for one in (from_json(SeedTruth, row.content, "world") for row in stored)}
        report = report_of(list(worlds.values()), BOOTSTRAP_SEED)
        _store(connection, science_store.TRUTH, json.dumps(asdict(report)), platform)
    goals = [[goal.name, goal.wanted, goal.measured, str(goal.is_met)] for goal in report.goals]
    missed = [goal.name for goal in report.goals if goal.is_met is not True]
    return dg.MaterializeResult(
        metadata={"worlds": len(report.seeds), "goals": preview_table(["goal", "wanted", "measured", "met"], goals)},
        check_results=[
            dg.AssetCheckResult(
                check_name="goals_are_met",
                passed=not missed,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"missed or unknown": "; ".join(missed) or "none"},
            )
        ],
    )


def _store(connection: Any, kind: str, content: str, platform: Platform) -> None:
    science_store.store_report(connection, science_store.Report(kind, platform.now(), content))
