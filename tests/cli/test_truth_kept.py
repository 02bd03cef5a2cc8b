"""Answers of worlds that were kept are not asked again."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from sigmapilot_cli.evaluate_truth import asked_worlds
from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.evaluation.truth_report import THOMPSON, Copied, PoolTruth, Regret, SeedTruth
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.snapshot import settings_hash


def test_a_run_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    params, end, shown = Params(), date(2026, 1, 1), []
    for seed in (11, 12):
        asked = SeedTruth(
            seed,
            pools=(PoolTruth(60, THOMPSON, 50, 0.5 + seed / 100, 0.4, 0.9),),
            regrets=(Regret(THOMPSON, 0.03),),
            copied=(Copied("cosine", True, 10, 0, 1),),
            outcomes=(),
        )
        name = f"world-{seed}-300-20260101-{settings_hash(params)[:12]}.json"
        (tmp_path / name).write_text(canonical_json(asked))
    found = asked_worlds((11, 12), 300, end, params, lambda done, total: shown.append((done, total)), tmp_path)
    assert found.seeds == (11, 12)
    assert found.pools[0].precision.value == 0.615
    assert shown == [(1, 2), (2, 2)]
