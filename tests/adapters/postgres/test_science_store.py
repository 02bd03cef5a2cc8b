"""Reports of the science, and outcomes beside the estimates of their decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import science_store
from sigmapilot_core.adapters.postgres.science_store import CALIBRATION, Report
from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.evaluation.calibration import Closed, calibrate
from sigmapilot_core.domain.params import ProbabilityParams

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
    assert found.mapped.brier == 0.5 * 0.81 + 0.5 * 0.01 or abs(found.mapped.brier - 0.41) < 1e-9
    assert found.mean_gap_r == -0.5
