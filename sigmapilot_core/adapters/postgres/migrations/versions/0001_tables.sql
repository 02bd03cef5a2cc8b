CREATE TABLE addresses (
    address TEXT NOT NULL,
    nickname TEXT,
    first_seen_date DATE NOT NULL,
    last_seen_date DATE NOT NULL,
    CONSTRAINT pk_addresses PRIMARY KEY (address)
);

CREATE TABLE alerts (
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    severity TEXT NOT NULL,
    message TEXT NOT NULL,
    raised_at TIMESTAMP WITH TIME ZONE NOT NULL,
    cleared_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_alerts PRIMARY KEY (id)
);

CREATE TABLE alpha_pool_addresses (
    as_of_date DATE NOT NULL,
    selection_version INTEGER NOT NULL,
    address TEXT NOT NULL,
    selection_rank INTEGER NOT NULL,
    thompson_draw DOUBLE PRECISION NOT NULL,
    slot TEXT NOT NULL,
    slot_reason TEXT,
    account_value DOUBLE PRECISION,
    pnl_30d DOUBLE PRECISION,
    roi_30d DOUBLE PRECISION,
    CONSTRAINT pk_alpha_pool_addresses PRIMARY KEY (as_of_date, selection_version, address)
);

CREATE TABLE asset_costs (
    asset TEXT NOT NULL,
    computed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    taker_fee_bps DOUBLE PRECISION NOT NULL,
    funding_rate_hourly DOUBLE PRECISION,
    hold_hours DOUBLE PRECISION NOT NULL,
    hold_source TEXT NOT NULL,
    hold_episodes INTEGER NOT NULL,
    day_volume_usd DOUBLE PRECISION,
    CONSTRAINT pk_asset_costs PRIMARY KEY (asset, computed_at)
);

CREATE TABLE asset_status (
    symbol TEXT NOT NULL,
    as_of_ms BIGINT NOT NULL,
    status JSONB NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_asset_status PRIMARY KEY (symbol)
);

CREATE TABLE asset_volatility (
    asset TEXT NOT NULL,
    computed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    bar_close_at TIMESTAMP WITH TIME ZONE,
    atr DOUBLE PRECISION,
    price DOUBLE PRECISION,
    atr_fraction DOUBLE PRECISION NOT NULL,
    stop_fraction DOUBLE PRECISION NOT NULL,
    atr_percentile DOUBLE PRECISION,
    source TEXT NOT NULL,
    regime TEXT NOT NULL,
    regime_confidence DOUBLE PRECISION,
    regime_detail JSONB NOT NULL,
    CONSTRAINT pk_asset_volatility PRIMARY KEY (asset, computed_at)
);

CREATE TABLE candles_1h (
    asset TEXT NOT NULL,
    open_ts TIMESTAMP WITH TIME ZONE NOT NULL,
    open DOUBLE PRECISION NOT NULL,
    high DOUBLE PRECISION NOT NULL,
    low DOUBLE PRECISION NOT NULL,
    close DOUBLE PRECISION NOT NULL,
    volume DOUBLE PRECISION NOT NULL,
    CONSTRAINT pk_candles_1h PRIMARY KEY (asset, open_ts)
);

CREATE TABLE chain_anchors (
    log TEXT NOT NULL,
    chain INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    row_hash TEXT NOT NULL,
    anchored_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_chain_anchors PRIMARY KEY (log, chain, seq)
);

CREATE TABLE chain_heads (
    log TEXT NOT NULL,
    chain INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    row_hash TEXT NOT NULL,
    CONSTRAINT pk_chain_heads PRIMARY KEY (log, chain)
);

