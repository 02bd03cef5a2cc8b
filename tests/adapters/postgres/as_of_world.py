"""Ten days of six traders, written straight into the tables: what the assets and the stream would have stored."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import history_store, leaderboard_store
from sigmapilot_core.adapters.postgres.bulk import write_dicts
from sigmapilot_core.adapters.postgres.schema.model import history_episodes, position_signals
from sigmapilot_core.domain.venue import LeaderboardRow, LeaderboardWindow

FIRST = date(2026, 3, 1)
DAYS = 10
TRADERS = tuple(f"0x{number:040x}" for number in range(1, 7))
DEAD, VANISHED = TRADERS[4], TRADERS[5]


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def moment(number: int, hour: float = 0.5) -> datetime:
    """An instant of a day of the world."""
    return datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(days=number, hours=hour)


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def board_row(user: str, value: float = 300_000.0, pnl: float = 60_000.0) -> LeaderboardRow:
    """A row that passes filters 1-4 unless told."""
    window = LeaderboardWindow(pnl, pnl / 300_000, 1_000_000.0)
    return LeaderboardRow(user, value, dict.fromkeys(("day", "week", "month", "allTime"), window))


def board(number: int) -> list[LeaderboardRow]:
    """One trader loses 90 % on the fifth day and recovers on the seventh, one is not listed from the sixth on."""
    rows = [board_row(user, 300_000.0 + 1_000 * i + 10 * number) for i, user in enumerate(TRADERS[:4])]
    rows.append(board_row(DEAD, 30_000.0 if number in (5, 6) else 300_000.0))
    return rows if number >= 6 else [*rows, board_row(VANISHED)]


def facts(user: str, at: datetime, orders: float | None = 20.0) -> history_store.TraderFacts:
    return history_store.TraderFacts(user, at, orders, False, True, 10, moment(-20), at - timedelta(hours=1))


def episode(user: str, number: int, r: float, known_at: datetime, hours: float = 4.0, **more: Any) -> dict[str, Any]:
    """A closed learnable episode of a day; `hours` is how long it lasted, ending at 12:00."""
    closed = moment(number, 12.0)
    return {
        "id": f"{user}:{number}:{r}:{ms(known_at)}",
        "address": user,
        "asset": "BTC",
        "direction": "long",
        "status": "closed",
        "entry_ts": closed - timedelta(hours=hours),
        "exit_ts": closed,
        "size": 1,
        "fees_usd": 0,
        "fees_estimated": False,
        "stop_fraction": 0.01,
        "risk_usd": 1.0,
        "r_gross": max(-2.0, min(2.0, r)),
        "r_gross_unclamped": r,
        "result_r": max(-2.0, min(2.0, r)),
        "result_r_unclamped": r,
        "closed_reason": "full_close",
        "gap": False,
        "first_seen_mid_life": False,
        "learnable": True,
        "source": "backfill",
        "known_since_ms": ms(known_at),
        "entry_fill_count": 1,
        "exit_fill_count": 1,
        "add_count": 0,
    } | more


def store_episodes(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    write_dicts(connection, table, rows, "update")


def store_world(connection: sa.Connection, until: int = DAYS) -> None:
    """Days 0 to `until`, each as it would have been stored on that day."""
    for number in range(until):
        leaderboard_store.store_leaderboard(connection, day(number), moment(number), board(number))
        for i, user in enumerate(TRADERS):
            history_store.store_facts(connection, facts(user, moment(number, 0.75)))
            r = 0.3 + 0.05 * i + (0.4 if number % 2 else -0.4)
            table = position_signals if i % 2 else history_episodes
            store_episodes(connection, table, [episode(user, number, r, moment(number, 12.1))])
