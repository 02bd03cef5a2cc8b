"""Health of every input: age against its limit, of the stream, of the model, and of each asset."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import queries_health, queries_market, queries_traders
from sigmapilot_core.adapters.postgres.queries import Row, feed_now
from sigmapilot_core.domain.params import FreshnessParams
from sigmapilot_ui.status_page import look, words


@dataclass(frozen=True, slots=True)
class Data:
    """What the panel shows."""

    now: datetime
    inputs: dict[str, Row]
    statuses: list[Row]
    snapshot: Row | None
    leaderboard: Row | None
    correlated_at: datetime | None


def load(db: sa.Connection) -> Data:
    """Read it."""
    return Data(
        feed_now(db),
        queries_health.stream_inputs(db),
        queries_market.asset_statuses(db),
        queries_health.snapshot(db),
        queries_traders.leaderboard_status(db),
        queries_traders.correlation_status(db, highest=1)["computed_at"],
    )


def _line(name: str, value: object, age_s: float | None, limit_s: float | None, detail: str | None) -> dict[str, Any]:
    verdict = "unknown" if age_s is None else "pass" if limit_s is None or age_s <= limit_s else "fail"
    return {
        "Verdict": words.WORD_MARKS[verdict],
        "Input": name,
        "Value": words.UNKNOWN if value is None else str(value),
        "Age": words.span(age_s),
        "Limit": "none" if limit_s is None else words.span(limit_s),
        "Said": detail or "",
    }


def _age(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max(0.0, (now - at).total_seconds())


def stream_rows(data: Data) -> list[dict[str, Any]]:
    """What the stream says of its parts."""
    return [_line(name, row["value"], row["age_s"], row["limit_s"], row["detail"]) for name, row in data.inputs.items()]


def model_rows(data: Data, limits: FreshnessParams) -> list[dict[str, Any]]:
    """What the batches published, against the limits in force."""
    board, snapshot = data.leaderboard, data.snapshot
    said = "never downloaded" if board is None else f"{board['row_count']:,} rows, {board['bad_row_count']} unreadable"
    version = None if snapshot is None else f"version {snapshot['version']}"
    pool = "" if snapshot is None else f"{snapshot['pool_size']} traders, {snapshot['pool_flavour']} pool"
    return [
        _line(
            "model snapshot",
            version,
            _age(snapshot["published_at"] if snapshot else None, data.now),
            limits.posterior_s,
            pool,
        ),
        _line("correlations", None, _age(data.correlated_at, data.now), limits.correlation_s, "pairs of the pool"),
        _line(
            "leaderboard",
            board and board["status"],
            _age(board["fetched_at"] if board else None, data.now),
            limits.leaderboard_s,
            board["error"] if board and board["error"] else said,
        ),
    ]


def asset_rows(statuses: list[Row]) -> list[dict[str, Any]]:
    """One line an asset, one column an input: its mark and its age."""
    return [
        {"Asset": row["symbol"], "Mid": words.price(row["status"].get("mid"))}
        | {found["name"]: _cell(found) for found in row["status"].get("inputs") or []}
        for row in statuses
    ]


def _cell(found: Row) -> str:
    mark = words.WORD_MARKS.get(found.get("verdict") or "", words.WORD_MARKS["unknown"])[0]
    return f"{mark} {words.span(found.get('age_s'))}"


def show(data: Data, limits: FreshnessParams) -> None:
    """Draw the panel."""
    look.heading("Inputs", "Unknown never passes: an input without an age stops every decision that needs it")
    if data.inputs:
        look.table(stream_rows(data), alt_text="Inputs of the stream")
    else:
        look.nothing("The stream has not reported yet.")
    look.table(model_rows(data, limits), alt_text="What the batches published")
    if data.statuses:
        look.heading("Inputs of each asset", "✓ young enough   ✗ too old   ? unknown")
        look.table(asset_rows(data.statuses), alt_text="Age of every input of every asset")
