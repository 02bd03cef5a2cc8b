{{ config(meta={'dagster': {'ref': {'name': 'mart_calibration_curve'}}}) }}
-- bins of a reliability curve part the scored decisions: none twice, none left out
select scores.computed_at, scores.series, scores.decisions, sum(curve.decisions) as in_bins
from {{ ref('mart_calibration_scores') }} as scores
left join {{ ref('mart_calibration_curve') }} as curve
    on scores.computed_at = curve.computed_at and scores.series = curve.series
group by scores.computed_at, scores.series, scores.decisions
having scores.decisions <> coalesce(sum(curve.decisions), 0)