CREATE TABLE consensus_signals (
    id UUID NOT NULL,
    symbol TEXT NOT NULL,
    direction TEXT NOT NULL,
    entry_price DOUBLE PRECISION NOT NULL,
    stop_price DOUBLE PRECISION NOT NULL,
    take_profit_price DOUBLE PRECISION NOT NULL,
    stop_fraction DOUBLE PRECISION NOT NULL,
    n_traders INTEGER NOT NULL,
    n_agreeing INTEGER NOT NULL,
    eff_k DOUBLE PRECISION NOT NULL,
    p_win DOUBLE PRECISION NOT NULL,
    ev_gross_r DOUBLE PRECISION NOT NULL,
    ev_cost_r DOUBLE PRECISION NOT NULL,
    ev_net_r DOUBLE PRECISION NOT NULL,
    fees_bps DOUBLE PRECISION NOT NULL,
    slippage_bps DOUBLE PRECISION NOT NULL,
    funding_bps DOUBLE PRECISION NOT NULL,
    median_voter_price DOUBLE PRECISION NOT NULL,
    mid_delta_bps DOUBLE PRECISION NOT NULL,
    notional_usd DOUBLE PRECISION NOT NULL,
    binding_cap TEXT,
    snapshot_version INTEGER NOT NULL,
    latency_ms DOUBLE PRECISION,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    outcome TEXT,
    exit_price DOUBLE PRECISION,
    result_r DOUBLE PRECISION,
    closed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_consensus_signals PRIMARY KEY (id)
);

CREATE INDEX ix_consensus_signals_created_at ON consensus_signals (created_at);

CREATE TABLE dead_records (
    partition TEXT NOT NULL,
    seq BIGINT NOT NULL,
    kind TEXT NOT NULL,
    coin TEXT,
    payload BYTEA NOT NULL,
    error TEXT NOT NULL,
    resolved_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_dead_records PRIMARY KEY (partition, seq)
);

CREATE TABLE decision_ids (
    id UUID NOT NULL,
    decided_at TIMESTAMP WITH TIME ZONE NOT NULL,
    chain INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    CONSTRAINT pk_decision_ids PRIMARY KEY (id),
    CONSTRAINT uq_decision_ids_chain_seq UNIQUE (chain, seq)
);

CREATE TABLE decision_inputs (
    decision_id UUID NOT NULL,
    decided_at TIMESTAMP WITH TIME ZONE NOT NULL,
    inputs TEXT NOT NULL,
    CONSTRAINT pk_decision_inputs PRIMARY KEY (decision_id, decided_at)
)
 PARTITION BY RANGE (decided_at);

CREATE TABLE decision_logs (
    id UUID NOT NULL,
    decided_at TIMESTAMP WITH TIME ZONE NOT NULL,
    symbol TEXT NOT NULL,
    direction TEXT NOT NULL,
    decision_type TEXT NOT NULL,
    trader_count INTEGER NOT NULL,
    agreeing_count INTEGER NOT NULL,
    agreement_pct DOUBLE PRECISION,
    effective_k DOUBLE PRECISION,
    avg_confidence DOUBLE PRECISION,
    ev_estimate DOUBLE PRECISION,
    price_at_decision DOUBLE PRECISION,
    gates TEXT NOT NULL,
    risk_checks TEXT NOT NULL,
    reasoning TEXT NOT NULL,
    record TEXT NOT NULL,
    decision_key TEXT,
    snapshot_version INTEGER NOT NULL,
    settings_hash TEXT NOT NULL,
    mode TEXT NOT NULL,
    chain INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    prev_hash TEXT NOT NULL,
    row_hash TEXT NOT NULL,
    outcome TEXT,
    outcome_pnl DOUBLE PRECISION,
    outcome_r_multiple DOUBLE PRECISION,
    outcome_closed_at TIMESTAMP WITH TIME ZONE,
    latency_ms DOUBLE PRECISION,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_decision_logs PRIMARY KEY (id, decided_at)
)
 PARTITION BY RANGE (decided_at);

CREATE INDEX ix_decision_logs_decision_type_decided_at ON decision_logs (decision_type, decided_at);

