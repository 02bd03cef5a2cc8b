-- one row a report of this kind; all kinds share a table
select
    computed_at,
    content::jsonb as content
from {{ source('sigmapilot', 'walk_forward_reports') }}
where kind = 'walk_forward'
