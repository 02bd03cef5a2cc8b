-- One stretch of a trader's life in a coin is learnt from once: a fetched episode stands back where a live one that is
-- learnt from covers any of the same time. Their first instants differ when the feed missed the opening fill.
CREATE OR REPLACE VIEW all_episodes AS
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
        WHERE p.address = h.address AND p.asset = h.asset AND p.learnable
          AND (p.entry_ts = h.entry_ts OR (p.entry_ts < h.exit_ts AND p.exit_ts > h.entry_ts)));

-- sensors look every minute at what is new
CREATE INDEX ix_position_signals_updated_at ON position_signals (updated_at);
CREATE INDEX ix_decision_logs_decided_at ON decision_logs (decided_at);
CREATE INDEX ix_ticket_outcomes_closed_ts ON ticket_outcomes (closed_ts);
