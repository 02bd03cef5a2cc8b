"""Tables of the feed's completeness, written by Dagster: samples, counts by coin and hour, faults fill by fill."""

from __future__ import annotations

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.schema.base import Big, Int, Text, Time, column, key, metadata, unknown

# one comparison of sampled traders' fills with the venue: the window [from_ms, to_ms), who was drawn and with which key
completeness_samples = sa.Table(
    "completeness_samples",
    metadata,
    key("id", Big),
    column("from_ms", Big),
    column("to_ms", Big),
    column("taken_at", Time),
    column("philox_key", Text),  # SHA-256 of the window: the draw can be repeated anywhere
    column("population", Int),  # tracked traders it was drawn from
    column("addresses", sa.ARRAY(Text)),  # those drawn that the venue answered for
    column("unanswered", Int),
    column("truncated", Int),  # traders with more fills than were fetched: compared from the first fetched one on
)

completeness_cells = sa.Table(
    "completeness_cells",
    metadata,
    key("sample_id", Big),
    key("coin", Text),
    key("hour_ms", Big),
    column("present", Int),
    column("late", Int),  # of those present
    column("wrong", Int),
    column("missing_known", Int),
    column("missing_silent", Int),
    column("extra", Int),
    column("before_tracking", Int),
    column("in_statement", Int),
    sa.Index(None, "hour_ms"),
)

completeness_misses = sa.Table(
    "completeness_misses",
    metadata,
    key("sample_id", Big),
    key("address", Text),
    key("time_ms", Big),
    key("coin", Text),
    key("tid", Big),
    column("verdict", Text),  # wrong | missing_known | missing_silent | extra
    unknown("gap_id", Text),
    column("detail", Text),
    sa.Index(None, "address", "coin", "time_ms"),
)
