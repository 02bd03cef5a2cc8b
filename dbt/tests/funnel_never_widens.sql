-- applying one more filter can only lose traders
select later.as_of_date, later.filter
from {{ ref('mart_filter_funnel') }} as later
inner join {{ ref('mart_filter_funnel') }} as earlier
    on later.as_of_date = earlier.as_of_date and later.filter_position = earlier.filter_position + 1
where later.survivors > earlier.survivors