CREATE INDEX ix_decision_logs_symbol_decided_at ON decision_logs (symbol, decided_at);

CREATE TABLE execution_config (
    id SERIAL NOT NULL,
    enabled BOOLEAN NOT NULL,
    hyperliquid JSONB NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_execution_config PRIMARY KEY (id)
);

CREATE TABLE execution_logs (
    id BIGINT GENERATED BY DEFAULT AS IDENTITY,
    client_order_id TEXT NOT NULL,
    decision_id UUID NOT NULL,
    leg TEXT NOT NULL,
    exchange TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    size NUMERIC NOT NULL,
    leverage DOUBLE PRECISION NOT NULL,
    order_type TEXT NOT NULL,
    limit_price NUMERIC,
    is_reduce_only BOOLEAN NOT NULL,
    status TEXT NOT NULL,
    fill_price DOUBLE PRECISION,
    fill_size NUMERIC,
    fee_usd DOUBLE PRECISION,
    slippage_actual DOUBLE PRECISION,
    error_message TEXT,
    account_value DOUBLE PRECISION,
    position_pct DOUBLE PRECISION,
    exposure_before DOUBLE PRECISION,
    exposure_after DOUBLE PRECISION,
    kelly_method TEXT NOT NULL,
    kelly_position_pct DOUBLE PRECISION,
    kelly_fraction DOUBLE PRECISION,
    binding_cap TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_execution_logs PRIMARY KEY (id),
    CONSTRAINT uq_execution_logs_client_order_id UNIQUE (client_order_id)
);

CREATE INDEX ix_execution_logs_created_at ON execution_logs (created_at);

CREATE TABLE feed_gaps (
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    coin TEXT NOT NULL,
    address TEXT,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT NOT NULL,
    detail TEXT NOT NULL,
    reconciled_at TIMESTAMP WITH TIME ZONE,
    detected_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_feed_gaps PRIMARY KEY (id)
);

CREATE TABLE fills (
    address TEXT NOT NULL,
    time_ms BIGINT NOT NULL,
    coin TEXT NOT NULL,
    tid BIGINT NOT NULL,
    is_buy BOOLEAN NOT NULL,
    px NUMERIC NOT NULL,
    sz NUMERIC NOT NULL,
    crossed BOOLEAN NOT NULL,
    start_position NUMERIC,
    position_after NUMERIC NOT NULL,
    realized_pnl NUMERIC,
    fee NUMERIC,
    action TEXT NOT NULL,
    episode_id TEXT,
    hash TEXT NOT NULL,
    source TEXT NOT NULL,
    known_since_ms BIGINT,
    received_ms BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    CONSTRAINT pk_fills PRIMARY KEY (address, time_ms, coin, tid)
)
 PARTITION BY RANGE (time_ms);

CREATE INDEX ix_fills_time_ms ON fills (time_ms);

CREATE TABLE history_episodes (
    id TEXT NOT NULL,
    address TEXT NOT NULL,
    asset TEXT NOT NULL,
    direction TEXT NOT NULL,
    status TEXT NOT NULL,
    entry_ts TIMESTAMP WITH TIME ZONE NOT NULL,
    exit_ts TIMESTAMP WITH TIME ZONE,
    entry_vwap DOUBLE PRECISION,
    exit_vwap DOUBLE PRECISION,
    size NUMERIC NOT NULL,
    entry_notional_usd DOUBLE PRECISION,
    realized_pnl NUMERIC,
    fees_usd NUMERIC NOT NULL,
    fees_estimated BOOLEAN NOT NULL,
    funding_usd NUMERIC,
    stop_fraction DOUBLE PRECISION,
    risk_usd DOUBLE PRECISION,
    r_gross DOUBLE PRECISION,
    r_gross_unclamped DOUBLE PRECISION,
    result_r DOUBLE PRECISION,
    result_r_unclamped DOUBLE PRECISION,
    closed_reason TEXT,
    gap BOOLEAN NOT NULL,
    first_seen_mid_life BOOLEAN NOT NULL,
    learnable BOOLEAN NOT NULL,
    source TEXT NOT NULL,
    known_since_ms BIGINT,
    entry_fill_count INTEGER NOT NULL,
    exit_fill_count INTEGER NOT NULL,
    add_count INTEGER NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_history_episodes PRIMARY KEY (id)
);

