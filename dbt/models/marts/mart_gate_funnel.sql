-- grain: day, asset, gate: how many decisions each gate passed, failed or could not judge,
-- and how many reached it with every earlier gate passed
with ordered as (
    select
        *,
        bool_and(verdict = 'pass') over (
            partition by decision_id order by gate_position
            rows between unbounded preceding and 1 preceding
        ) as earlier_passed
    from {{ ref('stg_gate_verdicts') }}
)

select
    decided_on,
    symbol,
    gate_position,
    gate,
    count(*) as decisions,
    count(*) filter (where verdict = 'pass') as passed,
    count(*) filter (where verdict = 'fail') as failed,
    count(*) filter (where verdict = 'unknown') as not_known,
    count(*) filter (where coalesce(earlier_passed, true)) as reached,
    count(*) filter (where coalesce(earlier_passed, true) and verdict = 'pass') as survived
from ordered
group by decided_on, symbol, gate_position, gate
