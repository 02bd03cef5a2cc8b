-- one row a decision
select
    id as decision_id,
    decided_at,
    (decided_at at time zone 'UTC')::date as decided_on,
    symbol,
    direction,
    decision_type,
    trader_count,
    agreeing_count,
    agreement_pct,
    effective_k,
    ev_estimate,
    snapshot_version,
    mode,
    gates::jsonb as gates
from {{ source('sigmapilot', 'decision_logs') }}
