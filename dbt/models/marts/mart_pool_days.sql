-- grain: day, draw (version 0 is the whole day): what the pool is made of and why, what changed since the draw before
-- of the same chain, and what became of everyone who was ever followed, the dead included
with composition as (
    select
        as_of_date,
        selection_version,
        count(*) as members,
        count(*) filter (where slot = 'explore') as exploring,
        count(*) filter (where why = 'well_known') as well_known,
        count(*) filter (where why = 'few_episodes') as few_episodes,
        count(*) filter (where why = 'facts_unknown') as facts_unknown,
        count(*) filter (where why = 'spilled') as spilled
    from {{ ref('stg_pool_members') }}
    group by as_of_date, selection_version
),

changes as (
    select
        coalesce(now.chain, before.chain) as chain,
        coalesce(now.draw_number, before.draw_number + 1) as draw_number,
        count(*) filter (where before.address is null) as entered,
        count(*) filter (where now.address is null) as gone
    from {{ ref('stg_pool_members') }} as now
    full outer join {{ ref('stg_pool_members') }} as before
        on
            now.chain = before.chain
            and now.draw_number = before.draw_number + 1
            and now.address = before.address
    group by 1, 2
),

traders as (
    select
        as_of_date,
        selection_version,
        count(*) as followed,
        count(*) filter (where event_type = 'death') as dead,
        count(*) filter (where event_type = 'censored') as censored,
        count(*) filter (where fdr_qualified) as skilled,
        sum(avg_r_net * episode_count) / nullif(sum(episode_count) filter (where avg_r_net is not null), 0) as mean_r,
        sum(avg_r_net * episode_count) filter (where event_type not in ('death', 'censored'))
        / nullif(
            sum(episode_count) filter (where avg_r_net is not null and event_type not in ('death', 'censored')), 0
        ) as mean_r_of_survivors
    from {{ ref('stg_trader_days') }}
    group by as_of_date, selection_version
)

select
    draws.as_of_date,
    draws.selection_version,
    draws.chain,
    draws.drawn_at,
    draws.eligible_count,
    draws.learning_count,
    coalesce(composition.members, 0) as members,
    coalesce(composition.exploring, 0) as exploring,
    composition.exploring::float / nullif(composition.members, 0) as exploration_share,
    coalesce(composition.well_known, 0) as well_known,
    coalesce(composition.few_episodes, 0) as few_episodes,
    coalesce(composition.facts_unknown, 0) as facts_unknown,
    coalesce(composition.spilled, 0) as spilled,
    coalesce(changes.entered, 0) as entered,
    coalesce(changes.gone, 0) as gone,
    changes.entered::float / nullif(composition.members, 0) as turnover,
    coalesce(traders.followed, 0) as followed,
    coalesce(traders.dead, 0) as dead,
    coalesce(traders.censored, 0) as censored,
    coalesce(traders.skilled, 0) as skilled,
    traders.mean_r,
    traders.mean_r_of_survivors,
    draws.reason
from {{ ref('stg_pool_draws') }} as draws
left join composition
    on draws.as_of_date = composition.as_of_date and draws.selection_version = composition.selection_version
left join changes on draws.chain = changes.chain and draws.draw_number = changes.draw_number
left join traders on draws.as_of_date = traders.as_of_date and draws.selection_version = traders.selection_version
