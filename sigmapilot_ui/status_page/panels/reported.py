"""What every report of the science has in common: its time, freshness and source, and intervals as text and bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import altair as alt
import polars as pl
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import queries_science
from sigmapilot_core.adapters.postgres.queries import Row, number
from sigmapilot_ui.status_page import look, words


def loader(kind: str) -> Callable[[sa.Connection], Row]:
    """Reads the newest report of a kind."""
    return lambda db: queries_science.report(db, kind)


def begun(title: str, report: Row, remark: str = "") -> dict[str, Any] | None:
    """Draw the heading with time, freshness and source; the content, or None after saying which job to run."""
    look.heading(title, remark)
    content = report["content"]
    if report["computed_at"] is None:
        look.nothing(f"Not computed yet: run job {report['job']}.")
        return None
    is_fresh = report["verdict"] == "pass"
    freshness = "✓ fresh" if is_fresh else f"✗ older than {words.span(report['limit_s'])}"
    computed = f"computed {words.span(report['age_s'])} ago ({words.instant(report['computed_at'])} UTC)"
    source = f"source: {report['source']}; job {report['job']}"
    look.draw(
        f'<div class="sp-small">{look.span(freshness, "good" if is_fresh else "bad")}, '
        f"{look.span(computed)}; {look.span(source)}</div>"
    )
    if not isinstance(content, dict):
        look.nothing(f"The stored report cannot be read: run job {report['job']} again.")
        return None
    return content


def interval(found: Row | None) -> str:
    """The 95 % range, a dash where there is none."""
    low, high = (number((found or {}).get(name)) for name in ("low", "high"))
    return words.UNKNOWN if low is None or high is None else f"{words.signed(low)} to {words.signed(high)}"


def value(found: Row | None) -> float | None:
    """The figure itself."""
    return number((found or {}).get("value"))


def interval_chart(rows: Sequence[tuple[str, Row]], unit: str) -> alt.LayerChart | None:
    """One line a row: the figure as a dot, its interval as a bar, zero marked; None where no figure is known."""
    known = [
        {"name": name, "value": value(found), "low": number(found.get("low")), "high": number(found.get("high"))}
        for name, found in rows
        if value(found) is not None
    ]
    if not known:
        return None
    data = pl.DataFrame(known, schema={"name": pl.Utf8, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64})
    order = [name for name, found in rows if value(found) is not None]
    y = alt.Y("name:N", sort=order, title=None, axis=alt.Axis(labelLimit=170))
    bars = (
        alt.Chart(data)
        .mark_rule(strokeWidth=3, color=look.CALM)
        .encode(y=y, x=alt.X("low:Q", title=unit), x2="high:Q", tooltip=["name", "value", "low", "high"])
    )
    dots = alt.Chart(data).mark_point(filled=True, size=70, color=look.CALM).encode(y=y, x="value:Q")
    zero = alt.Chart(pl.DataFrame({"x": [0.0]})).mark_rule(strokeDash=[4, 4], color="#8a94a6").encode(x="x:Q")
    return (zero + bars + dots).properties(height=34 * len(known) + 50)
