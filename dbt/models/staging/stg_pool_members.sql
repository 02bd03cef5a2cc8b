-- one row a draw and member
select
    draws.chain,
    draws.draw_number,
    members.as_of_date,
    members.selection_version,
    members.address,
    members.slot,
    case
        when members.slot_reason like '%could not fill%' then 'spilled'
        when members.slot_reason like '%filters 5-7 unknown%' then 'facts_unknown'
        when members.slot = 'explore' then 'few_episodes'
        else 'well_known'
    end as why
from {{ source('sigmapilot', 'alpha_pool_addresses') }} as members
inner join {{ ref('stg_pool_draws') }} as draws
    on members.as_of_date = draws.as_of_date and members.selection_version = draws.selection_version
