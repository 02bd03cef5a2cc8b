-- every member is there for one reason, what entered is part of the pool, and nobody explores beyond it
select *
from {{ ref('mart_pool_days') }}
where
    well_known + few_episodes + facts_unknown + spilled <> members
    or entered > members
    or exploring > members
    or members > eligible_count
