"""Volatility, stops and regime of every liquid asset (spec 5)."""

import json
from datetime import timedelta
from typing import Any

import dagster as dg

from sigmapilot_assets.metadata import preview_table
from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import market_store
from sigmapilot_core.adapters.postgres.instants import at
from sigmapilot_core.adapters.postgres.schema.model import asset_volatility
from sigmapilot_core.domain.events import Bar
from sigmapilot_core.domain.market.regime import RegimeEstimate, estimate_regime
from sigmapilot_core.domain.market.volatility import VolatilityEstimate, VolatilitySource, estimate_volatility

_BARS = timedelta(hours=520)
_KEEP = timedelta(days=30)


@dg.asset(
    name="model_market__volatility",
    group_name="model",
    owners=["team:research"],
    kinds={"python", "postgres"},
    deps=["raw_hyperliquid__candles", "raw_hyperliquid__market"],
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=1), warn_window=timedelta(minutes=15)),
    check_specs=[dg.AssetCheckSpec("stops_rest_on_data", asset="model_market__volatility")],
)
def volatility(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
    """ATR, stop fraction, ATR percentile and regime of each coin, each with its source and the bar it rests on.

    A coin without candles still gets a row: its stop is the last fallback and is marked so.
    """
    now, now_ms = platform.now(), platform.clock.now_ms()
    rows: list[dict[str, Any]] = []
    with platform.transaction() as connection:
        for asset in market_store.read_universe(connection):
            if asset["is_delisted"]:
                continue
            bars: list[Bar] = market_store.read_hourly(connection, asset["coin"], now - _BARS)
            estimate = estimate_volatility(asset["coin"], bars, now_ms, platform.params.volatility)
            regime = estimate_regime(asset["coin"], bars, now_ms, platform.params.regime)
            rows.append(_row(estimate, regime))
        market_store.store_volatility(connection, rows)
        market_store.prune(connection, asset_volatility, now, _KEEP)
    guessed = [row["asset"] for row in rows if row["source"] == VolatilitySource.FALLBACK.value]
    columns = ["asset", "stop_fraction", "atr_percentile", "source", "regime", "regime_confidence"]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(rows),
            "on_fallback": len(guessed),
            "preview": preview_table(columns, [[row[name] for name in columns] for row in rows[:15]]),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="stops_rest_on_data",
                passed=not guessed,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"on_fallback": ", ".join(guessed[:20]) or "none"},
            )
        ],
    )


def _row(estimate: VolatilityEstimate, regime: RegimeEstimate) -> dict[str, Any]:
    return {
        "asset": estimate.coin,
        "computed_at": at(estimate.computed_at_ms),
        "bar_close_at": None if estimate.bar_close_ms is None else at(estimate.bar_close_ms),
        "atr": estimate.atr,
        "price": estimate.price,
        "atr_fraction": estimate.atr_fraction,
        "stop_fraction": estimate.stop_fraction,
        "atr_percentile": estimate.percentile,
        "source": estimate.source.value,
        "regime": regime.regime.value,
        "regime_confidence": regime.confidence,
        "regime_detail": _detail(regime),
    }


def _detail(regime: RegimeEstimate) -> str:
    return json.dumps(
        {
            "ma_spread": regime.ma_spread,
            "volatility_ratio": regime.volatility_ratio,
            "bars_used": regime.bars_used,
            "bar_close_ms": regime.bar_close_ms,
            "reason": regime.reason,
        }
    )
