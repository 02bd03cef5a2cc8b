"""What is happening now: feed, followed traders, votes in force, the next evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import queries_health, queries_market, queries_traders
from sigmapilot_core.adapters.postgres.queries import Row, feed_now, number
from sigmapilot_ui.status_page import look, words

_ASSETS_NAMED = 6


@dataclass(frozen=True, slots=True)
class Data:
    """What the strip shows."""

    now: datetime
    inputs: dict[str, Row]
    statuses: list[Row]
    tracked: Row
    pool_size: int


def load(db: sa.Connection) -> Data:
    """Read it."""
    return Data(
        feed_now(db),
        queries_health.stream_inputs(db),
        queries_market.asset_statuses(db),
        queries_traders.tracked_counts(db),
        len(queries_traders.pool(db)),
    )


def votes(statuses: list[Row]) -> tuple[str, str]:
    """Votes in force as text, and the remark below."""
    counted = [
        (row["symbol"], int(number(sides.get("long")) or 0), int(number(sides.get("short")) or 0))
        for row in statuses
        for sides in [row["status"].get("votes") or {}]
    ]
    voted = sorted((row for row in counted if row[1] + row[2]), key=lambda row: (-row[1] - row[2], row[0]))
    if not counted:
        return words.UNKNOWN, "no asset has been evaluated yet"
    # no break inside an asset
    named = " · ".join(
        f"{coin}\N{NO-BREAK SPACE}▲{up}\N{NO-BREAK SPACE}▼{down}" for coin, up, down in voted[:_ASSETS_NAMED]
    )
    quiet = len(counted) - len(voted)
    return named or "none", f"{words.count(quiet, 'asset')} without votes" if quiet else "every asset has votes"


def next_evaluation(statuses: list[Row], now: datetime) -> tuple[str, str]:
    """When the next vote runs out, if the stream says so; else what will cause an evaluation."""
    due = [
        (at, row["symbol"])
        for row in statuses
        for at in [words.of_ms(number(row["status"].get("next_evaluation_ms")))]
        if at is not None and at >= now
    ]
    if not due:
        return "with the next vote", "an asset is evaluated when its votes change or run out"
    at, symbol = min(due)
    return f"in {words.span((at - now).total_seconds())}", f"{symbol}: a vote runs out; earlier if a trader acts"


def _rate(row: Row | None) -> str:
    value = number(row["value"]) if row else None
    return words.UNKNOWN if value is None else f"{words.plain(value, 0 if value >= 10 else 1)} / s"


def show(data: Data) -> None:
    """Draw the strip."""
    fills, lag = data.inputs.get("fills"), data.inputs.get("lag")
    lag_s = number(lag["value"]) if lag else None
    active, primed = data.tracked["active"], data.tracked["primed"]
    voted, quiet = votes(data.statuses)
    due, cause = next_evaluation(data.statuses, data.now)
    priming = data.inputs.get("priming")
    progress = f"{primed:,} with a known position" if priming is None else str(priming["detail"]).split(";")[0]
    behind = "" if lag_s is None else f", {words.span(lag_s)} behind the exchange"
    look.strip(
        [
            look.tile("Feed", _rate(data.inputs.get("frames")), f"frames{behind}"),
            look.tile("Fills of followed traders", _rate(fills), "each is applied to its trader's position"),
            look.tile("Followed traders", f"{active:,}", f"{progress}; {data.pool_size} may vote"),
            look.tile("Votes now", voted, quiet),
            look.tile("Next evaluation", due, cause),
        ]
    )
