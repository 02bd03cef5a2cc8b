"""The one thing that crosses from learning to deciding: an immutable, hashed snapshot (spec 1.8)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import sqlalchemy as sa

from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import (
    leaderboard_store,
    market_store,
    pinned_store,
    science_store,
    snapshot_store,
    trader_store,
)
from sigmapilot_core.adapters.postgres.schema.model import asset_costs, asset_volatility, trader_snapshots
from sigmapilot_core.adapters.postgres.schema.stream import ticket_outcomes
from sigmapilot_core.domain.market.costs import HoldEstimate
from sigmapilot_core.domain.market.regime import Regime, RegimeEstimate
from sigmapilot_core.domain.market.volatility import VolatilityEstimate, VolatilitySource
from sigmapilot_core.domain.publication import Step
from sigmapilot_core.domain.snapshot import AssetFigures, FastPart, ModelSnapshot, PoolFlavour, PoolMember, SlowPart
from sigmapilot_core.domain.traders.correlation import default_rho
from sigmapilot_core.domain.traders.filters import tracked_traders
from sigmapilot_core.domain.traders.posterior import Posterior, prior
from sigmapilot_core.domain.venue import LeaderboardRow

_ESTIMATES_NOT_OLDER_THAN = timedelta(days=2)
BEHIND_SLOW = (
    "raw_hyperliquid__leaderboard",
    "raw_hyperliquid__fills_history",
    "core_traders__filters",
    "core_traders__episodes",
    "model_traders__posteriors",
    "model_traders__skill",
    "model_traders__pool",
    "model_traders__correlations",
)
BEHIND_FAST = ("raw_hyperliquid__market", "raw_hyperliquid__candles", "model_market__volatility", "model_market__costs")


@dg.asset(
    name="out_stream__snapshot",
    group_name="out",
    owners=["team:research"],
    kinds={"python", "postgres"},
    deps=[
        "model_traders__pool",
        "model_traders__posteriors",
        "model_traders__skill",
        "model_traders__correlations",
        "model_market__volatility",
        "model_market__costs",
        "model_decisions__calibration",
    ],
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=1), warn_window=timedelta(minutes=15)),
    check_specs=[dg.AssetCheckSpec("pool_can_reach_consensus", asset="out_stream__snapshot")],
)
def snapshot(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Publish pool, posteriors, correlations, volatility, regimes and costs: once a minute, and only what is new.

    A draft that comes too early is deferred: the sensor `deferred_snapshot` asks for it again.
    """
    with platform.transaction() as connection:
        weighed = snapshot_store.publish_when_due(connection, build(connection, platform), context.run.run_id)
        version = snapshot_store.newest_version(connection)
        if weighed.step is Step.PUBLISH:
            _note_runs(connection, weighed.snapshot, context)
    draft = weighed.snapshot
    size = len(draft.slow.pool)
    return dg.MaterializeResult(
        metadata={
            "version": version or 0,
            "step": weighed.step.value,
            "hash": draft.hash,
            "pool": size,
            "tracked": len(draft.slow.tracked),
            "rho0": draft.slow.rho0,
            "assets": len(draft.fast.assets),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="pool_can_reach_consensus",
                passed=size >= platform.params.consensus.min_traders,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"pool": size, "needed": platform.params.consensus.min_traders},
            )
        ],
    )


def _note_runs(connection: sa.Connection, made: ModelSnapshot, context: dg.AssetExecutionContext) -> None:
    """Which runs made what each part holds: an auditor follows a decision's snapshot back to them."""
    for part, version, assets in (
        ("slow", made.slow_version, BEHIND_SLOW),
        ("fast", made.fast_version, BEHIND_FAST),
    ):
        events = context.instance.get_latest_materialization_events([dg.AssetKey(name) for name in assets])
        runs = {
            key.to_user_string(): (event.run_id, datetime.fromtimestamp(event.timestamp, UTC))
            for key, event in events.items()
            if event is not None
        }
        own = {"out_stream__snapshot": (context.run.run_id, datetime.fromtimestamp(made.published_at_ms / 1000, UTC))}
        snapshot_store.store_runs(connection, part, version, runs | own)


def build(connection: sa.Connection, platform: Platform) -> ModelSnapshot:
    """The snapshot of what is stored now, not yet versioned."""
    return ModelSnapshot(
        version=0,
        slow_version=0,
        fast_version=0,
        mode=platform.mode,
        pool_flavour=PoolFlavour(platform.pool_flavour),
        slow=_slow(connection, platform),
        fast=_fast(connection, platform),
        settings=platform.params,
        published_at_ms=platform.clock.now_ms(),
    )


