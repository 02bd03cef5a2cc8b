-- a trade belongs to one fold: the folds of a strategy have as many trades as the line over all of them
select
    computed_at,
    strategy,
    sum(trades) filter (where fold is null) as in_all,
    sum(trades) filter (where fold is not null) as in_folds
from {{ ref('mart_walk_forward') }}
group by computed_at, strategy
having sum(trades) filter (where fold is null) <> sum(trades) filter (where fold is not null)
