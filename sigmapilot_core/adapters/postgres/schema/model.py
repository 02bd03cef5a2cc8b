"""Tables written by the Dagster assets: leaderboard, histories, posteriors, correlations, volatility, snapshots."""

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

addresses = sa.Table(
    "addresses",
    metadata,
    key("address", Text),
    unknown("nickname", Text),
    column("first_seen_date", Date),
    column("last_seen_date", Date),
)

leaderboard_downloads = sa.Table(
    "leaderboard_downloads",
    metadata,
    sa.Column("id", Big, sa.Identity(), primary_key=True),
    column("fetched_at", Time),
    column("source", Text),
    column("status", Text),  # ok | unchanged | failed
    unknown("sha256", Text),
    column("row_count", Int),
    column("bad_row_count", Int),
    unknown("error", Text),
)


def _leaderboard_figures() -> list[sa.Column]:
    return [
        column("account_value", Real),
        unknown("day_pnl", Real),
        unknown("day_roi", Real),
        unknown("day_vlm", Real),
        unknown("week_pnl", Real),
        unknown("week_roi", Real),
        unknown("week_vlm", Real),
        unknown("month_pnl", Real),
        unknown("month_roi", Real),
        unknown("month_vlm", Real),
        unknown("all_time_pnl", Real),
        unknown("all_time_roi", Real),
        unknown("all_time_vlm", Real),
        unknown("display_name", Text),
        column("roi_approximate", Bool),
    ]


leaderboard_snapshots = sa.Table(
    "leaderboard_snapshots",
    metadata,
    key("as_of_date", Date),
    key("address", Text),
    *_leaderboard_figures(),
    column("fetched_at", Time),
)

# what a later download of the same day replaced: a draw made in between rests on it
leaderboard_superseded = sa.Table(
    "leaderboard_superseded",
    metadata,
    key("as_of_date", Date),
    key("address", Text),
    *_leaderboard_figures(),
    key("fetched_at", Time),
)

# every answer is kept: what was known on a past day is the newest answer until then
trader_facts = sa.Table(
    "trader_facts",
    metadata,
    key("address", Text),
    key("asked_at", Time),
    unknown("orders_per_day", Real),
    unknown("has_sub_accounts", Bool),
    unknown("has_major_fill", Bool),
    column("fill_count", Int),
    unknown("first_fill_at", Time),
    unknown("last_fill_at", Time),
    unknown("error", Text),
)

trader_filters = sa.Table(
    "trader_filters",
    metadata,
    key("as_of_date", Date),
    key("address", Text),
    column("month_pnl", Text),  # verdicts: pass | fail | unknown
    column("month_roi", Text),
    column("account_value", Text),
    column("week_volume", Text),
    column("not_hft", Text),
    column("no_sub_accounts", Text),
    column("btc_eth_history", Text),
    column("eligible", Text),
    column("values", pg.JSONB),
)

# verdicts of whole days after their end, from what was known then; live ones are in trader_filters
trader_filters_asof = sa.Table(
    "trader_filters_asof",
    metadata,
    key("as_of_date", Date),
    key("address", Text),
    column("month_pnl", Text),
    column("month_roi", Text),
    column("account_value", Text),
    column("week_volume", Text),
    column("not_hft", Text),
    column("no_sub_accounts", Text),
    column("btc_eth_history", Text),
    column("eligible", Text),
)

history_fills = sa.Table(
    "history_fills",
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
    unknown("fee", Num),
    unknown("closed_pnl", Num),
    unknown("oid", Big),
    unknown("hash", Text),
    unknown("dir", Text),
    unknown("twap_id", Big),
    column("is_liquidation", Bool),
    column("known_since_ms", Big),
    # position of the fill in the venue's execution order: ties of one millisecond must not be sorted by tid
    column("ordinal", Big),
    postgresql_partition_by="RANGE (time_ms)",
)