CREATE INDEX ix_history_episodes_address_exit_ts ON history_episodes (address, exit_ts);

CREATE INDEX ix_history_episodes_exit_ts ON history_episodes (exit_ts);

CREATE TABLE history_fills (
    address TEXT NOT NULL,
    time_ms BIGINT NOT NULL,
    coin TEXT NOT NULL,
    tid BIGINT NOT NULL,
    is_buy BOOLEAN NOT NULL,
    px NUMERIC NOT NULL,
    sz NUMERIC NOT NULL,
    crossed BOOLEAN NOT NULL,
    start_position NUMERIC,
    fee NUMERIC,
    closed_pnl NUMERIC,
    oid BIGINT,
    hash TEXT,
    dir TEXT,
    twap_id BIGINT,
    is_liquidation BOOLEAN NOT NULL,
    known_since_ms BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,
    CONSTRAINT pk_history_fills PRIMARY KEY (address, time_ms, coin, tid)
)
 PARTITION BY RANGE (time_ms);

CREATE TABLE hl_current_positions (
    address TEXT NOT NULL,
    symbol TEXT NOT NULL,
    size NUMERIC NOT NULL,
    entry_price DOUBLE PRECISION,
    as_of_ms BIGINT NOT NULL,
    state TEXT NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_hl_current_positions PRIMARY KEY (address, symbol)
);

CREATE TABLE leaderboard_downloads (
    id BIGINT GENERATED BY DEFAULT AS IDENTITY,
    fetched_at TIMESTAMP WITH TIME ZONE NOT NULL,
    source TEXT NOT NULL,
    status TEXT NOT NULL,
    sha256 TEXT,
    row_count INTEGER NOT NULL,
    bad_row_count INTEGER NOT NULL,
    error TEXT,
    CONSTRAINT pk_leaderboard_downloads PRIMARY KEY (id)
);

CREATE TABLE leaderboard_snapshots (
    as_of_date DATE NOT NULL,
    address TEXT NOT NULL,
    account_value DOUBLE PRECISION NOT NULL,
    day_pnl DOUBLE PRECISION,
    day_roi DOUBLE PRECISION,
    day_vlm DOUBLE PRECISION,
    week_pnl DOUBLE PRECISION,
    week_roi DOUBLE PRECISION,
    week_vlm DOUBLE PRECISION,
    month_pnl DOUBLE PRECISION,
    month_roi DOUBLE PRECISION,
    month_vlm DOUBLE PRECISION,
    all_time_pnl DOUBLE PRECISION,
    all_time_roi DOUBLE PRECISION,
    all_time_vlm DOUBLE PRECISION,
    display_name TEXT,
    roi_approximate BOOLEAN NOT NULL,
    fetched_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_leaderboard_snapshots PRIMARY KEY (as_of_date, address)
);

CREATE TABLE live_positions (
    exchange TEXT NOT NULL,
    symbol TEXT NOT NULL,
    decision_id UUID NOT NULL,
    side TEXT NOT NULL,
    size NUMERIC NOT NULL,
    entry_price DOUBLE PRECISION NOT NULL,
    stop_price DOUBLE PRECISION NOT NULL,
    take_profit_price DOUBLE PRECISION NOT NULL,
    timeout_at TIMESTAMP WITH TIME ZONE NOT NULL,
    opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
    mark_price DOUBLE PRECISION,
    unrealized_pnl DOUBLE PRECISION,
    state TEXT,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_live_positions PRIMARY KEY (exchange, symbol)
);

