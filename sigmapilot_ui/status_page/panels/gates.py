"""Which gate stops how many decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import altair as alt
import polars as pl
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import queries_decisions
from sigmapilot_core.adapters.postgres.queries import Row, feed_now
from sigmapilot_ui.status_page import look, words
from sigmapilot_ui.status_page.panels.checks import gate_name

DAYS = 7


@dataclass(frozen=True, slots=True)
class Data:
    """What the panel shows."""

    funnel: list[Row]
    stats: Row


def load(db: sa.Connection) -> Data:
    """Read it."""
    since = feed_now(db) - timedelta(days=DAYS)
    return Data(queries_decisions.gate_funnel(db, since), queries_decisions.decision_stats(db, since))


def funnel_chart(funnel: list[Row]) -> alt.LayerChart:
    """One bar a gate in the order of evaluation, split by verdict; the share that failed is written at its end."""
    order = [gate_name(row["gate"]) for row in funnel]
    verdicts = {"pass": "passed", "fail": "failed", "unknown": "unknown"}
    split = pl.DataFrame(
        [
            {"gate": gate_name(row["gate"]), "verdict": verdict, "decisions": row[column], "position": i}
            for row in funnel
            for i, (verdict, column) in enumerate(verdicts.items())
        ]
    )
    stopped = pl.DataFrame(
        [
            {
                "gate": gate_name(row["gate"]),
                "decisions": row["total"],
                "text": f"{words.percent((row['failed'] + row['unknown']) / row['total'])} stopped",
            }
            for row in funnel
        ]
    )
    room = alt.Scale(domainMax=1.3 * max(row["total"] for row in funnel), nice=False)  # for the labels
    y = alt.Y("gate:N", sort=order, title=None, axis=alt.Axis(labelLimit=160))
    bars = (
        alt.Chart(split)
        .mark_bar(height={"band": 0.7})
        .encode(
            y=y,
            x=alt.X("decisions:Q", title="decisions", axis=alt.Axis(tickMinStep=1), scale=room),
            color=alt.Color("verdict:N", scale=look.VERDICT_COLOURS, legend=alt.Legend(orient="top", title=None)),
            order=alt.Order("position:Q"),
            tooltip=["gate", "verdict", "decisions"],
        )
    )
    labels = (
        alt.Chart(stopped).mark_text(align="left", dx=5, color="#8a94a6").encode(y=y, x="decisions:Q", text="text:N")
    )
    return (bars + labels).properties(height=34 * len(funnel) + 40)


def show(data: Data) -> None:
    """Draw the panel."""
    look.heading("Which gate stops decisions", f"All gates are judged every time; last {DAYS} days")
    if not data.funnel:
        look.nothing("No decision in this time, so no gate has been judged yet.")
        return
    stats = data.stats
    look.chart(funnel_chart(data.funnel), "Passed, failed and unknown verdicts of each gate")
    look.draw(
        f'<div class="sp-small">{look.span(words.count(stats["total"], "decision"))}: '
        f"{look.span(words.count(stats['signals'], 'signal'))}, {look.span(stats['skipped'])} skipped, "
        f"{look.span(stats['risk_rejected'])} rejected by risk</div>"
    )
