-- one row a trader, day and filter
select
    filters.as_of_date,
    filters.address,
    verdict.filter_position,
    verdict.filter,
    verdict.verdict
from {{ source('sigmapilot', 'trader_filters') }} as filters
cross join lateral (
    values
        (1, 'month_pnl', filters.month_pnl),
        (2, 'month_roi', filters.month_roi),
        (3, 'account_value', filters.account_value),
        (4, 'week_volume', filters.week_volume),
        (5, 'not_hft', filters.not_hft),
        (6, 'no_sub_accounts', filters.no_sub_accounts),
        (7, 'btc_eth_history', filters.btc_eth_history)
) as verdict (filter_position, filter, verdict)
