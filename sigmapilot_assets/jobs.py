"""Jobs that people and clocks start; their names are used by the API."""

from __future__ import annotations

import dagster as dg

SNAPSHOT = dg.AssetSelection.assets("out_stream__snapshot")
POSTERIORS = dg.AssetSelection.assets("model_traders__posteriors", "model_traders__skill")
VOLATILITY = dg.AssetSelection.assets(
    "raw_hyperliquid__candles", "model_market__volatility", "raw_hyperliquid__market", "model_market__costs"
)
CORRELATIONS = dg.AssetSelection.assets("model_traders__correlations")
POOL = dg.AssetSelection.assets(
    "raw_hyperliquid__fills_history", "core_traders__filters", "core_traders__episodes", "model_traders__pool"
)
CALIBRATION = dg.AssetSelection.assets("model_decisions__calibration")
GATES = dg.AssetSelection.assets("report_science__gates")
TRUTH = dg.AssetSelection.assets("report_science__truth")
MINUTES = dg.AssetSelection.assets("raw_hyperliquid__minutes")
WALK = dg.AssetSelection.assets("report_science__walk_forward")
COMPLETENESS = dg.AssetSelection.assets("report_feed__completeness")
PAST_DAYS = dg.AssetSelection.assets("core_traders__filters_asof", "model_traders__pool_asof")
LEADERBOARD = dg.AssetSelection.assets("raw_hyperliquid__leaderboard")

_IN_PROCESS = dg.in_process_executor


def _job(name: str, selection: dg.AssetSelection, description: str) -> dg.UnresolvedAssetJobDefinition:
    return dg.define_asset_job(name, selection=selection, executor_def=_IN_PROCESS, description=description)


materialise_all = _job(
    "materialise_all",
    dg.AssetSelection.all() - PAST_DAYS - TRUTH - MINUTES - WALK,
    "Every asset of today, from the leaderboard to the reports.",
)
refresh_leaderboard = _job("refresh_leaderboard", LEADERBOARD, "Download and store today's leaderboard.")
refresh_alpha_pool = _job(
    "refresh_alpha_pool",
    POOL | POSTERIORS | CORRELATIONS | SNAPSHOT,
    "Histories of new survivors, filters, posteriors, a new draw of the pool, correlations, snapshot.",
)
compute_correlation = _job("compute_correlation", CORRELATIONS | SNAPSHOT, "Correlations of the pool, snapshot.")
refresh_volatility = _job("refresh_volatility", VOLATILITY | SNAPSHOT, "Candles, ATR, regime, costs, snapshot.")
update_posteriors = _job("update_posteriors", POSTERIORS | SNAPSHOT, "Posteriors from newly closed episodes, snapshot.")
measure_completeness = _job(
    "measure_completeness", COMPLETENESS, "Fills of a drawn sample of traders against what the feed stored."
)
fit_calibration = _job(
    "fit_calibration", CALIBRATION | SNAPSHOT, "Both calibration maps from the outcomes known by now, snapshot."
)
judge_gates = _job("judge_gates", GATES, "What each gate was worth, drift of the inputs, deflated Sharpe ratio.")
ask_truth = _job("ask_truth", TRUTH, "The truth of one more simulated world, and of the ten newest together.")
fetch_minutes = _job(
    "fetch_minutes", MINUTES, "Minutes and funding of past days that are not stored yet, newest first."
)
walk_forward = _job(
    "walk_forward", WALK, "The rules over stored days, fold by fold, beside the baselines: `sigmapilot evaluate`."
)
publish_snapshot = _job("publish_snapshot", SNAPSHOT, "The snapshot alone, of what is stored now.")
evaluate_past_day = _job(
    "evaluate_past_day", PAST_DAYS, "One past day from what was known when it ended; a partition a day."
)
audit_logs = _job(
    "audit_logs",
    dg.AssetSelection.checks_for_assets("stream_decisions", "stream_outcomes"),
    "Decisions of two days made again, hash chains walked, what stands beside them compared.",
)

all_jobs = [
    materialise_all,
    refresh_leaderboard,
    refresh_alpha_pool,
    compute_correlation,
    refresh_volatility,
    update_posteriors,
    measure_completeness,
    audit_logs,
    fit_calibration,
    judge_gates,
    ask_truth,
    fetch_minutes,
    walk_forward,
    publish_snapshot,
    evaluate_past_day,
]
