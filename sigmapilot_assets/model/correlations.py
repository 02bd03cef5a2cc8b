"""How much the members of the pool act alike (spec 1.7)."""

import dagster as dg
import numpy as np
import sqlalchemy as sa

from sigmapilot_assets.metadata import preview_table
from sigmapilot_assets.platform import Platform
from sigmapilot_assets.sensors import raise_alert
from sigmapilot_core.adapters.postgres import history_store, trader_store
from sigmapilot_core.domain.params import MINUTE_MS
from sigmapilot_core.domain.traders.correlation import (
    DefaultRho,
    PairCorrelation,
    correlation_table,
    default_rho,
    window_ms,
)


@dg.asset(
    name="model_traders__correlations",
    group_name="model",
    owners=["team:research"],
    kinds={"python", "scipy", "postgres"},
    deps=["model_traders__pool", "raw_hyperliquid__fills_history", "stream_fills"],
    check_specs=[
        dg.AssetCheckSpec("rho_is_in_range", asset="model_traders__correlations", blocking=True),
        dg.AssetCheckSpec("rho0_is_below_its_limit", asset="model_traders__correlations"),
    ],
)
def correlations(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """Cosine of the acts of every pair of the pool over 30 days; pairs with too few acts are unknown, not 0."""
    with platform.transaction() as connection:
        pairs = _measure(connection, platform)
        trader_store.store_correlations(connection, platform.today(), pairs, platform.now())
        rho0 = default_rho(pairs, platform.params.correlation)
        if rho0.is_limited:
            raise_alert(
                connection,
                alert_id=f"rho0:{platform.today()}",
                kind="rho0_at_limit",
                severity="warning",
                message=f"mean correlation of the pool reaches the limit {rho0.value:.2f}: three voters may not pass",
                at=platform.now(),
            )
    return dg.MaterializeResult(metadata=_metadata(pairs, rho0), check_results=_checks(pairs, rho0))


def _measure(connection: sa.Connection, platform: Platform) -> tuple[PairCorrelation, ...]:
    selection = trader_store.newest_selection(connection)
    if selection is None:
        raise dg.Failure("no pool was drawn yet; materialise model_traders__pool first")
    members = [row["address"] for row in trader_store.pool_members(connection, selection["selection_version"])]
    params = platform.params.correlation
    as_of_ms = platform.clock.now_ms()
    since, until = window_ms(as_of_ms, params)
    bucket_ms = params.bucket_minutes * MINUTE_MS
    acts = history_store.bucketed_notionals(connection, members, since, until, bucket_ms)
    table = correlation_table(
        [act.address for act in acts],
        [act.coin for act in acts],
        # a bucket that began before the window keeps the acts inside it
        np.array([max(act.bucket * bucket_ms, since) for act in acts], dtype=np.int64),
        np.array([act.signed_notional for act in acts], dtype=np.float64),
        members,
        as_of_ms,
        params,
    )
    return table.pairs()


def _metadata(pairs: tuple[PairCorrelation, ...], rho0: DefaultRho) -> dict[str, dg.MetadataValue | int | float]:
    measured = [pair for pair in pairs if pair.rho is not None]
    highest = sorted(measured, key=lambda pair: -(pair.rho or 0.0))[:10]
    return {
        "dagster/row_count": len(pairs),
        "measured_pairs": len(measured),
        "rho0": rho0.value,
        "highest": preview_table(
            ["addr_a", "addr_b", "rho", "buckets"], [[p.addr_a, p.addr_b, p.rho, p.n_buckets] for p in highest]
        ),
    }


def _checks(pairs: tuple[PairCorrelation, ...], rho0: DefaultRho) -> list[dg.AssetCheckResult]:
    in_range = all(pair.rho is None or 0.0 <= pair.rho <= 1.0 + 1e-12 for pair in pairs)
    return [
        dg.AssetCheckResult(check_name="rho_is_in_range", passed=in_range),
        dg.AssetCheckResult(
            check_name="rho0_is_below_its_limit",
            passed=not rho0.is_limited,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"rho0": rho0.value, "measured_pairs": rho0.n_measured},
        ),
    ]