CREATE TABLE marks_1m (
    asset TEXT NOT NULL,
    ts TIMESTAMP WITH TIME ZONE NOT NULL,
    mid DOUBLE PRECISION NOT NULL,
    open DOUBLE PRECISION NOT NULL,
    high DOUBLE PRECISION NOT NULL,
    low DOUBLE PRECISION NOT NULL,
    close DOUBLE PRECISION NOT NULL,
    volume DOUBLE PRECISION NOT NULL,
    atr14 DOUBLE PRECISION,
    CONSTRAINT pk_marks_1m PRIMARY KEY (asset, ts)
)
 PARTITION BY RANGE (ts);

CREATE TABLE meta (
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_meta PRIMARY KEY (key)
);

CREATE TABLE model_parts (
    part TEXT NOT NULL,
    version INTEGER NOT NULL,
    hash TEXT NOT NULL,
    content TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_model_parts PRIMARY KEY (part, version),
    CONSTRAINT uq_model_parts_part_hash UNIQUE (part, hash)
);

CREATE TABLE model_snapshots (
    version SERIAL NOT NULL,
    slow_version INTEGER NOT NULL,
    fast_version INTEGER NOT NULL,
    hash TEXT NOT NULL,
    settings_hash TEXT NOT NULL,
    settings TEXT NOT NULL,
    mode TEXT NOT NULL,
    pool_flavour TEXT NOT NULL,
    pool_size INTEGER NOT NULL,
    published_at TIMESTAMP WITH TIME ZONE NOT NULL,
    dagster_run_id TEXT,
    CONSTRAINT pk_model_snapshots PRIMARY KEY (version)
);

CREATE TABLE outcome_tracking (
    decision_id UUID NOT NULL,
    symbol TEXT NOT NULL,
    decided_at TIMESTAMP WITH TIME ZONE NOT NULL,
    state TEXT NOT NULL,
    is_open BOOLEAN NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_outcome_tracking PRIMARY KEY (decision_id)
);

CREATE TABLE partition_retention (
    table_name TEXT NOT NULL,
    months INTEGER NOT NULL,
    CONSTRAINT pk_partition_retention PRIMARY KEY (table_name)
);

CREATE TABLE pool_selections (
    as_of_date DATE NOT NULL,
    selection_version INTEGER NOT NULL,
    drawn_at TIMESTAMP WITH TIME ZONE NOT NULL,
    philox_key TEXT NOT NULL,
    flavour TEXT NOT NULL,
    eligible_count INTEGER NOT NULL,
    reason TEXT NOT NULL,
    learning_count INTEGER NOT NULL,
    CONSTRAINT pk_pool_selections PRIMARY KEY (as_of_date, selection_version)
);

CREATE TABLE portfolio_snapshots (
    exchange TEXT NOT NULL,
    ts TIMESTAMP WITH TIME ZONE NOT NULL,
    account_value DOUBLE PRECISION NOT NULL,
    realized_pnl DOUBLE PRECISION NOT NULL,
    unrealized_pnl DOUBLE PRECISION NOT NULL,
    exposure_usd DOUBLE PRECISION NOT NULL,
    CONSTRAINT pk_portfolio_snapshots PRIMARY KEY (exchange, ts)
);

