-- grain: report, series, bin: said probability beside the share that won
select
    reports.computed_at,
    series.name as series,
    points.position as bin,
    (points.point ->> 'estimated')::double precision as estimated,
    (points.point ->> 'realised')::double precision as realised,
    (points.point ->> 'n')::integer as decisions
from {{ ref('stg_calibration_reports') }} as reports
cross join (values ('raw'), ('mapped')) as series (name)
-- a report without outcomes holds null in place of a score
cross join lateral jsonb_array_elements(
    case when jsonb_typeof(reports.content -> series.name) = 'object' then reports.content -> series.name -> 'curve' end
) with ordinality as points (point, position)
