"""The pool by day: how much of it explores, what changed and why, and what became of everyone followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import queries_pool
from sigmapilot_core.adapters.postgres.queries import Row
from sigmapilot_ui.status_page import look, words


@dataclass(frozen=True, slots=True)
class Data:
    """What the panel shows."""

    days: list[Row]


def load(db: sa.Connection) -> Data:
    """Read it."""
    return Data(queries_pool.pool_days(db))


def table(data: Data) -> list[dict[str, Any]]:
    """One line a draw; the means of R are of everyone followed, and of those still alive and seen."""
    return [
        {
            "Day": f"{row['as_of_date']:%d %b}",
            "Draw": "whole day" if row["chain"] == "whole_day" else f"live {row['selection_version']}",
            "Members": row["members"],
            "Exploring": "" if row["exploration_share"] is None else f"{row['exploration_share']:.0%}",
            "In": row["entered"],
            "Out": row["gone"],
            "Why": _why(row),
            "Followed": row["followed"],
            "Dead": row["dead"],
            "Unseen": row["censored"],
            "Mean R": words.signed(row["mean_r"]),
            "of survivors": words.signed(row["mean_r_of_survivors"]),
        }
        for row in data.days
    ]


def _why(row: Row) -> str:
    parts = {
        "well known": row["well_known"],
        "few episodes": row["few_episodes"],
        "facts unknown": row["facts_unknown"],
        "spilled": row["spilled"],
    }
    return ", ".join(f"{count} {name}" for name, count in parts.items() if count)


def show(data: Data) -> None:
    """Draw the panel."""
    look.heading("The pool by day")
    if not data.days:
        look.nothing("The report has not been made yet; it follows the draw of the pool.")
        return
    look.table(table(data))
    said = (
        "Mean R counts everyone ever followed, the dead and the unseen included; beside it what survivors alone show."
    )
    look.draw(f'<div class="sp-small">{look.span(said)}</div>')
