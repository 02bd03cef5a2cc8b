"""The alpha pool: who may vote, what is believed of each, and how far learning is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import streamlit as st

from sigmapilot_core.adapters.postgres import queries_traders
from sigmapilot_core.adapters.postgres.queries import Row, feed_now
from sigmapilot_ui.status_page import look, words

LEARNT_AT = 10  # eligible traders with enough effective episodes (spec 1.2)


@dataclass(frozen=True, slots=True)
class Data:
    """What the panel shows."""

    now: datetime
    selection: Row | None
    traders: list[Row]
    curves: dict[str, list[Row]]


def load(db: sa.Connection) -> Data:
    """Read it."""
    now, traders = feed_now(db), queries_traders.pool(db)
    curves = queries_traders.pnl_curves(db, [row["address"] for row in traders], now.date())
    return Data(now, queries_traders.newest_selection(db), traders, curves)


def rows(data: Data) -> list[dict[str, Any]]:
    """One line a trader; the curve is the change of its all-time PnL since the first day shown."""
    shown = []
    for row in data.traders:
        curve = [point["value"] for point in data.curves.get(row["address"], [])]
        shown.append(
            {
                "Trader": words.trader(row["address"], row["nickname"]),
                "m": words.signed(row["nig_m"]),
                "κ": words.plain(row["nig_kappa"], 1),
                "σ": words.plain(row["sigma"]),
                "n eff": words.plain(row["n_eff"], 1),
                "Avg R": words.signed(row["avg_r"]),
                "Episodes": row["episode_count"],
                "Vote weight": row["weight"],
                "Rank": row["selection_rank"],
                "Slot": row["slot"],
                "PnL 30 d": words.usd(row["pnl_30d"]),
                "Curve": [value - curve[0] for value in curve],
                "Equity": words.amount(row["account_value"]),
                "Last closed": words.ago(row["last_closed_at"], data.now),
                "Address": row["address"],
            }
        )
    return shown


_COLUMNS = {
    "m": st.column_config.TextColumn(help="posterior mean of the trader's R before costs"),
    "κ": st.column_config.TextColumn(help="confidence in m, in episodes (the prior counts as one)"),
    "σ": st.column_config.TextColumn(help="expected deviation of one R"),
    "n eff": st.column_config.TextColumn(help="closed episodes, older ones counting less"),
    "Avg R": st.column_config.TextColumn(help="plain mean of R after costs"),
    "Vote weight": st.column_config.ProgressColumn(help="κ / (κ + 10)", min_value=0, max_value=1, format="%.2f"),
    "Slot": st.column_config.TextColumn(help="exploit: best draws among the well known; explore: among the others"),
    "Curve": st.column_config.LineChartColumn(help="change of all-time PnL over the stored days"),
    "Address": st.column_config.TextColumn(width="medium"),
}


def learning(ready: int) -> None:
    """How far the first learning is; gone once there is enough."""
    if ready >= LEARNT_AT:
        return
    text = (
        f"Learning: {ready} of {LEARNT_AT} eligible traders have enough effective episodes. Until then the pool is "
        "mostly exploration and signals are rare."
    )
    st.progress(ready / LEARNT_AT, text=text)


def show(data: Data) -> None:
    """Draw the panel."""
    look.heading("Alpha pool")
    if data.selection is None:
        learning(0)
        look.nothing(
            "No pool has been drawn yet. It is drawn after the first leaderboard, its filters and the first histories, "
            "which takes a few minutes after the first start."
        )
        return
    learning(data.selection["learning_count"])
    st.caption(
        f"{words.count(len(data.traders), 'trader')} of {data.selection['eligible_count']:,} eligible, drawn "
        f"{words.ago(data.selection['drawn_at'], data.now)} ({data.selection['reason'] or 'as planned'}), "
        f"version {data.selection['selection_version']} of {data.selection['as_of_date']:%d %b}"
    )
    look.table(rows(data), _COLUMNS, "Traders of the pool, best posterior mean first")
