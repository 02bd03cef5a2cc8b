-- grain: report, gate: R after costs of the decisions that this gate alone stopped, with its 95 % interval
select
    reports.computed_at,
    gate.content ->> 'gate' as gate,
    (gate.content -> 'stopped' ->> 'n')::integer as stopped,
    (gate.content -> 'stopped' ->> 'value')::double precision as stopped_mean_r,
    (gate.content -> 'stopped' ->> 'low')::double precision as stopped_mean_r_low,
    (gate.content -> 'stopped' ->> 'high')::double precision as stopped_mean_r_high,
    (gate.content -> 'passed' ->> 'value')::double precision as passed_mean_r,
    (gate.content ->> 'saved_r')::double precision as saved_r,
    (reports.content -> 'sharpe' ->> 'probability')::double precision as deflated_sharpe
from {{ ref('stg_gate_reports') }} as reports
cross join lateral jsonb_array_elements(reports.content -> 'gates') as gate (content)
