-- every answer of a trader is kept, not the newest alone
ALTER TABLE trader_facts DROP CONSTRAINT pk_trader_facts;
ALTER TABLE trader_facts ADD CONSTRAINT pk_trader_facts PRIMARY KEY (address, asked_at);

-- what a later download of the same day replaced
CREATE TABLE leaderboard_superseded (
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
    CONSTRAINT pk_leaderboard_superseded PRIMARY KEY (as_of_date, address, fetched_at)
);

-- verdicts of whole days after their end
CREATE TABLE trader_filters_asof (
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
    CONSTRAINT pk_trader_filters_asof PRIMARY KEY (as_of_date, address)
);

ALTER TABLE trader_snapshots ADD COLUMN draw_group TEXT;
ALTER TABLE pool_selections ADD COLUMN leaderboard_day DATE;
ALTER TABLE pool_selections ADD COLUMN settings TEXT;
