-- one row an episode seen live
select
    id as episode_id,
    address,
    asset,
    direction,
    status,
    entry_ts,
    exit_ts,
    result_r,
    closed_reason,
    gap,
    learnable
from {{ source('sigmapilot', 'position_signals') }}
