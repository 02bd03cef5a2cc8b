-- grain: report, input: the last week against what lies before a week's gap; null is too few values
select
    reports.computed_at,
    input.content ->> 'name' as input,
    (input.content ->> 'n_fit')::integer as values_fit,
    (input.content ->> 'n_now')::integer as values_now,
    (input.content ->> 'psi')::double precision as psi,
    (input.content ->> 'ks')::double precision as ks
from {{ ref('stg_gate_reports') }} as reports
cross join lateral jsonb_array_elements(reports.content -> 'drift') as input (content)
