"""Alive, ready, healthy: three questions with three answers. And the metrics."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError

from sigmapilot_core.adapters.postgres import queries_health, queries_market, queries_traders
from sigmapilot_core.adapters.postgres.queries import Row, feed_now, reading
from sigmapilot_ui.api import scrape
from sigmapilot_ui.api.answers import Json, database_sentence
from sigmapilot_ui.api.context import Context, Db, Shared
from sigmapilot_ui.api.routes.traders import correlation_status

router = APIRouter(tags=["health"])
_HEARTBEAT_LIMIT_S = 30.0  # where the stream says none itself
_LEAST_COVERAGE_PCT = 50.0


def _check(name: str, passed: bool | None, detail: str, value: Any = None, limit: Any = None) -> Row:
    return {"name": name, "passed": passed, "value": value, "limit": limit, "detail": detail}


def _mode_check(found: str | None, wanted: str) -> Row:
    if found is None:
        return _check("mode", None, "the database is not marked with a mode yet", None, wanted)
    words = "is that of the database" if found == wanted else f"is asked for, the database belongs to {found}"
    return _check("mode", found == wanted, f"{wanted} {words}", found, wanted)


def _age_check(name: str, age_s: float | None, limit_s: float, what: str) -> Row:
    if age_s is None:
        return _check(name, None, f"{what} has not been seen yet", None, limit_s)
    return _check(name, age_s <= limit_s, f"{what} is {age_s:.0f} s old, {limit_s:.0f} s are allowed", age_s, limit_s)


def _readiness(context: Context) -> list[Row]:
    """Database, mode, model snapshot, stream; passed is null where it is not known."""
    with reading(context.engine) as db:
        now, snapshot, inputs = feed_now(db), queries_health.snapshot(db), queries_health.stream_inputs(db)
        mode = queries_health.mode(db)
    age_s = None if snapshot is None else max(0.0, (now - snapshot["published_at"]).total_seconds())
    limit_s = inputs.get("snapshot", {}).get("limit_s") or context.config.params.freshness.posterior_s
    heartbeat = inputs.get("heartbeat", {})
    return [
        _check("database", True, "answers"),
        _mode_check(mode, context.config.mode),
        _age_check("snapshot", age_s, limit_s, "the newest model snapshot"),
        _age_check("stream", heartbeat.get("age_s"), heartbeat.get("limit_s") or _HEARTBEAT_LIMIT_S, "the heartbeat"),
    ]


@router.get("/healthz")
def healthz(shared: Shared) -> dict[str, Any]:
    """Alive: this process answers. Whether it can do its work is `/readyz`."""
    return {"status": "alive", "mode": shared.config.mode}


@router.get("/readyz", responses={503: {"description": "not ready; the checks say why"}})
def readyz(shared: Shared) -> Json:
    """Ready: database reachable and of this mode, model snapshot young enough, stream alive. 503 otherwise."""
    try:
        checks = _readiness(shared)
    except SQLAlchemyError as error:
        checks = [_check("database", False, database_sentence(error))]
    failing = [check["detail"] for check in checks if check["passed"] is not True]
    answer = {"status": "not_ready" if failing else "ready", "mode": shared.config.mode, "checks": checks}
    return Json(answer | ({"error": "; ".join(failing) + "."} if failing else {}), status_code=503 if failing else 200)


def _volatility_warnings(rows: list[Row]) -> list[str]:
    return [
        f"the stop of {row['asset']} rests on {row['source']}, not on its ATR" for row in rows if row["source"] != "atr"
    ]


def _input_warnings(inputs: dict[str, Row]) -> list[str]:
    late = [(name, row) for name, row in inputs.items() if row["verdict"] == "fail"]
    return [f"{name} is {row['age_s']:.0f} s old, {row['limit_s']:.0f} s are allowed" for name, row in late]


def _completeness_warnings(row: Row) -> list[str]:
    if row["verdict"] != "fail":
        return []
    return [
        f"the feed stored {100 * row['share_present']:.2f} % of {row['compared']} sampled fills as listed, "
        f"{100 * row['least_share']:g} % are demanded"
    ]


def _warnings(volatility: list[Row], inputs: dict[str, Row], correlation: Row, dead: int, gaps: int) -> list[str]:
    found = _volatility_warnings(volatility) + _input_warnings(inputs)
    if "heartbeat" not in inputs:
        found.append("the stream has not written a heartbeat yet")
    coverage = correlation["coverage_pct"]
    if coverage is None or coverage < _LEAST_COVERAGE_PCT:
        found.append("fewer than half of the pool's pairs have a measured correlation")
    if dead:
        found.append(f"{dead} records are parked and wait for a person")
    if gaps:
        found.append(f"{gaps} holes in the feed are not reconciled")
    return found


@router.get("/data-health")
def data_health(db: Db, shared: Shared) -> dict[str, Any]:
    """Age and source of every input, correlations, vote weights, and a sentence for everything that is not well."""
    volatility, inputs = queries_market.volatilities(db), queries_health.stream_inputs(db)
    correlation, now = correlation_status(db), feed_now(db)
    dead, gaps = queries_health.count_dead(db), queries_health.unreconciled_gaps(db)
    completeness = queries_health.completeness(db, shared.config.completeness.min_share)
    warnings = _warnings(volatility, inputs, correlation, dead, gaps) + _completeness_warnings(completeness)
    weights = scrape.stream_values(
        shared.config.stream_metrics_url, ("decide_vote_weight_gini", "decide_vote_weight_saturation_pct")
    )
    shown = ("source", "atr", "stop_fraction", "computed_at", "bar_close_at")
    return {
        "status": "degraded" if warnings else "healthy",
        "timestamp": now,
        "mode": queries_health.mode(db),
        "snapshot": queries_health.snapshot(db),
        "inputs": inputs,
        "assets": {row["symbol"]: row["status"] for row in queries_market.asset_statuses(db)},
        "atr": {row["asset"].lower(): {name: row[name] for name in shown} for row in volatility},
        "costs": {row["asset"].lower(): row for row in queries_market.costs(db)},
        "correlation": {
            name: correlation[name]
            for name in ("status", "coverage_pct", "loaded_pairs", "pool_size", "expected_pairs")
        }
        | {"pairs_loaded": correlation["loaded_pairs"]},
        "weight_distribution": {
            "gini": weights.get("decide_vote_weight_gini"),
            "saturation_pct": weights.get("decide_vote_weight_saturation_pct"),
        },
        "leaderboard": queries_traders.leaderboard_status(db),
        "completeness": completeness | {"cells": queries_health.completeness_cells_of_day(db)},
        "feed_gaps": queries_health.gap_ledger(db),
        "dead_records": queries_health.dead(db),
        "warnings": warnings,
        "warning_count": len(warnings),
    }


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(request: Request, shared: Shared, source: Literal["all", "api"] = "all") -> Response:
    """Prometheus text: the API's own, what the database says and, unless `source=api`, the stream's."""
    text = scrape.exposition(shared, request.app.state.metrics, with_stream=source == "all")
    return Response(text, media_type=CONTENT_TYPE_LATEST)
