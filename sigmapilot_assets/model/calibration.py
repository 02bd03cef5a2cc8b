"""What estimates are worth: both calibration maps, fitted every night on the outcomes known by then (spec 3)."""

import dagster as dg

from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import science_store
from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.evaluation.calibration import calibrate

MAX_BIAS_R = 0.25
"""Realised minus estimated gross R beyond which somebody should look, once there are enough outcomes."""


@dg.asset(
    name="model_decisions__calibration",
    group_name="model",
    owners=["team:research"],
    kinds={"python", "scipy", "postgres"},
    check_specs=[dg.AssetCheckSpec("estimates_are_not_biased", asset="model_decisions__calibration")],
)
def calibration(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Pooled probability to P(R > 0), gross EV to realised gross R: isotonic, identities below 200 outcomes.

    Scores are of what each decision said at its time, so the fit cannot flatter them. Outcomes come from earlier
    snapshots, whose decisions they end: in the lineage that would be a circle, which Dagster cannot order, so that
    `stream_outcomes` is read and not named as a parent.
    """
    with platform.transaction() as connection:
        closed = science_store.closed_decisions(connection)
        found = calibrate(closed, platform.params.probability, platform.clock.now_ms())
        report = science_store.Report(science_store.CALIBRATION, platform.now(), canonical_json(found))
        science_store.store_report(connection, report)
    needed = platform.params.probability.calibration_min_outcomes
    enough = found.n_outcomes >= needed
    gap = found.mean_gap_r
    return dg.MaterializeResult(
        metadata={
            "outcomes": found.n_outcomes,
            "maps": "fitted" if enough else f"identities until {needed} outcomes",
            "realised minus estimated gross R": "unknown" if gap is None else round(gap, 4),
            "brier raw": "unknown" if found.raw is None else round(found.raw.brier, 4),
            "brier mapped": "unknown" if found.mapped is None else round(found.mapped.brier, 4),
            "brier of the mean": "unknown" if found.raw is None else round(found.raw.base, 4),
            "log score mapped": "unknown" if found.mapped is None else round(found.mapped.log_score, 4),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="estimates_are_not_biased",
                passed=not enough or gap is None or abs(gap) < MAX_BIAS_R,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"outcomes": found.n_outcomes, "limit_r": MAX_BIAS_R},
            )
        ],
    )
