"""Are probabilities what they say: reliability curve, Brier and log score, raw and through the map in force."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from sigmapilot_core.adapters.postgres.queries import Row, number
from sigmapilot_ui.status_page import look, words
from sigmapilot_ui.status_page.panels import reported

load = reported.loader("calibration")
_SERIES = {"raw": "as pooled", "mapped": "as published"}


def curve_rows(content: dict[str, Any]) -> list[dict[str, Any]]:
    """One point a bin and series: what was said, what happened, how often."""
    return [
        {"series": said, "estimated": number(point["estimated"]), "realised": number(point["realised"]),
         "decisions": number(point["n"])}
        for name, said in _SERIES.items()
        for point in (content.get(name) or {}).get("curve", [])
    ]  # fmt: skip


def curve_chart(points: list[dict[str, Any]]) -> alt.LayerChart:
    """Said against realised; on the dashed line both are the same."""
    unit = alt.Scale(domain=[0, 1])
    x = alt.X("estimated:Q", title="said P(R > 0)", scale=unit)
    y = alt.Y("realised:Q", title="share that won", scale=unit)
    colour = alt.Color(
        "series:N",
        scale=alt.Scale(domain=list(_SERIES.values()), range=[look.DOUBT, look.CALM]),
        legend=alt.Legend(orient="top", title=None),
    )
    base = alt.Chart(pl.DataFrame(points)).encode(x=x, y=y, color=colour)
    dots = base.mark_point(filled=True, size=60).encode(tooltip=["series", "estimated", "realised", "decisions"])
    ends = pl.DataFrame({"estimated": [0.0, 1.0], "realised": [0.0, 1.0]})
    same = alt.Chart(ends).mark_line(strokeDash=[4, 4], color="#8a94a6").encode(x="estimated:Q", y="realised:Q")
    return (same + base.mark_line() + dots).properties(height=280)


def _tiles(content: dict[str, Any]) -> list[str]:
    raw, mapped = content.get("raw") or {}, content.get("mapped") or {}
    base = words.plain(number(raw.get("base")), 4)
    return [
        look.tile("Outcomes", words.plain(number(content.get("n_outcomes")), 0), "that the scores rest on"),
        look.tile("Brier, as published", words.plain(number(mapped.get("brier")), 4), f"always the mean: {base}"),
        look.tile("Brier, as pooled", words.plain(number(raw.get("brier")), 4), "before the map"),
        look.tile("Log score, as published", words.plain(number(mapped.get("log_score")), 4), "smaller is better"),
        look.tile("Log score, as pooled", words.plain(number(raw.get("log_score")), 4), "before the map"),
        look.tile("Realised − estimated", words.r_multiple(number(content.get("mean_gap_r"))), "mean gross R"),
    ]


def show(report: Row) -> None:
    """Draw the panel."""
    content = reported.begun("Calibration", report, "Whether what is said to win so often does")
    if content is None:
        return
    look.strip(_tiles(content))
    points = curve_rows(content)
    if points:
        look.chart(curve_chart(points), "Reliability curve: said probability against the share that won")
    else:
        look.nothing("No followed decision has ended yet, so there is no curve.")
