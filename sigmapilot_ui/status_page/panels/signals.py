"""Newest signals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import queries_decisions
from sigmapilot_core.adapters.postgres.queries import Row, feed_now
from sigmapilot_ui.status_page import look, words


@dataclass(frozen=True, slots=True)
class Data:
    """What the panel shows."""

    now: datetime
    signals: list[Row]
    decisions: int


def load(db: sa.Connection) -> Data:
    """Read it."""
    return Data(feed_now(db), queries_decisions.consensus_signal_rows(db, 12), queries_decisions.count_decisions(db))


def state(row: Row) -> str:
    """How a signal stands, in words."""
    if row["result_r"] is None:
        return "● open"
    mark = "✓" if row["result_r"] > 0 else "✗" if row["result_r"] < 0 else "="
    return f"{mark} {words.r_multiple(row['result_r'])}, {(row['outcome'] or 'closed').replace('_', ' ')}"


def rows(data: Data) -> list[dict[str, Any]]:
    """One line a signal."""
    return [
        {
            "When": words.ago(row["created_at"], data.now),
            "Asset": row["symbol"],
            "Side": words.side(row["direction"]),
            "Status": state(row),
            "Entry": words.price(row["entry_price"]),
            "Stop": words.price(row["stop_price"]),
            "Target": words.price(row["take_profit_price"]),
            "Agree": f"{row['n_agreeing']} of {row['n_traders']}",
            "Eff. K": words.plain(row["eff_k"]),
            "p(win)": words.percent(row["p_win"]),
            "Net EV": words.r_multiple(row["ev_net_r"]),
            "Cost": words.plain(row["ev_cost_r"], 2, " R"),
            "Size": words.amount(row["notional_usd"]),
        }
        for row in data.signals
    ]


def show(data: Data) -> None:
    """Draw the panel."""
    look.heading("Newest signals")
    if data.signals:
        look.table(rows(data), alt_text="Newest signals, newest first")
        return
    decided = words.count(data.decisions, "decision")
    so_far = f"No signal among {decided} so far." if data.decisions else "Nothing has been decided yet."
    look.nothing(
        f"{so_far} A signal needs at least three pool traders that act independently in one "
        "direction within two minutes, and an edge that is left after costs. Days without one are normal."
    )