CREATE TABLE position_signals (
    id TEXT NOT NULL,
    address TEXT NOT NULL,
    asset TEXT NOT NULL,
    direction TEXT NOT NULL,
    status TEXT NOT NULL,
    entry_ts TIMESTAMP WITH TIME ZONE NOT NULL,
    exit_ts TIMESTAMP WITH TIME ZONE,
    entry_vwap DOUBLE PRECISION,
    exit_vwap DOUBLE PRECISION,
    size NUMERIC NOT NULL,
    entry_notional_usd DOUBLE PRECISION,
    realized_pnl NUMERIC,
    fees_usd NUMERIC NOT NULL,
    fees_estimated BOOLEAN NOT NULL,
    funding_usd NUMERIC,
    stop_fraction DOUBLE PRECISION,
    risk_usd DOUBLE PRECISION,
    r_gross DOUBLE PRECISION,
    r_gross_unclamped DOUBLE PRECISION,
    result_r DOUBLE PRECISION,
    result_r_unclamped DOUBLE PRECISION,
    closed_reason TEXT,
    gap BOOLEAN NOT NULL,
    first_seen_mid_life BOOLEAN NOT NULL,
    learnable BOOLEAN NOT NULL,
    source TEXT NOT NULL,
    known_since_ms BIGINT,
    entry_fill_count INTEGER NOT NULL,
    exit_fill_count INTEGER NOT NULL,
    add_count INTEGER NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_position_signals PRIMARY KEY (id)
);

CREATE INDEX ix_position_signals_address_exit_ts ON position_signals (address, exit_ts);

CREATE INDEX ix_position_signals_status_exit_ts ON position_signals (status, exit_ts);

CREATE TABLE risk_daily_pnl (
    date DATE NOT NULL,
    opening_equity DOUBLE PRECISION NOT NULL,
    pnl DOUBLE PRECISION NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_risk_daily_pnl PRIMARY KEY (date)
);

CREATE TABLE risk_governor_state (
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_risk_governor_state PRIMARY KEY (key)
);

CREATE TABLE stream_progress (
    partition TEXT NOT NULL,
    seq BIGINT NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_stream_progress PRIMARY KEY (partition)
);

CREATE TABLE stream_status (
    key TEXT NOT NULL,
    value JSONB NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_stream_status PRIMARY KEY (key)
);

CREATE TABLE ticket_outcomes (
    ticket_id UUID NOT NULL,
    symbol TEXT NOT NULL,
    closed_ts TIMESTAMP WITH TIME ZONE NOT NULL,
    exit_price DOUBLE PRECISION NOT NULL,
    result_r DOUBLE PRECISION NOT NULL,
    gross_r DOUBLE PRECISION NOT NULL,
    cost_r DOUBLE PRECISION NOT NULL,
    closed_reason TEXT NOT NULL,
    mfe_r DOUBLE PRECISION NOT NULL,
    mae_r DOUBLE PRECISION NOT NULL,
    notes TEXT,
    record TEXT NOT NULL,
    chain INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    prev_hash TEXT NOT NULL,
    row_hash TEXT NOT NULL,
    CONSTRAINT pk_ticket_outcomes PRIMARY KEY (ticket_id),
    CONSTRAINT uq_ticket_outcomes_chain_seq UNIQUE (chain, seq)
);

CREATE TABLE tracked_traders (
    address TEXT NOT NULL,
    tracked_since_ms BIGINT NOT NULL,
    primed_at_ms BIGINT,
    is_active BOOLEAN NOT NULL,
    CONSTRAINT pk_tracked_traders PRIMARY KEY (address)
);

CREATE TABLE trader_corr (
    as_of_date DATE NOT NULL,
    addr_a TEXT NOT NULL,
    addr_b TEXT NOT NULL,
    rho DOUBLE PRECISION,
    n_buckets INTEGER NOT NULL,
    n_common INTEGER NOT NULL,
    phi_common DOUBLE PRECISION,
    computed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_trader_corr PRIMARY KEY (as_of_date, addr_a, addr_b),
    CONSTRAINT ck_trader_corr_ordered_pair CHECK (addr_a < addr_b)
);

CREATE TABLE trader_facts (
    address TEXT NOT NULL,
    asked_at TIMESTAMP WITH TIME ZONE NOT NULL,
    orders_per_day DOUBLE PRECISION,
    has_sub_accounts BOOLEAN,
    has_major_fill BOOLEAN,
    fill_count INTEGER NOT NULL,
    first_fill_at TIMESTAMP WITH TIME ZONE,
    last_fill_at TIMESTAMP WITH TIME ZONE,
    error TEXT,
    CONSTRAINT pk_trader_facts PRIMARY KEY (address)
);

