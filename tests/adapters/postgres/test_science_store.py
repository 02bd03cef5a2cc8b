"""Reports of the science, and outcomes beside the estimates of their decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import decision_store, market_store, science_store
from sigmapilot_core.adapters.postgres.decision_store import MadeDecision
from sigmapilot_core.adapters.postgres.science_store import CALIBRATION, Report
from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.consensus.outcome import ClosedReason, Outcome
from sigmapilot_core.domain.engine.outputs import DecisionMade
from sigmapilot_core.domain.evaluation.calibration import Closed, calibrate
from sigmapilot_core.domain.events import Bar
from sigmapilot_core.domain.params import MINUTE_MS, ProbabilityParams
from tests.domain.engine.engine_builders import POOL, T0, World

NOW = datetime(2026, 3, 1, 0, 15, tzinfo=UTC)


def outcomes(n: int) -> list[Closed]:
    """Nine of ten were said to win, half do."""
    return [Closed(i, 0.9, 0.9, 1.2, 0.8, 1.0, 2.0 if i % 2 else -1.0) for i in range(n)]


def test_maps_come_back_as_they_were_fitted(rolled_back: sa.Connection) -> None:
    assert science_store.newest_maps(rolled_back).probability.is_identity
    found = calibrate(outcomes(300), ProbabilityParams(), known_until_ms=1000)
    science_store.store_report(rolled_back, Report(CALIBRATION, NOW, canonical_json(found)))
    maps = science_store.newest_maps(rolled_back)
    assert maps == found.maps
    assert maps.probability(0.9) == 0.5


def test_the_newest_report_counts_and_none_is_overwritten(rolled_back: sa.Connection) -> None:
    for hours, text in ((0, "a"), (1, "b"), (1, "c")):
        science_store.store_report(rolled_back, Report("truth", NOW + timedelta(hours=hours), text))
    found = science_store.newest_report(rolled_back, "truth")
    assert found is not None
    assert found.content == "b"
    assert science_store.newest_report(rolled_back, "walk_forward") is None


def test_scores_are_of_what_was_said_at_the_time() -> None:
    found = calibrate(outcomes(300), ProbabilityParams(), known_until_ms=250)
    assert found.n_outcomes == 250
    assert found.mapped is not None
    assert abs(found.mapped.brier - (0.5 * 0.81 + 0.5 * 0.01)) < 1e-9
    assert found.mean_gap_r == -0.5


def test_written_decisions_and_their_outcomes_are_read_back(rolled_back: sa.Connection) -> None:
    world = World.ready()
    world.consensus(users=POOL)
    made = [MadeDecision(o.decision, o.inputs, o.key, None) for o in world.said(DecisionMade)]
    decision_store.append_decisions(rolled_back, made)
    coins, judged = science_store.written_decisions(rolled_back, NOW - timedelta(days=3650))
    assert coins == ("BTC",)
    assert [one.passed_gates for one in judged] == [item.decision.passed_gates for item in made]
    last, record = judged[-1], made[-1].decision
    assert record.ev is not None
    assert (last.mid, last.trade_stop, last.cost_r) == (record.mid, record.trade_stop_fraction, record.ev.cost_r)
    outcome = Outcome(record.id, "BTC", T0 + 60_000, 51_000.0, 1.0, 0.1, 0.9, ClosedReason.TAKE_PROFIT, 1.2, -0.1)
    decision_store.append_outcomes(rolled_back, [outcome])
    (closed,) = science_store.closed_decisions(rolled_back)
    assert (closed.closed_ms, closed.gross_r, closed.p_raw) == (T0 + 60_000, 1.0, record.ev.p_raw)


def test_minutes_that_are_not_stored_are_unknown(rolled_back: sa.Connection) -> None:
    start_ms = 29_500_000 * MINUTE_MS
    bars = [
        Bar("BTC", start_ms + i * MINUTE_MS, start_ms + (i + 1) * MINUTE_MS, 1.0, 2.0, 0.5, 1.5, 9.0) for i in (0, 2)
    ]
    market_store.store_minutes(rolled_back, bars, [None, None])
    found = science_store.read_minutes(rolled_back, ("BTC",), start_ms, start_ms + 3 * MINUTE_MS)
    assert found.high[:, 0].tolist()[::2] == [2.0, 2.0]
    assert np.isnan(found.close[1, 0])
