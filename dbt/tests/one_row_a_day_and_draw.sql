-- the grain of the pool report
select as_of_date, selection_version, count(*) as found
from {{ ref('mart_pool_days') }}
group by as_of_date, selection_version
having count(*) <> 1
