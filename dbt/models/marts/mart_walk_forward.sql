-- grain: walk, strategy, fold (null: all of them): R per trade after costs with its 95 % interval
select
    reports.computed_at,
    (reports.content ->> 'first')::date as first_day,
    (reports.content ->> 'last')::date as last_day,
    line.content ->> 'strategy' as strategy,
    (line.content ->> 'fold')::integer + 1 as fold,
    (line.content -> 'mean_r' ->> 'n')::integer as trades,
    (line.content -> 'mean_r' ->> 'value')::double precision as mean_r,
    (line.content -> 'mean_r' ->> 'low')::double precision as mean_r_low,
    (line.content -> 'mean_r' ->> 'high')::double precision as mean_r_high,
    (line.content ->> 'total_r')::double precision as total_r,
    (line.content -> 'margin' ->> 'value')::double precision as consensus_margin_r,
    (line.content -> 'margin' ->> 'low')::double precision as consensus_margin_r_low,
    (line.content -> 'margin' ->> 'high')::double precision as consensus_margin_r_high,
    (reports.content -> 'missing' ->> 'traders')::integer as traders_incomplete,
    (reports.content -> 'missing' ->> 'minutes_stored')::double precision as minutes_stored
from {{ ref('stg_walk_forward_reports') }} as reports
cross join lateral jsonb_array_elements(reports.content -> 'evaluation' -> 'lines') as line (content)
