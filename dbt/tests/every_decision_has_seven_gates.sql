-- all gates are evaluated every time: a decision with another number of gates is a defect
select decision_id, count(*) as gates
from {{ ref('stg_gate_verdicts') }}
group by decision_id
having count(*) <> 7
