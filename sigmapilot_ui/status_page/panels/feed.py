"""Is the feed complete: holes, parked records, and the sampled check against the exchange."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import queries_health, queries_traders
from sigmapilot_core.adapters.postgres.queries import Row, feed_now, number
from sigmapilot_ui.status_page import look, words


@dataclass(frozen=True, slots=True)
class Data:
    """What the panel shows."""

    now: datetime
    canary: Row | None
    counts: list[Row]
    gaps: list[Row]
    unreconciled: int
    dead: list[Row]
    dead_total: int
    fills_4h: int


def load(db: sa.Connection) -> Data:
    """Read it."""
    now = feed_now(db)
    return Data(
        now,
        queries_health.stream_inputs(db).get("canary"),
        queries_health.gap_counts(db, now - timedelta(days=1)),
        queries_health.gaps(db),
        queries_health.unreconciled_gaps(db),
        queries_health.dead(db),
        queries_health.count_dead(db),
        queries_traders.count_fills(db, now - timedelta(hours=4)),
    )


def gap_rows(data: Data) -> list[dict[str, Any]]:
    """One line a hole."""
    return [
        {
            "State": "✓ reconciled" if row["reconciled_at"] else "✗ open",
            "Ended": words.ago(words.of_ms(row["to_ms"]), data.now),
            "Length": words.span((row["to_ms"] - row["from_ms"]) / 1000),
            "Kind": row["kind"],
            "Asset": row["coin"],
            "Trader": words.UNKNOWN if row["address"] is None else words.trader(row["address"], None),
            "Said": row["detail"],
        }
        for row in data.gaps
    ]


def dead_rows(dead: list[Row]) -> list[dict[str, Any]]:
    """One line a parked record."""
    named = {"Partition": "partition", "Number": "seq", "Kind": "kind", "Asset": "coin", "Error": "error"}
    return [{title: row[name] for title, name in named.items()} for row in dead]


def _completeness(canary: Row | None) -> str:
    share = None if canary is None else number(canary["value"])
    if share is not None and 0 <= share <= 1:
        return words.percent(share, 1)
    return words.UNKNOWN if canary is None or canary["value"] is None else str(canary["value"])


def show(data: Data) -> None:
    """Draw the panel."""
    look.heading("Completeness of the feed")
    canary_said = "not measured yet" if data.canary is None else data.canary["detail"] or ""
    kinds = ", ".join(f"{row['gaps']} {row['kind']}" for row in data.counts)
    look.strip(
        [
            look.tile("Completeness", _completeness(data.canary), canary_said),
            look.tile("Fills in 4 hours", f"{data.fills_4h:,}", "of followed traders"),
            look.tile(
                "Holes in 24 hours", f"{sum(row['gaps'] for row in data.counts)}", kinds or "the feed had no hole"
            ),
            look.tile("Not reconciled", f"{data.unreconciled}", "holes of any age", "bad" if data.unreconciled else ""),
            look.tile("Parked records", f"{data.dead_total}", "wait for a person", "bad" if data.dead_total else ""),
        ]
    )
    if data.gaps:
        look.table(gap_rows(data), alt_text="Newest holes in the feed")
    if data.dead:
        look.heading("Parked records", "Each failed repeatedly; its asset is unknown until it is resolved")
        look.table(dead_rows(data.dead), alt_text="Parked records")
