-- death is final: a trader's row after one is a death too, in the same chain of draws
with ordered as (
    select
        *,
        lag(event_type) over (
            partition by address, selection_version = 0 order by selection_version, as_of_date
        ) as before
    from {{ ref('stg_trader_days') }}
)

select address, as_of_date, selection_version, event_type
from ordered
where before = 'death' and event_type <> 'death'
