"""How independent the voters are: correlations of the pool, and effective K of the decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import altair as alt
import polars as pl
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import queries_decisions, queries_traders
from sigmapilot_core.adapters.postgres.queries import Row, feed_now
from sigmapilot_ui.status_page import look, words

DAYS = 7
K_WIDTH = 0.25


@dataclass(frozen=True, slots=True)
class Data:
    """What the panel shows."""

    status: Row
    rho_bins: list[Row]
    k_bins: list[Row]
    k_summary: Row


def load(db: sa.Connection) -> Data:
    """Read it."""
    since = feed_now(db) - timedelta(days=DAYS)
    return Data(
        queries_traders.correlation_status(db),
        queries_traders.correlation_bins(db),
        queries_decisions.effective_k_bins(db, since, K_WIDTH),
        queries_decisions.effective_k_summary(db, since),
    )


def k_chart(bins: list[Row], threshold: float) -> alt.LayerChart:
    """Decisions by effective K, with the gate's threshold."""
    frame = pl.DataFrame(
        [
            {
                "low": row["effective_k"],
                "high": row["effective_k"] + K_WIDTH,
                "decisions": row["decisions"],
                "verdict": "pass" if row["effective_k"] >= threshold else "fail",
            }
            for row in bins
        ]
    )
    bars = (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("low:Q", bin="binned", title="effective K of the agreeing voters", axis=alt.Axis(tickMinStep=0.5)),
            x2="high:Q",
            y=alt.Y("decisions:Q", axis=alt.Axis(tickMinStep=1)),
            color=alt.Color("verdict:N", scale=look.VERDICT_COLOURS, legend=None),
            tooltip=["low", "high", "decisions"],
        )
    )
    limit = pl.DataFrame([{"threshold": threshold, "text": f"passes from {threshold:g}"}])
    rule = alt.Chart(limit).mark_rule(strokeDash=[4, 3], color="#8a94a6").encode(x="threshold:Q")
    label = (
        alt.Chart(limit)
        .mark_text(align="left", dx=4, dy=-2, baseline="bottom", color="#8a94a6")
        .encode(x="threshold:Q", y=alt.value(0), text="text:N")
    )
    return (bars + rule + label).properties(height=200)


def show(data: Data, threshold: float) -> None:
    """Draw the panel."""
    look.heading("Independence of the voters", f"Effective K over the last {DAYS} days, correlations of the newest day")
    if data.k_bins:
        look.chart(k_chart(data.k_bins, threshold), "Decisions by effective K")
    else:
        look.nothing("No decision carries an effective K yet.")
    status = data.status
    if not status["db_pair_count"]:
        look.nothing("Correlations have not been measured yet; they follow the first draw of the pool.")
        return
    highest = next(iter(status["sample_highest_correlations"]), {"rho": None})
    look.strip(
        [
            look.tile(
                "Measured pairs",
                f"{status['measured_pairs']:,}",
                f"of {status['db_pair_count']:,} on {status['latest_date']:%d %b}",
            ),
            look.tile("Average correlation", words.plain(status["avg_rho"]), "of the measured pairs"),
            look.tile("Highest correlation", words.plain(highest["rho"]), "near 1: one copies the other"),
            look.tile(
                "Effective K",
                words.plain(data.k_summary["average"]),
                f"average of {data.k_summary['decisions']} decisions",
            ),
        ]
    )
