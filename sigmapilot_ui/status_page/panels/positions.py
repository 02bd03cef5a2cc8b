"""Own open positions and equity: paper unless a person switched execution on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import altair as alt
import polars as pl
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import queries_execution
from sigmapilot_core.adapters.postgres.queries import Row, feed_now
from sigmapilot_ui.status_page import look, words


@dataclass(frozen=True, slots=True)
class Data:
    """What the panel shows."""

    now: datetime
    config: Row | None
    positions: list[Row]
    accounts: list[Row]
    curve: list[Row]
    today: Row | None


def load(db: sa.Connection) -> Data:
    """Read it."""
    now = feed_now(db)
    return Data(
        now,
        queries_execution.config(db),
        queries_execution.positions(db),
        queries_execution.accounts(db),
        queries_execution.account_curve(db, now - timedelta(days=7)),
        queries_execution.today(db),
    )


def rows(data: Data) -> list[dict[str, Any]]:
    """One line a position."""
    return [
        {
            "Asset": row["symbol"],
            "Side": words.side(row["side"]),
            "PnL": words.usd(row["unrealized_pnl"], 2),
            "Funding": words.usd(row["funding_usd"], 2),
            "Size": words.plain(row["size"], 4),
            "Entry": words.price(row["entry_price"]),
            "Mark": words.price(row["mark_price"]),
            "Stop": words.price(row["stop_price"]),
            "Target": words.price(row["take_profit_price"]),
            "Open for": words.span((data.now - row["opened_at"]).total_seconds()),
            "Closes at the latest": words.instant(row["timeout_at"]),
            "Venue": row["exchange"],
            "Decision": row["decision_id"],
        }
        for row in data.positions
    ]


def equity_chart(curve: list[Row]) -> alt.Chart:
    """Account value of the last days, one line a venue."""
    return (
        alt.Chart(pl.DataFrame(curve))
        .mark_line(interpolate="step-after")
        .encode(
            x=look.utc_axis("ts"),
            y=alt.Y("account_value:Q", title="account value, USD", scale=alt.Scale(zero=False)),
            color=alt.Color("exchange:N", legend=alt.Legend(orient="top", title=None)),
            tooltip=["exchange", "ts:T", "account_value"],
        )
        .properties(height=180)
    )


def _tiles(data: Data) -> list[str]:
    equity = sum(row["account_value"] for row in data.accounts) if data.accounts else None
    open_pnl = sum(row["unrealized_pnl"] or 0.0 for row in data.positions)
    unknown = sum(row["unrealized_pnl"] is None for row in data.positions)
    exposure = sum(row["exposure_usd"] for row in data.accounts) if data.accounts else None
    live = data.config is not None and data.config["enabled"]
    today = data.today["pnl"] if data.today else None
    return [
        look.tile("Equity", words.amount(equity, 2), "real orders" if live else "paper: no order leaves this machine"),
        look.tile("Today", words.usd(today, 2), "since 00:00 UTC", "bad" if (today or 0) < 0 else ""),
        look.tile(
            "Open PnL",
            words.usd(open_pnl, 2),
            f"{unknown} without a mark" if unknown else words.count(len(data.positions), "open position"),
            "bad" if open_pnl < 0 else "",
        ),
        look.tile(
            "Exposure",
            words.amount(exposure),
            words.percent(exposure / equity if equity and exposure is not None else None, 1),
        ),
    ]


def show(data: Data) -> None:
    """Draw the panel."""
    look.heading("Own positions")
    look.strip(_tiles(data))
    if data.positions:
        look.table(rows(data), alt_text="Open positions")
    else:
        look.nothing("No open position. One is opened when a signal passes every risk check.")
    if len(data.curve) > 1:
        look.chart(equity_chart(data.curve), "Account value over the last 7 days")
