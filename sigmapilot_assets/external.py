"""What the stream produces, as external assets: visible in the lineage, reported in bulk by a sensor."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg


@dataclass(frozen=True, slots=True)
class StreamTable:
    """One table of the stream: the asset that stands for it, and the column that tells what is new."""

    asset: str
    table: str
    moved_at: str
    description: str


STREAM_TABLES = (
    StreamTable("stream_fills", "fills", "time_ms", "Fills of tracked traders, rebuilt from the public trades."),
    StreamTable("stream_episodes", "position_signals", "updated_at", "Open and closed episodes seen live."),
    StreamTable("stream_decisions", "decision_logs", "decided_at", "Every decision with gates and reasons."),
    StreamTable("stream_orders", "execution_logs", "created_at", "Paper orders and what became of them."),
    StreamTable("stream_outcomes", "ticket_outcomes", "closed_ts", "How followed decisions ended."),
)

_UPSTREAM = {
    # who is tracked comes from the snapshot too, but a lineage has no loops: what is learnt today acts tomorrow
    "stream_fills": [],
    "stream_episodes": ["stream_fills"],
    "stream_decisions": ["stream_fills", "out_stream__snapshot"],
    "stream_orders": ["stream_decisions"],
    "stream_outcomes": ["stream_decisions"],
}

external_assets = [
    dg.AssetSpec(
        item.asset,
        group_name="stream",
        description=item.description,
        owners=["team:operations"],
        kinds={"postgres"},
        deps=_UPSTREAM[item.asset],
        metadata={"table": item.table},
    )
    for item in STREAM_TABLES
]
