"""The pool: chosen by Thompson sampling among eligible traders, and the daily row of every trader (spec 1.5, 1.6)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime

import dagster as dg
import sqlalchemy as sa

from sigmapilot_assets.metadata import preview_table
from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import as_of_store, trader_store
from sigmapilot_core.domain.params import BanditParams, Params
from sigmapilot_core.domain.snapshot import PoolFlavour
from sigmapilot_core.domain.traders.day import Knowledge, evaluate_day
from sigmapilot_core.domain.traders.thompson import Crowd

LIMIT_TAG = "sigmapilot/limit"


@dg.asset(
    name="model_traders__pool",
    group_name="model",
    owners=["team:research"],
    kinds={"python", "numpy", "postgres"},
    deps=["core_traders__filters", "model_traders__posteriors"],
    check_specs=[dg.AssetCheckSpec("pool_is_within_its_size", asset="model_traders__pool", blocking=True)],
)
def pool(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Draw a new selection version: posterior draws from the stored key, slots by group, one row a trader and day.

    A run started with `/alpha-pool/refresh?limit=N` carries the tag `sigmapilot/limit` and draws N slots.
    """
    rules = bandit_rules(platform.params.bandit, context.run.tags)
    params = replace(platform.params, bandit=rules)
    recorded = recorded_users(platform)
    with platform.transaction() as connection:
        version = trader_store.next_selection_version(connection)
        known = known_at(connection, platform.now(), None, version, params)
        day = evaluate_day(known, known.leaderboard_day, version, params, recorded)
        as_of_store.store_day(connection, day, known, platform.pool_flavour, params, with_labels=False)
    selection = day.selection
    members = selection.pool
    shown = [[row.address, row.draw, row.rank, row.slot.value if row.slot else "", row.reason] for row in members[:15]]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(members),
            "eligible": len(selection.drawn),
            "selection_version": version,
            "philox_key": selection.key_hex,
            "shrunk_towards": told(selection.crowd),
            "note": selection.reason or "all slots filled as planned",
            "pool": preview_table(["address", "draw", "rank", "slot", "reason"], shown),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="pool_is_within_its_size",
                passed=len(members) <= rules.pool_size,
                metadata={"members": len(members), "size": rules.pool_size},
            )
        ],
    )


def told(crowd: Crowd | None) -> str:
    """What the draws were shrunk towards, for people."""
    return "nothing" if crowd is None else f"{crowd.mean_r:.3f} R, worth {crowd.episodes:.1f} episodes"


def bandit_rules(rules: BanditParams, tags: Mapping[str, str]) -> BanditParams:
    """The settings, with the number of slots the run was asked for.

    Raises:
        Failure: the tag is not a whole number from 10 to 200.
    """
    wanted = tags.get(LIMIT_TAG)
    if wanted is None:
        return rules
    if not wanted.isdecimal() or not 10 <= int(wanted) <= 200:
        raise dg.Failure(f"{LIMIT_TAG} is {wanted!r}; allowed is a whole number from 10 to 200")
    return replace(rules, pool_size=int(wanted))


def known_at(
    connection: sa.Connection, as_of: datetime, selection_date: date | None, version: int, params: Params
) -> Knowledge:
    """Everything known at an instant.

    Raises:
        Failure: no leaderboard was stored by then.
    """
    try:
        return as_of_store.read_knowledge(connection, as_of, selection_date, version, params)
    except as_of_store.NothingKnownError as error:
        raise dg.Failure(f"{error}; materialise raw_hyperliquid__leaderboard first") from error


def recorded_users(platform: Platform) -> frozenset[str] | None:
    """Pool `recording`: the traders that occur in the recording, among whom filters 1-4 choose; otherwise None."""
    if platform.pool_flavour != PoolFlavour.RECORDING.value:
        return None
    with platform.open_venue() as venue:
        return frozenset(venue.recorded_users())
