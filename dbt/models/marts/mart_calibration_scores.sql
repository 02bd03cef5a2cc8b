-- grain: report, series: how good said probabilities were, as pooled (raw) and as published (mapped)
select
    reports.computed_at,
    series.name as series,
    (reports.content ->> 'n_outcomes')::integer as outcomes,
    (reports.content ->> 'mean_gap_r')::double precision as mean_gap_r,
    (reports.content -> series.name ->> 'n')::integer as decisions,
    (reports.content -> series.name ->> 'brier')::double precision as brier,
    (reports.content -> series.name ->> 'base')::double precision as brier_of_the_mean,
    (reports.content -> series.name ->> 'log_score')::double precision as log_score
from {{ ref('stg_calibration_reports') }} as reports
cross join (values ('raw'), ('mapped')) as series (name)
where jsonb_typeof(reports.content -> series.name) = 'object'