CREATE TABLE trader_filters (
    as_of_date DATE NOT NULL,
    address TEXT NOT NULL,
    month_pnl TEXT NOT NULL,
    month_roi TEXT NOT NULL,
    account_value TEXT NOT NULL,
    week_volume TEXT NOT NULL,
    not_hft TEXT NOT NULL,
    no_sub_accounts TEXT NOT NULL,
    btc_eth_history TEXT NOT NULL,
    eligible TEXT NOT NULL,
    values JSONB NOT NULL,
    CONSTRAINT pk_trader_filters PRIMARY KEY (as_of_date, address)
);

CREATE TABLE trader_performance (
    address TEXT NOT NULL,
    as_of TIMESTAMP WITH TIME ZONE NOT NULL,
    nig_m DOUBLE PRECISION NOT NULL,
    nig_kappa DOUBLE PRECISION NOT NULL,
    nig_alpha DOUBLE PRECISION NOT NULL,
    nig_beta DOUBLE PRECISION NOT NULL,
    n_eff DOUBLE PRECISION NOT NULL,
    episode_count INTEGER NOT NULL,
    win_count INTEGER NOT NULL,
    avg_r DOUBLE PRECISION,
    r_variance DOUBLE PRECISION,
    mean_unclamped_gross_r DOUBLE PRECISION,
    total_pnl_r DOUBLE PRECISION,
    share_below_clamp DOUBLE PRECISION,
    last_closed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_trader_performance PRIMARY KEY (address)
);

CREATE TABLE trader_snapshots (
    snapshot_date DATE NOT NULL,
    address TEXT NOT NULL,
    selection_version INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    death_type TEXT,
    censor_type TEXT,
    account_value DOUBLE PRECISION,
    peak_account_value DOUBLE PRECISION,
    pnl_30d DOUBLE PRECISION,
    roi_30d DOUBLE PRECISION,
    week_volume DOUBLE PRECISION,
    orders_per_day DOUBLE PRECISION,
    episode_count INTEGER NOT NULL,
    avg_r_gross DOUBLE PRECISION,
    avg_r_net DOUBLE PRECISION,
    nig_m DOUBLE PRECISION,
    nig_kappa DOUBLE PRECISION,
    nig_alpha DOUBLE PRECISION,
    nig_beta DOUBLE PRECISION,
    thompson_draw DOUBLE PRECISION,
    selection_rank INTEGER,
    is_eligible BOOLEAN NOT NULL,
    is_selected BOOLEAN NOT NULL,
    skill_p_value DOUBLE PRECISION,
    fdr_qualified BOOLEAN,
    CONSTRAINT pk_trader_snapshots PRIMARY KEY (snapshot_date, address, selection_version)
);

CREATE TABLE trades (
    time_ms BIGINT NOT NULL,
    coin TEXT NOT NULL,
    tid BIGINT NOT NULL,
    px NUMERIC NOT NULL,
    sz NUMERIC NOT NULL,
    buyer TEXT NOT NULL,
    seller TEXT NOT NULL,
    aggressor_is_buyer BOOLEAN NOT NULL,
    hash TEXT NOT NULL,
    received_ms BIGINT NOT NULL,
    CONSTRAINT pk_trades PRIMARY KEY (time_ms, coin, tid)
)
 PARTITION BY RANGE (time_ms);

CREATE TABLE venue_assets (
    coin TEXT NOT NULL,
    asset_id INTEGER NOT NULL,
    sz_decimals INTEGER NOT NULL,
    max_leverage INTEGER NOT NULL,
    is_delisted BOOLEAN NOT NULL,
    day_volume_usd DOUBLE PRECISION NOT NULL,
    funding_rate_hourly DOUBLE PRECISION,
    mark_px DOUBLE PRECISION NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_venue_assets PRIMARY KEY (coin)
);
