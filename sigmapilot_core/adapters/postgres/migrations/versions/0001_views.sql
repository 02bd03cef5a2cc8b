-- Everything known of fills and episodes: what the stream saw live, and fetched history up to the day tracking began.
CREATE VIEW all_episodes AS
SELECT id, address, asset, direction, status, entry_ts, exit_ts, entry_vwap, exit_vwap, size, entry_notional_usd,
       realized_pnl, fees_usd, fees_estimated, funding_usd, stop_fraction, risk_usd, r_gross, r_gross_unclamped,
       result_r, result_r_unclamped, closed_reason, gap, first_seen_mid_life, learnable, source, known_since_ms, entry_fill_count,
       exit_fill_count, add_count, updated_at
  FROM position_signals
UNION ALL
SELECT h.id, h.address, h.asset, h.direction, h.status, h.entry_ts, h.exit_ts, h.entry_vwap, h.exit_vwap, h.size,
       h.entry_notional_usd, h.realized_pnl, h.fees_usd, h.fees_estimated, h.funding_usd, h.stop_fraction, h.risk_usd,
       h.r_gross, h.r_gross_unclamped, h.result_r, h.result_r_unclamped, h.closed_reason, h.gap, h.first_seen_mid_life, h.learnable, h.source,
       h.known_since_ms, h.entry_fill_count, h.exit_fill_count, h.add_count, h.updated_at
  FROM history_episodes h
 WHERE NOT EXISTS (
       SELECT 1 FROM position_signals p
        WHERE p.address = h.address AND p.asset = h.asset AND p.learnable AND p.entry_ts = h.entry_ts);

-- names of the predecessor
CREATE VIEW episodes AS
SELECT *, entry_vwap AS entry_px_vwap, exit_vwap AS exit_px_vwap, result_r AS r_clamped,
       result_r_unclamped AS r_unclamped, risk_usd AS risk, round(stop_fraction::numeric * 10000, 4) AS stop_bps_used
  FROM all_episodes;

CREATE VIEW all_fills AS
SELECT address, time_ms, coin, tid, is_buy, px, sz, crossed, 'live' AS source FROM fills
UNION ALL
SELECT h.address, h.time_ms, h.coin, h.tid, h.is_buy, h.px, h.sz, h.crossed, 'backfill'
  FROM history_fills h
 WHERE NOT EXISTS (SELECT 1 FROM fills f
        WHERE f.address = h.address AND f.time_ms = h.time_ms AND f.coin = h.coin AND f.tid = h.tid);

-- a decision with its outcome, newest first by use of the index; `type` and `asset` serve the older names
CREATE VIEW decisions AS
SELECT *, symbol AS asset, decision_type AS type, decided_at AS ts FROM decision_logs;

CREATE VIEW newest_snapshot AS
SELECT s.*, slow.content AS slow_content, fast.content AS fast_content
  FROM model_snapshots s
  JOIN model_parts slow ON slow.part = 'slow' AND slow.version = s.slow_version
  JOIN model_parts fast ON fast.part = 'fast' AND fast.version = s.fast_version
 WHERE s.version = (SELECT max(version) FROM model_snapshots);
