-- one row a draw of the pool; live draws and whole days evaluated after their end are two chains
select
    as_of_date,
    selection_version,
    case when selection_version = 0 then 'whole_day' else 'live' end as chain,
    drawn_at,
    eligible_count,
    learning_count,
    reason,
    row_number() over (partition by selection_version = 0 order by as_of_date, selection_version) as draw_number
from {{ source('sigmapilot', 'pool_selections') }}
