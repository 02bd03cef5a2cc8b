-- one row a report of this kind; all kinds share a table
select
    computed_at,
    content::jsonb as content
from {{ source('sigmapilot', 'calibration_reports') }}
where kind = 'calibration'