def _episode_columns() -> list[sa.Column]:
    return [
        key("id", Text),
        column("address", Text),
        column("asset", Text),
        column("direction", Text),
        column("status", Text),  # open | closed
        column("entry_ts", Time),
        unknown("exit_ts", Time),
        unknown("entry_vwap", Real),
        unknown("exit_vwap", Real),
        column("size", Num),
        unknown("entry_notional_usd", Real),
        unknown("realized_pnl", Num),
        column("fees_usd", Num),
        column("fees_estimated", Bool),
        unknown("funding_usd", Num),
        unknown("stop_fraction", Real),
        unknown("risk_usd", Real),
        unknown("r_gross", Real),
        unknown("r_gross_unclamped", Real),
        unknown("result_r", Real),
        unknown("result_r_unclamped", Real),
        unknown("closed_reason", Text),
        column("gap", Bool),
        column("first_seen_mid_life", Bool),
        column("learnable", Bool),
        column("source", Text),
        unknown("known_since_ms", Big),
        column("entry_fill_count", Int),
        column("exit_fill_count", Int),
        column("add_count", Int),
        written_at("updated_at"),
    ]


history_episodes = sa.Table(
    "history_episodes",
    metadata,
    *_episode_columns(),
    sa.Index(None, "address", "exit_ts"),
    sa.Index(None, "exit_ts"),
)

# written by the stream; stands here because both hold the same columns
position_signals = sa.Table(
    "position_signals",
    metadata,
    *_episode_columns(),
    sa.Index(None, "address", "exit_ts"),
    sa.Index(None, "status", "exit_ts"),
    sa.Index(None, "updated_at"),
)

trader_performance = sa.Table(
    "trader_performance",
    metadata,
    key("address", Text),
    column("as_of", Time),
    column("nig_m", Real),
    column("nig_kappa", Real),
    column("nig_alpha", Real),
    column("nig_beta", Real),
    column("n_eff", Real),
    column("episode_count", Int),
    column("win_count", Int),
    unknown("avg_r", Real),
    unknown("r_variance", Real),
    unknown("mean_unclamped_gross_r", Real),
    unknown("total_pnl_r", Real),
    unknown("share_below_clamp", Real),
    unknown("last_closed_at", Time),
)

trader_snapshots = sa.Table(
    "trader_snapshots",
    metadata,
    key("snapshot_date", Date),
    key("address", Text),
    key("selection_version", Int),
    column("event_type", Text),  # entered | active | promoted | demoted | death | censored
    unknown("death_type", Text),
    unknown("censor_type", Text),
    unknown("account_value", Real),
    unknown("peak_account_value", Real),
    unknown("pnl_30d", Real),
    unknown("roi_30d", Real),
    unknown("week_volume", Real),
    unknown("orders_per_day", Real),
    column("episode_count", Int),
    unknown("avg_r_gross", Real),
    unknown("avg_r_net", Real),
    unknown("nig_m", Real),
    unknown("nig_kappa", Real),
    unknown("nig_alpha", Real),
    unknown("nig_beta", Real),
    unknown("thompson_draw", Real),
    unknown("selection_rank", Int),
    unknown("draw_group", Text),  # exploit | explore
    column("is_eligible", Bool),
    column("is_selected", Bool),
    unknown("skill_p_value", Real),
    unknown("fdr_qualified", Bool),
)

pool_selections = sa.Table(
    "pool_selections",
    metadata,
    key("as_of_date", Date),
    key("selection_version", Int),  # live draws from 1; 0 is the evaluation of the whole day after its end
    column("drawn_at", Time),
    column("philox_key", Text),  # SHA-256 of (date, version): the draw can be repeated anywhere
    column("flavour", Text),  # normal | recording
    column("eligible_count", Int),
    column("reason", Text),
    column("learning_count", Int),
    unknown("leaderboard_day", Date),
    unknown("settings", Text),  # canonical JSON of the parameters the draw was made with
    unknown("crowd_mean_r", Real),  # what the draws were shrunk towards, and how many episodes it weighed;
    unknown("crowd_episodes", Real),  # null where they were not
)

alpha_pool_addresses = sa.Table(
    "alpha_pool_addresses",
    metadata,
    key("as_of_date", Date),
    key("selection_version", Int),
    key("address", Text),
    column("selection_rank", Int),
    column("thompson_draw", Real),
    column("slot", Text),  # exploit | explore
    unknown("slot_reason", Text),
    unknown("account_value", Real),
    unknown("pnl_30d", Real),
    unknown("roi_30d", Real),
)

