"""Regime, volatility and stop of every asset."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import altair as alt
import polars as pl
import sqlalchemy as sa
import streamlit as st

from sigmapilot_core.adapters.postgres import queries_market
from sigmapilot_core.adapters.postgres.queries import Row, feed_now
from sigmapilot_core.domain.market.regime import EFFECTS, Regime
from sigmapilot_core.domain.params import MAJORS
from sigmapilot_ui.status_page import look, words

CHART_DAYS = 3
_SOURCES = {"atr": "✓ ATR", "realised_vol": "! realised volatility", "fallback": "✗ fallback"}


@dataclass(frozen=True, slots=True)
class Data:
    """What the panel shows."""

    now: datetime
    volatility: list[Row]
    costs: dict[str, Row]
    closes: dict[str, list[Row]]


def load(db: sa.Connection) -> Data:
    """Read it."""
    now = feed_now(db)
    since = now - timedelta(days=CHART_DAYS)
    return Data(
        now,
        queries_market.volatilities(db),
        {row["asset"]: row for row in queries_market.costs(db)},
        {asset: queries_market.hourly_closes(db, asset, since) for asset in MAJORS},
    )


def _tile(asset: str, row: Row | None) -> str:
    if row is None:
        return look.tile(asset, "unknown", "no candles yet")
    effects = EFFECTS[Regime(row["regime"])]
    remark = (
        f"confidence {words.percent(row['regime_confidence'])}; stop × {effects.stop_factor:g}, Kelly × "
        f"{effects.kelly_factor:g}, asked confidence + {100 * effects.confidence_addition:g} points"
    )
    return look.tile(asset, row["regime"], remark)


def rows(data: Data) -> list[dict[str, Any]]:
    """One line an asset, BTC and ETH first."""
    ordered = sorted(data.volatility, key=lambda row: (row["asset"] not in MAJORS, row["asset"]))
    return [
        {
            "Asset": row["asset"],
            "Regime": row["regime"],
            "Confidence": words.percent(row["regime_confidence"]),
            "Stop": words.percent(row["stop_fraction"], 2),
            "Source": _SOURCES.get(row["source"], row["source"]),
            "ATR percentile": words.percent(row["atr_percentile"]),
            "Spread of averages": words.signed(_times(row["regime_detail"].get("ma_spread"), 100), 2, " %"),
            "Volatility ratio": words.plain(row["regime_detail"].get("volatility_ratio")),
            "Funding an hour": words.signed(
                _times(data.costs.get(row["asset"], {}).get("funding_rate_hourly"), 1e4), 3, " bps"
            ),
            "Funding of": words.ago(data.costs.get(row["asset"], {}).get("funding_as_of"), data.now),
            "Fee": _fee(data.costs.get(row["asset"], {})),
            "Holding": _holding(data.costs.get(row["asset"], {})),
            "Computed": words.ago(row["computed_at"], data.now),
        }
        for row in ordered
    ]


def _fee(cost: Row) -> str:
    """Taker rate and whose it is."""
    whose = {"account": " (own)", "base_tier": " (base tier)"}.get(cost.get("fee_source", ""), "")
    return words.plain(cost.get("taker_fee_bps"), 2, " bps") + whose


def _holding(cost: Row) -> str:
    """Expected hours, and how many episodes they rest on."""
    shown = words.plain(cost.get("hold_hours"), 1, " h")
    if cost.get("hold_source") == "episodes":
        return f"{shown} ({cost['hold_episodes']} episodes)"
    return shown if shown == words.UNKNOWN else f"{shown} (assumed, {cost['hold_episodes']} episodes)"


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def price_chart(asset: str, closes: list[Row]) -> alt.Chart:
    """Hourly closes of one asset."""
    return (
        alt.Chart(pl.DataFrame(closes), title=f"{asset}, hourly closes")
        .mark_line(color=look.CALM)
        .encode(
            x=look.utc_axis("open_ts"),
            y=alt.Y("close:Q", title=None, scale=alt.Scale(zero=False)),
            tooltip=["open_ts:T", "close"],
        )
        .properties(height=190)
    )


def show(data: Data) -> None:
    """Draw the panel."""
    look.heading("Regimes and stops")
    if not data.volatility:
        look.nothing("No candles have been read yet; volatility and regimes are computed every 5 minutes.")
        return
    found = {row["asset"]: row for row in data.volatility}
    look.strip(_tile(asset, found.get(asset)) for asset in MAJORS)
    look.table(rows(data), alt_text="Regime, stop and volatility of every asset")
    drawn = {asset: closes for asset, closes in data.closes.items() if len(closes) > 1}
    if drawn:
        for place, (asset, closes) in zip(st.columns(len(drawn), gap="medium"), drawn.items(), strict=True):
            with place:
                look.chart(price_chart(asset, closes), f"{asset} over the last {CHART_DAYS} days")
