-- a signal that a gate failed, or could not judge, is a defect
select decision_id, gate, verdict
from {{ ref('stg_gate_verdicts') }}
where decision_type = 'signal' and verdict <> 'pass'
