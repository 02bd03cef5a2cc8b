-- grain: day, asset: decisions by type beside the outcomes that closed that day
with decisions as (
    select
        decided_on as day,
        symbol,
        count(*) as decisions,
        count(*) filter (where decision_type = 'signal') as signals,
        count(*) filter (where decision_type = 'skip') as skipped,
        count(*) filter (where decision_type = 'risk_reject') as risk_rejected
    from {{ ref('stg_decisions') }}
    group by decided_on, symbol
),

outcomes as (
    select
        closed_on as day,
        symbol,
        count(*) as closed,
        count(*) filter (where result_r > 0) as won,
        avg(result_r) as mean_result_r
    from {{ ref('stg_outcomes') }}
    group by closed_on, symbol
)

select
    coalesce(decisions.day, outcomes.day) as day,
    coalesce(decisions.symbol, outcomes.symbol) as symbol,
    coalesce(decisions.decisions, 0) as decisions,
    coalesce(decisions.signals, 0) as signals,
    coalesce(decisions.skipped, 0) as skipped,
    coalesce(decisions.risk_rejected, 0) as risk_rejected,
    coalesce(outcomes.closed, 0) as closed,
    coalesce(outcomes.won, 0) as won,
    outcomes.mean_result_r
from decisions
full outer join outcomes on decisions.day = outcomes.day and decisions.symbol = outcomes.symbol
