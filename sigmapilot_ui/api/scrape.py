"""What `/metrics` answers: own metrics, gauges derived from stored rows, and the stream's text as it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import httpx
import sqlalchemy as sa
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import SQLAlchemyError

from sigmapilot_core.adapters.metrics import ApiMetrics, DatabaseMetrics
from sigmapilot_core.adapters.postgres import (
    queries_decisions,
    queries_execution,
    queries_health,
    queries_market,
    queries_traders,
)
from sigmapilot_core.adapters.postgres.queries import feed_now, reading
from sigmapilot_ui.api.context import Context

_TIMEOUT_S = 2.0


def exposition(context: Context, own: ApiMetrics, with_stream: bool) -> bytes:
    """Prometheus text. A part that cannot be read is left out and its `_up` gauge is 0."""
    text = _stream_text(context.config.stream_metrics_url) if with_stream else None
    if with_stream:
        own.sigmapilot_stream_metrics_up.set(text is not None)
    parts = [generate_latest(own.registry), _database_text(context), (text or "").encode()]
    return b"".join(parts)


def stream_values(url: str | None, names: Sequence[str]) -> dict[str, float]:
    """Current values of unlabelled metrics of the stream; those that cannot be read are absent."""
    families = text_string_to_metric_families(_stream_text(url) or "")
    return {sample.name: sample.value for family in families for sample in family.samples if sample.name in names}


def _stream_text(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        response = httpx.get(url, timeout=_TIMEOUT_S, trust_env=False)
        response.raise_for_status()
    except httpx.HTTPError:
        return None
    return response.text


def _database_text(context: Context) -> bytes:
    found = DatabaseMetrics(CollectorRegistry())
    try:
        with reading(context.engine) as db:
            now = feed_now(db)
            _decisions(db, found, now)
            _traders(db, found, now)
            found.sigmapilot_db_rho0_limit.set(context.config.params.correlation.max_default_rho)
            _market(db, found)
            _health(db, found, now, context.config.params.freshness.posterior_s)
            _completeness(db, found, context.config.completeness.min_share)
            _own(db, found)
    except SQLAlchemyError:
        found = DatabaseMetrics(CollectorRegistry())
        found.sigmapilot_db_up.set(0)
    else:
        found.sigmapilot_db_up.set(1)
    return generate_latest(found.registry)


def _decisions(db: sa.Connection, found: DatabaseMetrics, now: datetime) -> None:
    stats = queries_decisions.decision_stats(db, now - timedelta(days=7))
    for kind, name in (("signal", "signals"), ("skip", "skipped"), ("risk_reject", "risk_rejected")):
        found.sigmapilot_db_decisions_7d.labels(kind).set(stats[name])
    last = queries_decisions.consensus_stats(db)["last_signal_at"]
    if last is not None:
        found.sigmapilot_db_last_signal_age_seconds.set(max(0.0, (now - last).total_seconds()))
    outcomes = queries_decisions.outcome_stats(db, now - timedelta(days=7))
    found.sigmapilot_db_closed_outcomes_7d.set(outcomes["closed"])
    if outcomes["win_rate"] is not None:
        found.sigmapilot_db_win_rate_pct_7d.set(outcomes["win_rate"])
        found.sigmapilot_db_avg_result_r_7d.set(outcomes["avg_result_r"])
    k = queries_decisions.effective_k_summary(db, now - timedelta(days=1))
    found.sigmapilot_db_effective_k_decisions_24h.set(k["decisions"])
    if k["decisions"]:
        found.sigmapilot_db_effective_k_avg_24h.set(k["average"])
        found.sigmapilot_db_effective_k_max_24h.set(k["largest"])


def _traders(db: sa.Connection, found: DatabaseMetrics, now: datetime) -> None:
    found.sigmapilot_db_fills_4h.set(queries_traders.count_fills(db, now - timedelta(hours=4)))
    found.sigmapilot_db_pool_traders.set(len(queries_traders.pool(db)))
    selection = queries_traders.newest_selection(db)
    if selection is not None:
        found.sigmapilot_db_learning_traders.set(selection["learning_count"])
    for state, count in queries_traders.tracked_counts(db).items():
        found.sigmapilot_db_tracked_traders.labels(state).set(count)
    rho0 = queries_traders.assumed_rho(db)
    if rho0 is not None:
        found.sigmapilot_db_rho0.set(rho0)
    found.sigmapilot_db_correlation_measured_pairs.set(queries_traders.correlation_status(db)["measured_pairs"])


def _market(db: sa.Connection, found: DatabaseMetrics) -> None:
    for row in queries_market.volatilities(db):
        found.sigmapilot_db_volatility_fallback.labels(row["asset"], row["source"]).set(row["source"] != "atr")
        if row["stop_fraction"] is not None:
            found.sigmapilot_db_stop_fraction.labels(row["asset"]).set(row["stop_fraction"])


def _health(db: sa.Connection, found: DatabaseMetrics, now: datetime, snapshot_limit_s: float) -> None:
    inputs = queries_health.stream_inputs(db)
    for name, row in inputs.items():
        if row["age_s"] is not None:
            found.sigmapilot_db_input_age_seconds.labels(name).set(row["age_s"])
        if row["limit_s"] is not None:
            found.sigmapilot_db_input_age_limit_seconds.labels(name).set(row["limit_s"])
    if "heartbeat" in inputs:
        found.sigmapilot_db_stream_heartbeat_age_seconds.set(inputs["heartbeat"]["age_s"])
    snapshot = queries_health.snapshot(db)
    if snapshot is not None:
        found.sigmapilot_db_snapshot_version.set(snapshot["version"])
        found.sigmapilot_db_snapshot_age_seconds.set(max(0.0, (now - snapshot["published_at"]).total_seconds()))
        limit_s = inputs.get("snapshot", {}).get("limit_s") or snapshot_limit_s
        found.sigmapilot_db_snapshot_age_limit_seconds.set(limit_s)
    found.sigmapilot_db_dead_records_unresolved.set(queries_health.count_dead(db))
    found.sigmapilot_db_feed_gaps_unreconciled.set(queries_health.unreconciled_gaps(db))
    for row in queries_health.gap_counts(db, now - timedelta(days=1)):
        found.sigmapilot_db_feed_gaps_24h.labels(row["kind"]).set(row["gaps"])


def _completeness(db: sa.Connection, found: DatabaseMetrics, least_share: float) -> None:
    row = queries_health.completeness(db, least_share)
    found.sigmapilot_db_feed_min_share.set(least_share)
    if row["share_present"] is not None:
        found.sigmapilot_db_feed_share_present_24h.set(row["share_present"])
    if row["age_s"] is not None:
        found.sigmapilot_db_feed_compared_24h.set(row["compared"])
        found.sigmapilot_db_feed_sample_age_seconds.set(row["age_s"])
        for fault in ("missing_known", "missing_silent", "wrong", "extra", "late"):
            found.sigmapilot_db_feed_faults_24h.labels(fault).set(row[fault])


def _own(db: sa.Connection, found: DatabaseMetrics) -> None:
    found.sigmapilot_db_open_positions.set(len(queries_execution.positions(db)))
    for row in queries_execution.accounts(db):
        found.sigmapilot_db_account_value_usd.labels(row["exchange"]).set(row["account_value"])
