"""How decisions ended: win rate, average R, distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import altair as alt
import polars as pl
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import queries_decisions
from sigmapilot_core.adapters.postgres.queries import Row, feed_now
from sigmapilot_ui.status_page import look, words

DAYS = 90
R_WIDTH = 0.25


@dataclass(frozen=True, slots=True)
class Data:
    """What the panel shows."""

    now: datetime
    stats: Row
    results: list[Row]
    signals: Row


def load(db: sa.Connection) -> Data:
    """Read it."""
    now = feed_now(db)
    since = now - timedelta(days=DAYS)
    return Data(
        now,
        queries_decisions.outcome_stats(db, since),
        queries_decisions.outcome_results(db, since),
        queries_decisions.consensus_stats(db),
    )


def histogram(results: list[Row]) -> alt.LayerChart:
    """Ended decisions by R, bins of a quarter; gains, losses and exact zeros in their own colours."""
    bins: dict[tuple[float, str], int] = {}
    for row in results:
        r = row["result_r"]
        sort = "gain" if r > 0 else "loss" if r < 0 else "zero"
        low = math.floor(r / R_WIDTH) * R_WIDTH
        bins[low, sort] = bins.get((low, sort), 0) + 1
    frame = pl.DataFrame(
        [{"low": low, "high": low + R_WIDTH, "result": sort, "decisions": n} for (low, sort), n in bins.items()]
    )
    colours = alt.Scale(domain=["gain", "loss", "zero"], range=[look.GOOD, look.BAD, look.DOUBT])
    bars = (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("low:Q", bin="binned", title="R after costs", axis=alt.Axis(tickMinStep=0.5)),
            x2="high:Q",
            y=alt.Y("decisions:Q", axis=alt.Axis(tickMinStep=1)),
            color=alt.Color("result:N", scale=colours, legend=alt.Legend(orient="top", title=None)),
            tooltip=["low", "high", "result", "decisions"],
        )
    )
    zero = alt.Chart(pl.DataFrame([{"r": 0.0}])).mark_rule(strokeDash=[4, 3], color="#8a94a6").encode(x="r:Q")
    return (bars + zero).properties(height=200)


def rows(data: Data) -> list[dict[str, Any]]:
    """The newest ones, one line each."""
    return [
        {
            "Ended": words.ago(row["closed_ts"], data.now),
            "Asset": row["symbol"],
            "Side": words.side(row["direction"]),
            "R": words.r_multiple(row["result_r"]),
            "Before costs": words.r_multiple(row["gross_r"]),
            "Cost": words.plain(row["cost_r"], 2, " R"),
            "Reason": row["closed_reason"].replace("_", " "),
            "Best": words.r_multiple(row["mfe_r"]),
            "Worst": words.r_multiple(row["mae_r"]),
            "Decision": (row["decision_type"] or words.UNKNOWN).replace("_", " "),
        }
        for row in data.results[:20]
    ]


def _tiles(stats: Row) -> list[str]:
    flat = f", {stats['flat']} at exactly 0" if stats["flat"] else ""
    average = stats["avg_result_r"]
    return [
        look.tile("Ended", f"{stats['closed']}", f"{stats['wins']} won, {stats['losses']} lost{flat}"),
        look.tile("Win rate", words.plain(stats["win_rate"], 0, " %"), "R above 0, of all that ended"),
        look.tile("Average", words.r_multiple(average), "after costs", "bad" if (average or 0) < 0 else ""),
        look.tile(
            "Total", words.r_multiple(stats["total_r"]), "after costs", "bad" if (stats["total_r"] or 0) < 0 else ""
        ),
    ]


def show(data: Data) -> None:
    """Draw the panel."""
    look.heading("How decisions ended", f"Signals and risk rejections alike, followed in paper terms; last {DAYS} days")
    if not data.results:
        followed = words.count(data.signals["open"], "open signal")
        look.nothing(
            f"Nothing has ended yet; {followed} so far. A signal ends at its stop, at its "
            "target of 2 R, with an opposite consensus, or after 7 days; until then there is no win rate."
        )
        return
    look.strip(_tiles(data.stats))
    look.chart(histogram(data.results), "Ended decisions by R")
    look.table(rows(data), alt_text="Newest ended decisions")