trader_corr = sa.Table(
    "trader_corr",
    metadata,
    key("as_of_date", Date),
    key("addr_a", Text),
    key("addr_b", Text),
    unknown("rho", Real),
    column("n_buckets", Int),
    column("n_common", Int),
    unknown("phi_common", Real),
    column("computed_at", Time),
    sa.CheckConstraint("addr_a < addr_b", name="ordered_pair"),
)

marks_1m = sa.Table(
    "marks_1m",
    metadata,
    key("asset", Text),
    key("ts", Time),
    column("mid", Real),  # close of the candle
    column("open", Real),
    column("high", Real),
    column("low", Real),
    column("close", Real),
    column("volume", Real),
    unknown("atr14", Real),
    postgresql_partition_by="RANGE (ts)",
)

candles_1h = sa.Table(
    "candles_1h",
    metadata,
    key("asset", Text),
    key("open_ts", Time),
    column("open", Real),
    column("high", Real),
    column("low", Real),
    column("close", Real),
    column("volume", Real),
)

funding_1h = sa.Table(
    "funding_1h",
    metadata,
    key("asset", Text),
    key("hour", Time),
    column("rate", Real),
)

asset_volatility = sa.Table(
    "asset_volatility",
    metadata,
    key("asset", Text),
    key("computed_at", Time),
    unknown("bar_close_at", Time),
    unknown("atr", Real),
    unknown("price", Real),
    column("atr_fraction", Real),
    column("stop_fraction", Real),
    unknown("atr_percentile", Real),
    column("source", Text),  # atr | realised_vol | fallback
    column("regime", Text),
    unknown("regime_confidence", Real),
    column("regime_detail", pg.JSONB),
)

asset_costs = sa.Table(
    "asset_costs",
    metadata,
    key("asset", Text),
    key("computed_at", Time),
    column("taker_fee_bps", Real),
    unknown("funding_rate_hourly", Real),
    column("hold_hours", Real),
    column("hold_source", Text),
    column("hold_episodes", Int),
    unknown("day_volume_usd", Real),
    column("fee_source", Text),  # account: its own rate, as of fee_as_of | base_tier: the parameter
    unknown("fee_as_of", Time),
    unknown("funding_as_of", Time),  # when the venue stated the rate
)

model_parts = sa.Table(
    "model_parts",
    metadata,
    key("part", Text),  # slow | fast
    key("version", Int),
    column("hash", Text),
    column("content", Text),  # canonical JSON, byte for byte what was hashed
    written_at(),
    sa.UniqueConstraint("part", "hash"),
)

model_part_runs = sa.Table(
    "model_part_runs",
    metadata,
    key("part", Text),
    key("version", Int),
    key("asset", Text),
    column("run_id", Text),
    column("materialized_at", Time),
)

model_snapshots = sa.Table(
    "model_snapshots",
    metadata,
    key("version", Int),
    column("slow_version", Int),
    column("fast_version", Int),
    column("hash", Text),
    column("settings_hash", Text),
    column("settings", Text),
    column("mode", Text),
    column("pool_flavour", Text),
    column("pool_size", Int),
    column("published_at", Time),
    unknown("dagster_run_id", Text),
)

science_reports = sa.Table(
    "science_reports",
    metadata,
    key("kind", Text),  # calibration | gates | truth | truth_world
    key("computed_at", Time),
    column("content", Text),  # JSON
)


work_progress = sa.Table(
    "work_progress",
    metadata,
    key("work", Text),  # histories
    unknown("run_id", Text),
    column("total", Int),
    column("done", Int),
    column("failed", Int),
    column("begun_at", Time),
    column("updated_at", Time),
    unknown("ended_at", Time),
)

partition_retention = sa.Table(
    "partition_retention",
    metadata,
    key("table_name", Text),
    column("months", Int),
)

alerts = sa.Table(
    "alerts",
    metadata,
    key("id", Text),
    column("kind", Text),  # kill_switch | failed_check | rho0_at_limit | stale_input
    column("severity", Text),  # warning | critical
    column("message", Text),
    column("raised_at", Time),
    unknown("cleared_at", Time),
)

venue_assets = sa.Table(
    "venue_assets",
    metadata,
    key("coin", Text),
    column("asset_id", Int),
    column("sz_decimals", Int),
    column("max_leverage", Int),
    column("is_delisted", Bool),
    column("day_volume_usd", Real),
    unknown("funding_rate_hourly", Real),
    column("mark_px", Real),
    column("seen_at", Time),
)
