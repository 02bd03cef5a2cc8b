-- one row a closed outcome
select
    ticket_id as decision_id,
    symbol,
    closed_ts as closed_at,
    (closed_ts at time zone 'UTC')::date as closed_on,
    result_r,
    closed_reason
from {{ source('sigmapilot', 'ticket_outcomes') }}
