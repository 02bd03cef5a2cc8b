"""Regimes of the assets, and what they change."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fastapi import APIRouter, HTTPException

from sigmapilot_core.adapters.postgres import queries_market
from sigmapilot_core.adapters.postgres.queries import Row
from sigmapilot_core.domain.market.regime import EFFECTS, Regime
from sigmapilot_core.domain.params import MAJORS
from sigmapilot_ui.api.context import Db, Shared

router = APIRouter(tags=["market"])


def _params(regime: Regime) -> Row:
    effects = EFFECTS[regime]
    return {
        "stop_multiplier": effects.stop_factor,
        "kelly_multiplier": effects.kelly_factor,
        "min_confidence_adjustment": effects.confidence_addition,
    }


def _regime(asset: str, row: Row | None) -> Row:
    """Regime of an asset with its parameters; without a row it is unknown, with the parameters of unknown."""
    if row is None:
        nothing: Row = {"regime": Regime.UNKNOWN.value, "confidence": None, "signals": {}, "computed_at": None}
        return {"asset": asset, **nothing, "params": _params(Regime.UNKNOWN), "volatility": None, "candles_used": None}
    detail = row["regime_detail"] or {}
    shown = ("source", "atr", "price", "stop_fraction", "atr_percentile", "bar_close_at")
    return {
        "asset": asset,
        "regime": row["regime"],
        "confidence": row["regime_confidence"],
        "params": _params(Regime(row["regime"])),
        "signals": detail,
        "candles_used": detail.get("bars_used"),
        "volatility": {name: row[name] for name in shown},
        "computed_at": row["computed_at"],
    }


def _by_asset(db: Db) -> dict[str, Row]:
    found = {row["asset"]: row for row in queries_market.volatilities(db)}
    names = [*MAJORS, *sorted(found.keys() - set(MAJORS))]
    return {asset: _regime(asset, found.get(asset)) for asset in names}


@router.get("/regime")
def regimes(db: Db) -> dict[str, Any]:
    """BTC, ETH and every other asset with its regime, confidence and parameters; `summary` counts BTC and ETH."""
    assets = _by_asset(db)
    counts = Counter(assets[asset]["regime"] for asset in MAJORS)
    regime, agreeing = counts.most_common(1)[0]
    return {
        **assets,
        "summary": {
            "consensus_regime": regime if agreeing == len(MAJORS) else "mixed",
            **{f"assets_{name.value}": counts.get(name.value, 0) for name in Regime},
        },
    }


@router.get("/regime/params")
def regime_params(shared: Shared) -> dict[str, Any]:
    """What each regime changes, and the thresholds that tell them apart."""
    thresholds = shared.config.params.regime
    return {
        "regimes": {regime.value: _params(regime) for regime in Regime},
        "thresholds": {
            "timeframe": thresholds.timeframe,
            "trend_threshold": thresholds.trend_threshold,
            "volatility_high_mult": thresholds.volatility_high_mult,
            "min_bars": thresholds.min_bars,
        },
    }


@router.get("/regime/{asset}")
def regime(db: Db, asset: str) -> dict[str, Any]:
    """Regime of one asset."""
    assets = _by_asset(db)
    found = assets.get(asset) or assets.get(asset.upper())
    if found is None:
        raise HTTPException(404, f"No regime is known of {asset!r}; known: {', '.join(assets)}.")
    return found
