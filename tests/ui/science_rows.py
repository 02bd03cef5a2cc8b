"""One report of the science of each kind, made of the domain's own values."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date, datetime, timedelta

import numpy as np
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import science_store
from sigmapilot_core.adapters.postgres.science_store import Report
from sigmapilot_core.adapters.postgres.stored_record import Missing
from sigmapilot_core.adapters.postgres.walk_stored import WalkReport
from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.consensus.gates import GATE_NAMES
from sigmapilot_core.domain.evaluation.ablation import GateWorth
from sigmapilot_core.domain.evaluation.bootstrap import Interval
from sigmapilot_core.domain.evaluation.calibration import Closed, calibrate
from sigmapilot_core.domain.evaluation.drift import InputDrift
from sigmapilot_core.domain.evaluation.sharpe import DeflatedSharpe
from sigmapilot_core.domain.evaluation.summary import Evaluation, Line
from sigmapilot_core.domain.evaluation.survivorship import Survivorship
from sigmapilot_core.domain.evaluation.truth_summary import Goal, PoolLine, TruthReport
from sigmapilot_core.domain.evaluation.walk_forward import Fold, FoldRules
from sigmapilot_core.domain.params import ProbabilityParams

NOTHING = Interval(None, None, None, 0, 0)
MEANS = {"consensus": 0.62, "all leaderboard traders": 0.08, "pool copied one by one": -0.11}


def interval(value: float, n: int = 40) -> Interval:
    return Interval(value, value - 0.2, value + 0.2, n, 20)


def evaluation() -> Evaluation:
    """Two folds of three strategies, and no trade."""
    counts = {None: 40, 0: 25, 1: 15}
    lines = [
        Line(name, fold, interval(mean, n), n * mean, interval(MEANS["consensus"] - mean, n))
        for name, mean in MEANS.items()
        for fold, n in counts.items()
    ]
    nothing = Interval(0.0, 0.0, 0.0, 0, 0)
    lines += [Line("no trade", fold, nothing, 0.0, interval(MEANS["consensus"])) for fold in counts]
    lines += [Line("consensus, random pool", fold, NOTHING, 0.0, NOTHING) for fold in counts]
    return Evaluation(
        folds=(Fold(0, 0, 1, 2), Fold(1, 0, 2, 3)),
        lines=tuple(lines),
        ev_gap=NOTHING,
        raw_ev_gap=NOTHING,
        probability=None,
        raw_probability=None,
        gates=(),
        sharpe=None,
        survivorship=Survivorship(312, 9, 4, 12, 30, 0.08, 0.11),
        drift=(),
    )


def walk_report() -> WalkReport:
    return WalkReport(
        first=date(2026, 1, 10),
        last=date(2026, 3, 10),
        rules=FoldRules(19, 29, 15, 7),
        traders=312,
        fills=48_211,
        coins=("BTC", "ETH", "SOL"),
        missing=Missing(3, 160, 1, 0.995),
        slippage="static: books are not stored",
        seed=1,
        evaluation=evaluation(),
    )


def calibration_json(now: datetime) -> str:
    rng = np.random.default_rng(1)
    p = rng.uniform(0.55, 0.95, 400)
    won = rng.random(400) < 0.72
    ms = int(now.timestamp() * 1000)
    closed = [Closed(ms - 1000 - i, float(p[i]), 0.72, 1.2, 0.9, 0.5, 1.1 if won[i] else -1.0) for i in range(400)]
    return canonical_json(calibrate(closed, ProbabilityParams(), ms))


def gates_json() -> str:
    worth = [GateWorth(name, interval(0.1 * i - 0.3), interval(0.5), -1.5) for i, name in enumerate(GATE_NAMES)]
    worth[1] = GateWorth(GATE_NAMES[1], NOTHING, interval(0.5), 0.0)
    drift = [InputDrift("voters", 400, 90, 0.04, 0.05), InputDrift("cost_r", 400, 90, 0.31, 0.22)]
    drift.append(InputDrift("age_s", 400, 3, None, None))
    content = {"decisions": 512, "ended": 61, "gates": [asdict(row) for row in worth],
               "drift": [asdict(row) for row in drift],
               "sharpe": asdict(DeflatedSharpe(0.41, 0.2, 3, 31, 0.87))}  # fmt: skip
    return json.dumps(content)


def truth_report() -> TruthReport:
    pools = tuple(
        PoolLine(day, name, interval(p), interval(p - 0.3), interval(0.77), interval(p - 0.1), interval(p - 0.2))
        for day in (30, 60)
        for name, p in (("Thompson", 0.9), ("leaderboard order", 0.69))
    )
    goals = (
        Goal("pool precision at 60 days over leaderboard order", "at least 2 x", "1.32 x", False),
        Goal("realised - estimated gross EV", "below 0.05 R", "+0.004", True),
        Goal("decisions of one mind", "at most 0.1 x", "unknown", None),
    )
    return TruthReport((101, 203), pools, (), (), (), None, None, goals)


def fill_science(connection: sa.Connection, now: datetime) -> None:
    """The calibration is two days old, the others of last night."""
    night = now - timedelta(hours=10)
    for kind, at, content in (
        (science_store.CALIBRATION, now - timedelta(days=2), calibration_json(now)),
        (science_store.GATES, night, gates_json()),
        (science_store.TRUTH, night, json.dumps(asdict(truth_report()))),
        (science_store.WALK_FORWARD, night, json.dumps(asdict(walk_report()), default=str)),
    ):
        science_store.store_report(connection, Report(kind, at, content))
