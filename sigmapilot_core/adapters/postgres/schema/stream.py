"""Tables written by the stream: trades, fills, positions, decisions, orders, outcomes, its own progress and health."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from sigmapilot_core.adapters.postgres.schema.base import (
    Big,
    Bool,
    Date,
    Int,
    Num,
    Real,
    Text,
    Time,
    column,
    key,
    metadata,
    unknown,
    written_at,
)

meta = sa.Table("meta", metadata, key("key", Text), column("value", Text), written_at("updated_at"))

trades = sa.Table(
    "trades",
    metadata,
    key("time_ms", Big),
    key("coin", Text),
    key("tid", Big),
    column("px", Num),
    column("sz", Num),
    column("buyer", Text),
    column("seller", Text),
    column("aggressor_is_buyer", Bool),
    column("hash", Text),
    column("received_ms", Big),
    postgresql_partition_by="RANGE (time_ms)",
)

fills = sa.Table(
    "fills",
    metadata,
    key("address", Text),
    key("time_ms", Big),
    key("coin", Text),
    key("tid", Big),
    column("is_buy", Bool),
    column("px", Num),
    column("sz", Num),
    column("crossed", Bool),
    unknown("start_position", Num),
    column("position_after", Num),
    unknown("realized_pnl", Num),
    unknown("fee", Num),
    column("action", Text),  # open | increase | reduce | close | flip
    unknown("episode_id", Text),
    column("hash", Text),
    column("source", Text),
    unknown("known_since_ms", Big),
    column("received_ms", Big),
    column("seq", Big),  # of the journal record that carried it
    sa.Index(None, "time_ms"),
    postgresql_partition_by="RANGE (time_ms)",
)

hl_current_positions = sa.Table(
    "hl_current_positions",
    metadata,
    key("address", Text),
    key("symbol", Text),
    column("size", Num),
    unknown("entry_price", Real),
    column("as_of_ms", Big),
    column("state", Text),  # JSON of the ledger and the open episode: what a restart resumes from
    written_at("updated_at"),
)

tracked_traders = sa.Table(
    "tracked_traders",
    metadata,
    key("address", Text),
    column("tracked_since_ms", Big),
    unknown("primed_at_ms", Big),
    column("is_active", Bool),
)

decision_ids = sa.Table(
    "decision_ids",
    metadata,
    key("id", pg.UUID(as_uuid=False)),
    column("decided_at", Time),
    column("chain", Int),
    column("seq", Big),
    sa.UniqueConstraint("chain", "seq"),
)

decision_logs = sa.Table(
    "decision_logs",
    metadata,
    key("id", pg.UUID(as_uuid=False)),
    key("decided_at", Time),
    column("symbol", Text),
    column("direction", Text),
    column("decision_type", Text),  # signal | skip | risk_reject
    column("trader_count", Int),
    column("agreeing_count", Int),
    unknown("agreement_pct", Real),
    unknown("effective_k", Real),
    unknown("avg_confidence", Real),
    unknown("ev_estimate", Real),
    unknown("price_at_decision", Real),
    column("gates", Text),  # canonical JSON list
    column("risk_checks", Text),
    column("reasoning", Text),
    column("record", Text),  # canonical JSON of the whole public record: what the hash covers
    unknown("decision_key", Text),  # what must change for the next record of the asset
    column("snapshot_version", Int),
    column("settings_hash", Text),
    column("mode", Text),
    column("chain", Int),
    column("seq", Big),
    column("prev_hash", Text),
    column("row_hash", Text),
    unknown("outcome", Text),
    unknown("outcome_pnl", Real),
    unknown("outcome_r_multiple", Real),
    unknown("outcome_closed_at", Time),
    unknown("latency_ms", Real),
    written_at(),
    sa.Index(None, "symbol", "decided_at"),
    sa.Index(None, "decision_type", "decided_at"),
    sa.Index(None, "decided_at"),
    postgresql_partition_by="RANGE (decided_at)",
)

decision_inputs = sa.Table(
    "decision_inputs",
    metadata,
    key("decision_id", pg.UUID(as_uuid=False)),
    key("decided_at", Time),
    column("inputs", Text),
    postgresql_partition_by="RANGE (decided_at)",
)

chain_heads = sa.Table(
    "chain_heads",
    metadata,
    key("log", Text),  # decisions | outcomes
    key("chain", Int),
    column("seq", Big),
    column("row_hash", Text),
)

chain_anchors = sa.Table(
    "chain_anchors",
    metadata,
    key("log", Text),
    key("chain", Int),
    key("seq", Big),
    column("row_hash", Text),
    written_at("anchored_at"),
)

consensus_signals = sa.Table(
    "consensus_signals",
    metadata,
    key("id", pg.UUID(as_uuid=False)),
    column("symbol", Text),
    column("direction", Text),
    column("entry_price", Real),
    column("stop_price", Real),
    column("take_profit_price", Real),
    column("stop_fraction", Real),
    column("n_traders", Int),
    column("n_agreeing", Int),
    column("eff_k", Real),
    column("p_win", Real),
    column("ev_gross_r", Real),
    column("ev_cost_r", Real),
    column("ev_net_r", Real),
    column("fees_bps", Real),
    column("slippage_bps", Real),
    column("funding_bps", Real),
    column("median_voter_price", Real),
    column("mid_delta_bps", Real),
    column("notional_usd", Real),
    unknown("binding_cap", Text),
    column("snapshot_version", Int),
    unknown("latency_ms", Real),
    column("created_at", Time),
    unknown("outcome", Text),
    unknown("exit_price", Real),
    unknown("result_r", Real),
    unknown("closed_at", Time),
    sa.Index(None, "created_at"),
)

outcome_tracking = sa.Table(
    "outcome_tracking",
    metadata,
    key("decision_id", pg.UUID(as_uuid=False)),
    column("symbol", Text),
    column("decided_at", Time),
    column("state", Text),
    column("is_open", Bool),
    written_at("updated_at"),
)

ticket_outcomes = sa.Table(
    "ticket_outcomes",
    metadata,
    key("ticket_id", pg.UUID(as_uuid=False)),
    column("symbol", Text),
    column("closed_ts", Time),
    column("exit_price", Real),
    column("result_r", Real),
    column("gross_r", Real),
    column("cost_r", Real),
    column("closed_reason", Text),
    column("mfe_r", Real),
    column("mae_r", Real),
    unknown("notes", Text),
    column("record", Text),
    column("chain", Int),
    column("seq", Big),
    column("prev_hash", Text),
    column("row_hash", Text),
    sa.UniqueConstraint("chain", "seq"),
    sa.Index(None, "closed_ts"),
)

execution_config = sa.Table(
    "execution_config",
    metadata,
    key("id", Int),
    column("enabled", Bool),
    column("hyperliquid", pg.JSONB),
    column("updated_at", Time),
)

execution_logs = sa.Table(
    "execution_logs",
    metadata,
    sa.Column("id", Big, sa.Identity(), primary_key=True),
    column("client_order_id", Text),
    column("decision_id", pg.UUID(as_uuid=False)),
    column("leg", Text),  # entry | stop | take_profit | timeout | opposite
    column("exchange", Text),
    column("symbol", Text),
    column("side", Text),
    column("size", Num),
    column("leverage", Real),
    column("order_type", Text),
    unknown("limit_price", Num),
    column("is_reduce_only", Bool),
    column("status", Text),
    unknown("fill_price", Real),
    unknown("fill_size", Num),
    unknown("fee_usd", Real),
    unknown("slippage_actual", Real),
    unknown("error_message", Text),
    unknown("account_value", Real),
    unknown("position_pct", Real),
    unknown("exposure_before", Real),
    unknown("exposure_after", Real),
    column("kelly_method", Text),
    unknown("kelly_position_pct", Real),
    unknown("kelly_fraction", Real),
    unknown("binding_cap", Text),
    column("created_at", Time),
    sa.UniqueConstraint("client_order_id"),
    sa.Index(None, "created_at"),
)

live_positions = sa.Table(
    "live_positions",
    metadata,
    key("exchange", Text),
    key("symbol", Text),
    column("decision_id", pg.UUID(as_uuid=False)),
    column("side", Text),
    column("size", Num),
    column("entry_price", Real),
    column("stop_price", Real),
    column("take_profit_price", Real),
    column("timeout_at", Time),
    column("opened_at", Time),
    unknown("mark_price", Real),
    unknown("unrealized_pnl", Real),
    unknown("state", Text),  # the round trip: what a restart goes on from
    written_at("updated_at"),
)

paper_funding = sa.Table(
    "paper_funding",
    metadata,
    key("decision_id", pg.UUID(as_uuid=False)),
    key("hour", Time),
    column("symbol", Text),
    column("rate_hourly", Real),
    column("size", Num),
    column("usd", Num),  # received (positive) or paid
    column("is_estimated", Bool),  # the rate of that hour was not heard
)

portfolio_snapshots = sa.Table(
    "portfolio_snapshots",
    metadata,
    key("exchange", Text),
    key("ts", Time),
    column("account_value", Real),
    column("realized_pnl", Real),
    column("unrealized_pnl", Real),
    column("exposure_usd", Real),
)

risk_governor_state = sa.Table(
    "risk_governor_state", metadata, key("key", Text), column("value", Text), column("updated_at", Time)
)

# what happened to the kill switch: tripped or released by a rule, or a request of a person answered
kill_switch_events = sa.Table(
    "kill_switch_events",
    metadata,
    sa.Column("id", Big, sa.Identity(), primary_key=True),
    column("at", Time),
    column("event", Text),  # on | off | refused
    column("cause", Text),  # rule | request
    unknown("request_id", pg.UUID(as_uuid=False)),
    column("detail", Text),
    sa.UniqueConstraint("request_id"),
)

risk_daily_pnl = sa.Table(
    "risk_daily_pnl",
    metadata,
    key("date", Date),
    column("opening_equity", Real),
    column("pnl", Real),
    column("updated_at", Time),
)

feed_gaps = sa.Table(
    "feed_gaps",
    metadata,
    key("id", Text),
    column("kind", Text),  # overlap | ledger | disconnect
    column("coin", Text),
    unknown("address", Text),
    column("from_ms", Big),
    column("to_ms", Big),
    column("detail", Text),
    unknown("reconciled_at", Time),
    written_at("detected_at"),
)

dead_records = sa.Table(
    "dead_records",
    metadata,
    key("partition", Text),
    key("seq", Big),
    column("kind", Text),
    unknown("coin", Text),
    column("payload", sa.LargeBinary),
    column("error", Text),
    unknown("resolved_at", Time),
    written_at(),
)

stream_progress = sa.Table(
    "stream_progress",
    metadata,
    key("partition", Text),
    column("seq", Big),
    column("epoch", Big, server_default="0"),  # how often it was taken over: who comes with an older one is refused
    unknown("owner", Text),
    written_at("updated_at"),
)

# what a partition's next owner goes on from
stream_checkpoints = sa.Table(
    "stream_checkpoints",
    metadata,
    key("partition", Text),
    column("seq", Big),
    column("code", Text),
    column("state", sa.LargeBinary),
    written_at("updated_at"),
)

# what a partition's owner says of it: who waits for positions, which coins are not known, how far it is
stream_partitions = sa.Table(
    "stream_partitions", metadata, key("partition", Text), column("report", pg.JSONB), written_at("updated_at")
)

# one row per input or part: when it last moved, how old it may be, a sentence for people
stream_status = sa.Table(
    "stream_status", metadata, key("key", Text), column("value", pg.JSONB), written_at("updated_at")
)

asset_status = sa.Table(
    "asset_status",
    metadata,
    key("symbol", Text),
    column("as_of_ms", Big),
    column("status", pg.JSONB),  # votes by side, mid, ages and limits of inputs
    written_at("updated_at"),
)
