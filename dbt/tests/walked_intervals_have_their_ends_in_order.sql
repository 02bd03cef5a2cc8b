-- the lower end of an interval is never above the upper one
select computed_at, strategy, fold, mean_r_low, mean_r_high
from {{ ref('mart_walk_forward') }}
where mean_r_low > mean_r_high
