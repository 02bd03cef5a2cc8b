"""Walk-forward over the stored history of this installation, beside its baselines (spec 8)."""

from datetime import date
from typing import Any

import dagster as dg

from sigmapilot_assets.metadata import preview_table
from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres.stored_record import NoHistoryError
from sigmapilot_core.adapters.postgres.walk_stored import BadRangeError, WalkReport, store_walk, walk_stored


class WalkConfig(dg.Config):
    """First day and day after the last, such as 2026-01-31; without them everything stored. `compares` runs the other
    pools through the same decisions, which takes as long again each."""

    first: str | None = None
    last: str | None = None
    compares: bool = True


@dg.asset(
    name="report_science__walk_forward",
    group_name="report",
    owners=["team:research"],
    kinds={"python", "numpy", "postgres"},
    deps=[
        "raw_hyperliquid__leaderboard",
        "raw_hyperliquid__fills_history",
        "raw_hyperliquid__candles",
        "raw_hyperliquid__minutes",
        "core_traders__episodes",
        "stream_fills",
        "stream_episodes",
    ],
    check_specs=[dg.AssetCheckSpec("history_is_complete", asset="report_science__walk_forward")],
)
def walk_forward(config: WalkConfig, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """What the rules would have decided on stored days and earned, fold by fold, beside the baselines.

    The same as `sigmapilot evaluate` without a world. A history too short for a fold is no failure: there is nothing to
    report yet, and the reason is in the metadata.
    """
    first, last = (None if text is None else date.fromisoformat(text) for text in (config.first, config.last))
    try:
        report = walk_stored(
            platform.transaction, first, last, platform.params, compares=config.compares, accepts_gaps=True
        )
    except (BadRangeError, NoHistoryError) as error:
        if first is not None or last is not None:
            raise dg.Failure(str(error)) from error
        return dg.MaterializeResult(metadata={"not computed": str(error)}, check_results=[_check(str(error))])
    store_walk(platform.transaction, report, platform.now())
    return dg.MaterializeResult(metadata=_metadata(report), check_results=[_check(report.missing.sentence())])


def _metadata(report: WalkReport) -> dict[str, Any]:
    lines = [
        [line.strategy, line.mean_r.n, line.mean_r.value, line.mean_r.low, line.mean_r.high]
        for line in report.evaluation.lines
        if line.fold is None
    ]
    return {
        "from": str(report.first),
        "to": str(report.last),
        "folds": len(report.evaluation.folds),
        "traders": report.traders,
        "fills": report.fills,
        "R per trade after costs": preview_table(["strategy", "trades", "mean R", "low", "high"], lines),
    }


def _check(missing: str | None) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name="history_is_complete",
        passed=missing is None,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"missing": missing or "nothing"},
    )
