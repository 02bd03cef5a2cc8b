-- a report on the gates holds all seven, each once, with the ends of its interval in order
select computed_at, count(*) as rows, count(distinct gate) as gates
from {{ ref('mart_gate_worth') }}
group by computed_at
having count(*) <> 7 or count(distinct gate) <> 7 or bool_or(stopped_mean_r_low > stopped_mean_r_high)
