-- one row a decision and gate; a gate that could not be judged is 'unknown'
select
    decision.decision_id,
    decision.decided_on,
    decision.symbol,
    decision.direction,
    decision.decision_type,
    gate.ordinality::int as gate_position,
    gate.value ->> 'name' as gate,
    case gate.value ->> 'passed' when 'true' then 'pass' when 'false' then 'fail' else 'unknown' end as verdict
from {{ ref('stg_decisions') }} as decision
cross join lateral jsonb_array_elements(decision.gates) with ordinality as gate (value, ordinality)
