CREATE TABLE completeness_samples (
    id BIGINT NOT NULL,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT NOT NULL,
    taken_at TIMESTAMP WITH TIME ZONE NOT NULL,
    philox_key TEXT NOT NULL,
    population INTEGER NOT NULL,
    addresses TEXT[] NOT NULL,
    unanswered INTEGER NOT NULL,
    truncated INTEGER NOT NULL,
    CONSTRAINT pk_completeness_samples PRIMARY KEY (id)
);

CREATE TABLE completeness_cells (
    sample_id BIGINT NOT NULL,
    coin TEXT NOT NULL,
    hour_ms BIGINT NOT NULL,
    present INTEGER NOT NULL,
    late INTEGER NOT NULL,
    wrong INTEGER NOT NULL,
    missing_known INTEGER NOT NULL,
    missing_silent INTEGER NOT NULL,
    extra INTEGER NOT NULL,
    before_tracking INTEGER NOT NULL,
    in_statement INTEGER NOT NULL,
    CONSTRAINT pk_completeness_cells PRIMARY KEY (sample_id, coin, hour_ms)
);
CREATE INDEX ix_completeness_cells_hour_ms ON completeness_cells (hour_ms);

CREATE TABLE completeness_misses (
    sample_id BIGINT NOT NULL,
    address TEXT NOT NULL,
    time_ms BIGINT NOT NULL,
    coin TEXT NOT NULL,
    tid BIGINT NOT NULL,
    verdict TEXT NOT NULL,
    gap_id TEXT,
    detail TEXT NOT NULL,
    CONSTRAINT pk_completeness_misses PRIMARY KEY (sample_id, address, time_ms, coin, tid)
);
CREATE INDEX ix_completeness_misses_address_coin_time_ms ON completeness_misses (address, coin, time_ms);

-- Every gap the feed noticed, with what was really missed in it as far as samples tell: NULL where no sample of a
-- trader concerned covers it.
CREATE VIEW gap_ledger AS
SELECT g.id, g.kind, NULLIF(g.coin, '') AS coin, g.address, g.from_ms, g.to_ms, g.detail, g.detected_at, g.reconciled_at,
       s.samples,
       CASE WHEN s.samples > 0 THEN m.missed END AS missed_fills,
       CASE WHEN s.samples > 0 THEN m.traders END AS traders_with_misses
  FROM feed_gaps g
  CROSS JOIN LATERAL (
       SELECT count(*) AS samples FROM completeness_samples s
        WHERE s.from_ms <= g.to_ms AND s.to_ms > g.from_ms AND (g.address IS NULL OR g.address = ANY (s.addresses))) s
  CROSS JOIN LATERAL (
       SELECT count(*) AS missed, count(DISTINCT m.address) AS traders FROM completeness_misses m
        WHERE m.verdict IN ('missing_known', 'missing_silent') AND m.time_ms BETWEEN g.from_ms AND g.to_ms
          AND g.coin IN ('', m.coin) AND (g.address IS NULL OR g.address = m.address)) m;

-- An episode during which a fill is known to have been missed or wrong is kept and not learnt from; the fetched form of
-- that stretch then counts in its place.
CREATE OR REPLACE VIEW all_episodes AS
WITH live AS (
SELECT p.id, p.address, p.asset, p.direction, p.status, p.entry_ts, p.exit_ts, p.entry_vwap, p.exit_vwap, p.size,
       p.entry_notional_usd, p.realized_pnl, p.fees_usd, p.fees_estimated, p.funding_usd, p.stop_fraction, p.risk_usd,
       p.r_gross, p.r_gross_unclamped, p.result_r, p.result_r_unclamped, p.closed_reason, p.gap, p.first_seen_mid_life,
       p.learnable AND NOT EXISTS (
         SELECT 1 FROM completeness_misses m
          WHERE m.address = p.address AND m.coin = p.asset
            AND m.time_ms >= (extract(epoch FROM p.entry_ts) * 1000)::bigint
            AND m.time_ms <= (extract(epoch FROM p.exit_ts) * 1000)::bigint) AS learnable,
       p.source, p.known_since_ms, p.entry_fill_count, p.exit_fill_count, p.add_count, p.updated_at
  FROM position_signals p)
SELECT * FROM live
UNION ALL
SELECT h.id, h.address, h.asset, h.direction, h.status, h.entry_ts, h.exit_ts, h.entry_vwap, h.exit_vwap, h.size,
       h.entry_notional_usd, h.realized_pnl, h.fees_usd, h.fees_estimated, h.funding_usd, h.stop_fraction, h.risk_usd,
       h.r_gross, h.r_gross_unclamped, h.result_r, h.result_r_unclamped, h.closed_reason, h.gap, h.first_seen_mid_life, h.learnable, h.source,
       h.known_since_ms, h.entry_fill_count, h.exit_fill_count, h.add_count, h.updated_at
  FROM history_episodes h
 WHERE NOT EXISTS (
       SELECT 1 FROM live p
        WHERE p.address = h.address AND p.asset = h.asset AND p.learnable
          AND (p.entry_ts = h.entry_ts OR (p.entry_ts < h.exit_ts AND p.exit_ts > h.entry_ts)));
