"""Is the feed complete: holes, parked records, and the sampled check against the exchange."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import queries_health, queries_traders
from sigmapilot_core.adapters.postgres.queries import Row, feed_now
from sigmapilot_ui.status_page import look, words


@dataclass(frozen=True, slots=True)
class Data:
    """What the panel shows."""

    now: datetime
    completeness: Row
    cells: list[Row]
    counts: list[Row]
    gaps: list[Row]
    unreconciled: int
    dead: list[Row]
    dead_total: int
    fills_4h: int


def load(db: sa.Connection, least_share: float) -> Data:
    """Read it."""
    now = feed_now(db)
    return Data(
        now,
        queries_health.completeness(db, least_share),
        queries_health.completeness_cells_of_day(db),
        queries_health.gap_counts(db, now - timedelta(days=1)),
        queries_health.gap_ledger(db),
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
            "Asset": row["coin"] or words.UNKNOWN,
            "Missed fills": words.UNKNOWN if row["missed_fills"] is None else row["missed_fills"],
            "Trader": words.UNKNOWN if row["address"] is None else words.trader(row["address"], None),
            "Said": row["detail"],
        }
        for row in data.gaps
    ]


def dead_rows(dead: list[Row]) -> list[dict[str, Any]]:
    """One line a parked record."""
    named = {"Partition": "partition", "Number": "seq", "Kind": "kind", "Asset": "coin", "Error": "error"}
    return [{title: row[name] for title, name in named.items()} for row in dead]


def cell_rows(cells: list[Row]) -> list[dict[str, Any]]:
    """One line a coin and hour of the last day, those with losses first."""
    return [
        {
            "Hour": f"{words.of_ms(row['hour_ms']):%m-%d %H:00}",
            "Asset": row["coin"],
            "Compared": (compared := row["present"] + row["wrong"] + row["missing_known"] + row["missing_silent"]),
            "Present": words.percent(row["present"] / compared if compared else None, 2),
            "Late": row["late"],
            "Wrong": row["wrong"],
            "Missing, gap known": row["missing_known"],
            "Missing, unnoticed": row["missing_silent"],
            "Extra": row["extra"],
            "Not compared": row["before_tracking"] + row["in_statement"],
        }
        for row in cells
    ]


def completeness_tile(found: Row) -> str:
    """The tile: share of sampled fills that are stored as the venue lists them."""
    if found["sampled_to_ms"] is None:
        return look.tile("Completeness", words.UNKNOWN, "not measured yet")
    said = f"of {found['compared']:,} sampled fills of 24 hours, measured {words.span(found['age_s'])} ago"
    tone = "bad" if found["verdict"] == "fail" else ""
    return look.tile("Completeness", words.percent(found["share_present"], 2), said, tone)


def show(data: Data) -> None:
    """Draw the panel."""
    look.heading("Completeness of the feed")
    kinds = ", ".join(f"{row['gaps']} {row['kind']}" for row in data.counts)
    look.strip(
        [
            completeness_tile(data.completeness),
            look.tile("Fills in 4 hours", f"{data.fills_4h:,}", "of followed traders"),
            look.tile(
                "Holes in 24 hours", f"{sum(row['gaps'] for row in data.counts)}", kinds or "the feed had no hole"
            ),
            look.tile("Not reconciled", f"{data.unreconciled}", "holes of any age", "bad" if data.unreconciled else ""),
            look.tile("Parked records", f"{data.dead_total}", "wait for a person", "bad" if data.dead_total else ""),
        ]
    )
    if data.cells:
        look.table(cell_rows(data.cells), alt_text="Sampled fills against the venue by asset and hour")
    if data.gaps:
        look.table(gap_rows(data), alt_text="Newest holes in the feed")
    if data.dead:
        look.heading("Parked records", "Each failed repeatedly; its asset is unknown until it is resolved")
        look.table(dead_rows(data.dead), alt_text="Parked records")
