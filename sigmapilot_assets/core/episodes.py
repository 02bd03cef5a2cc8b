"""Episodes of fetched histories, with R over the stop in force when each opened (spec 1.3)."""

import dagster as dg
import sqlalchemy as sa

from sigmapilot_assets.core.histories_fold import FoldRules, folded_histories
from sigmapilot_assets.market_data import known_sizes, read_stop_series
from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres.episode_store import replace_history_episodes
from sigmapilot_core.domain.traders.episode import Episode

_BATCH = 200


@dg.asset(
    name="core_traders__episodes",
    group_name="core",
    owners=["team:research"],
    kinds={"python", "postgres"},
    deps=["raw_hyperliquid__fills_history", "raw_hyperliquid__candles", "raw_hyperliquid__market"],
    check_specs=[dg.AssetCheckSpec("r_is_in_range", asset="core_traders__episodes", blocking=True)],
)
def episodes(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Fold every fetched history into episodes; those with a gap or first seen mid-life are kept, not learnt from."""
    until_ms = platform.clock.now_ms()
    total, learnable, gaps = 0, 0, 0
    with platform.transaction() as connection:
        rules = FoldRules(
            known_sizes(connection), read_stop_series(connection, platform.params), until_ms, platform.params.episodes
        )
        users: list[str] = []
        built: list[Episode] = []
        for found in folded_histories(connection, rules):
            users.append(found.user)
            built += found.episodes
            gaps += found.gap_count
            learnable += sum(episode.learnable for episode in found.episodes)
        total = _store(connection, users, built)
    context.log.info("%d episodes of %d traders, %d gaps", total, len(users), gaps)
    bad = [e.id for e in built if e.r_gross is not None and not -2.0 <= e.r_gross <= 2.0]
    return dg.MaterializeResult(
        metadata={"dagster/row_count": total, "learnable": learnable, "gaps": gaps, "traders": len(users)},
        check_results=[
            dg.AssetCheckResult(check_name="r_is_in_range", passed=not bad, metadata={"out_of_range": len(bad)})
        ],
    )


def _store(connection: sa.Connection, users: list[str], built: list[Episode]) -> int:
    by_user: dict[str, list[Episode]] = {user: [] for user in users}
    for episode in built:
        by_user[episode.user].append(episode)
    total = 0
    for start in range(0, len(users), _BATCH):
        batch = users[start : start + _BATCH]
        total += replace_history_episodes(connection, batch, [e for user in batch for e in by_user[user]])
    return total
