-- one row a trader and draw: the dead and the vanished have one too
select
    snapshot_date as as_of_date,
    selection_version,
    address,
    event_type,
    episode_count,
    avg_r_net,
    is_eligible,
    is_selected,
    fdr_qualified
from {{ source('sigmapilot', 'trader_snapshots') }}
