"""Pinned accounts: always followed, voting only if they are in the pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import pinned_store
from sigmapilot_core.adapters.postgres.queries import Row
from sigmapilot_ui.status_page import look, words


@dataclass(frozen=True, slots=True)
class Data:
    """What the panel shows."""

    accounts: list[Row]


def load(db: sa.Connection) -> Data:
    """Read it."""
    return Data(pinned_store.pinned_accounts(db))


def rows(data: Data) -> list[dict[str, Any]]:
    """One line an account."""
    return [
        {
            "Trader": words.trader(row["address"], row["nickname"]),
            "Kind": "custom" if row["is_custom"] else "leaderboard",
            "Followed": "✓ yes" if row["is_followed"] else "from the next snapshot",
            "Votes": "✓ in the pool" if row["in_pool"] else "no: not in the pool",
            "Filters": words.WORD_MARKS.get(row["eligible"] or "unknown"),
            "n eff": words.plain(row["n_eff"], 1),
            "m": words.signed(row["nig_m"]),
        }
        for row in data.accounts
    ]


def show(data: Data) -> None:
    """Draw the panel; nothing while nobody is pinned."""
    if data.accounts:
        look.heading("Pinned accounts", "always followed; they vote only if they are in the pool")
        look.table(rows(data), alt_text="Pinned accounts")