def _slow(connection: sa.Connection, platform: Platform) -> SlowPart:
    selection = trader_store.newest_selection(connection)
    if selection is None:
        raise dg.Failure("no pool was drawn yet; materialise model_traders__pool first")
    members = trader_store.pool_members(connection, selection["selection_version"])
    day = leaderboard_store.newest_day(connection, platform.today())
    rows = _who_can_act(leaderboard_store.read_leaderboard(connection, day) if day else [], platform)
    pool = [member["address"] for member in members]
    computed_at, pairs = trader_store.newest_correlations(connection)
    held = frozenset(pool)
    of_pool = tuple(pair for pair in pairs if pair.addr_a in held and pair.addr_b in held)
    performance = trader_store.read_performance(connection)
    as_of = [performance[address]["as_of"] for address in pool if address in performance]
    tracked = tracked_traders(rows, pool, pinned_store.pinned_addresses(connection), platform.params.tracking)
    return SlowPart(
        selection_version=selection["selection_version"],
        selected_on=str(selection["as_of_date"]),
        pool=_members(connection, members, performance, selection["selection_version"], platform),
        rho0=default_rho(of_pool, platform.params.correlation).value,
        pairs=tuple(pair for pair in of_pool if pair.rho is not None or pair.phi_common is not None),
        calibration=science_store.newest_maps(connection),
        n_outcomes=connection.execute(sa.select(sa.func.count()).select_from(ticket_outcomes)).scalar_one(),
        hold_hours=_hold_hours(connection, platform),
        tracked=tuple(sorted(tracked)),
        # a pool of which nothing was learnt yet stands on the prior, which does not age
        posterior_as_of_ms=_ms(min(as_of)) if as_of else platform.clock.now_ms(),
        correlation_as_of_ms=_ms(computed_at),
        leaderboard_as_of_ms=_ms(leaderboard_store.fetched_at(connection, day)) if day else None,
    )


def _who_can_act(rows: Sequence[LeaderboardRow], platform: Platform) -> Sequence[LeaderboardRow]:
    """All rows; of a recording those that occur in it: following an account costs a request, and nobody else moves."""
    if platform.pool_flavour != PoolFlavour.RECORDING.value:
        return rows
    with platform.open_venue() as venue:
        recorded = frozenset(venue.recorded_users())
    return [row for row in rows if row.address in recorded]


def _members(
    connection: sa.Connection,
    members: list[dict[str, Any]],
    performance: dict[str, dict[str, Any]],
    version: int,
    platform: Platform,
) -> tuple[PoolMember, ...]:
    table = trader_snapshots
    labels: dict[str, bool | None] = {
        row.address: row.fdr_qualified
        for row in connection.execute(
            sa.select(table.c.address, table.c.fdr_qualified).where(table.c.selection_version == version)
        )
    }
    return tuple(
        PoolMember(
            address=member["address"],
            rank=member["selection_rank"],
            posterior=_posterior(performance.get(member["address"]), platform),
            n_eff=performance.get(member["address"], {}).get("n_eff", 0.0),
            n_episodes=performance.get(member["address"], {}).get("episode_count", 0),
            fdr_qualified=labels.get(member["address"]),
        )
        for member in members
    )


def _posterior(stored: dict[str, Any] | None, platform: Platform) -> Posterior:
    if stored is None:
        return prior(platform.params.posterior)
    return Posterior(stored["nig_m"], stored["nig_kappa"], stored["nig_alpha"], stored["nig_beta"])


def _hold_hours(connection: sa.Connection, platform: Platform) -> dict[str, HoldEstimate]:
    rows = market_store.newest_per_asset(connection, asset_costs, platform.now() - _ESTIMATES_NOT_OLDER_THAN)
    return {row["asset"]: HoldEstimate(row["hold_hours"], row["hold_source"], row["hold_episodes"]) for row in rows}


def _fast(connection: sa.Connection, platform: Platform) -> FastPart:
    not_before = platform.now() - _ESTIMATES_NOT_OLDER_THAN
    volatility = {row["asset"]: row for row in market_store.newest_per_asset(connection, asset_volatility, not_before)}
    costs = {row["asset"]: row for row in market_store.newest_per_asset(connection, asset_costs, not_before)}
    return FastPart(
        {
            asset["coin"]: _figures(asset, volatility.get(asset["coin"]), costs.get(asset["coin"]))
            for asset in market_store.read_universe(connection)
            if not asset["is_delisted"]
        }
    )


def _figures(asset: dict[str, Any], moved: dict[str, Any] | None, cost: dict[str, Any] | None) -> AssetFigures:
    return AssetFigures(
        coin=asset["coin"],
        sz_decimals=asset["sz_decimals"],
        volatility=_volatility(moved) if moved else None,
        regime=_regime(moved) if moved else None,
        funding_rate_hourly=cost["funding_rate_hourly"] if cost else None,
        day_volume_usd=cost["day_volume_usd"] if cost else None,
        taker_fee_bps=cost["taker_fee_bps"] if cost and cost["fee_source"] == "account" else None,
        costs_as_of_ms=_costs_as_of_ms(cost) if cost else None,
    )


def _costs_as_of_ms(cost: dict[str, Any]) -> int | None:
    """The oldest instant behind them: costs computed anew from an old statement of the venue are old."""
    return _ms(min(at for at in (cost["computed_at"], cost["funding_as_of"], cost["fee_as_of"]) if at is not None))


def _volatility(row: dict[str, Any]) -> VolatilityEstimate:
    return VolatilityEstimate(
        coin=row["asset"],
        atr=row["atr"],
        price=row["price"],
        atr_fraction=row["atr_fraction"],
        stop_fraction=row["stop_fraction"],
        percentile=row["atr_percentile"],
        source=VolatilitySource(row["source"]),
        bar_close_ms=_ms(row["bar_close_at"]),
        computed_at_ms=int(row["computed_at"].timestamp() * 1000),
    )


def _regime(row: dict[str, Any]) -> RegimeEstimate:
    detail = row["regime_detail"]
    return RegimeEstimate(
        coin=row["asset"],
        regime=Regime(row["regime"]),
        confidence=row["regime_confidence"],
        ma_spread=detail["ma_spread"],
        volatility_ratio=detail["volatility_ratio"],
        bars_used=detail["bars_used"],
        bar_close_ms=detail["bar_close_ms"],
        computed_at_ms=int(row["computed_at"].timestamp() * 1000),
        reason=detail["reason"],
    )


def _ms(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)
