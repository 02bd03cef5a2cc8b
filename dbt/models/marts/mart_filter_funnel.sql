-- grain: day, filter: verdicts of all rows, and the rows left when the filters are applied in order
with ordered as (
    select
        *,
        bool_and(verdict = 'pass') over (
            partition by as_of_date, address order by filter_position
            rows between unbounded preceding and current row
        ) as survives
    from {{ ref('stg_filter_verdicts') }}
)

select
    as_of_date,
    filter_position,
    filter,
    count(*) as traders,
    count(*) filter (where verdict = 'pass') as passed,
    count(*) filter (where verdict = 'fail') as failed,
    count(*) filter (where verdict = 'unknown') as not_known,
    count(*) filter (where survives) as survivors
from ordered
group by as_of_date, filter_position, filter
