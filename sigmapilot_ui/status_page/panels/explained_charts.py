"""Charts of one decision: its expected value as a waterfall, the correlations of those who agree."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import polars as pl

from sigmapilot_core.domain.consensus.explanation import ExplainedPair
from sigmapilot_core.domain.consensus.waterfall import StepKind, WaterfallStep
from sigmapilot_ui.status_page import look, words

_LABEL = "#8a94a6"
_COLOURS = alt.Scale(domain=["adds", "takes away", "level"], range=[look.GOOD, look.BAD, look.CALM])


def waterfall_chart(steps: Sequence[WaterfallStep], ev_min_r: float) -> alt.LayerChart:
    """One bar a step from the level before to the level after; the dashed line is what net EV must reach."""
    rows = [_bar(step) for step in steps]
    base = alt.Chart(pl.DataFrame(rows)).encode(
        x=alt.X(
            "step:N", sort=[step.name for step in steps], title=None, axis=alt.Axis(labelAngle=-25, labelLimit=120)
        ),
        tooltip=[alt.Tooltip("step:N"), alt.Tooltip("shown:N", title="R"), alt.Tooltip("detail:N")],
    )
    y = alt.Y("low:Q", title="R", scale=alt.Scale(nice=True))
    bars = base.mark_bar(size=34, cornerRadius=2).encode(
        y=y, y2="high:Q", color=alt.Color("kind:N", scale=_COLOURS, legend=alt.Legend(orient="top", title=None))
    )
    labels = base.mark_text(dy=-8, color=_LABEL, fontSize=12).encode(y="top:Q", text="shown:N")
    needed = alt.Chart(pl.DataFrame([{"needed": ev_min_r}]))
    line = needed.mark_rule(strokeDash=[5, 4], color=look.DOUBT).encode(y="needed:Q")
    zero = alt.Chart(pl.DataFrame([{"zero": 0.0}])).mark_rule(color=_LABEL, opacity=0.6).encode(y="zero:Q")
    return (zero + bars + labels + line).properties(height=320)


def _bar(step: WaterfallStep) -> dict[str, object]:
    is_level = step.kind is StepKind.TOTAL
    before = 0.0 if is_level else step.after_r - step.value_r
    return {
        "step": step.name,
        "low": min(before, step.after_r),
        "high": max(before, step.after_r),
        "top": max(before, step.after_r, 0.0),
        "kind": "level" if is_level else "adds" if step.value_r >= 0 else "takes away",
        "shown": words.signed(step.value_r, 3 if abs(step.value_r) < 0.01 else 2),
        "detail": step.detail,
    }


def correlation_chart(pairs: Sequence[ExplainedPair]) -> alt.LayerChart:
    """A square of pairs: shade by the value used, `?` where the pair was not measured."""
    names = sorted({name for pair in pairs for name in (pair.label_a, pair.label_b)})
    rows = [
        {
            "a": a,
            "b": b,
            "used": pair.rho_used,
            "shown": f"{'' if pair.rho is not None else '? '}{words.plain(pair.rho_used)}",
            "measured": "unmeasured" if pair.rho is None else f"{pair.rho:.3f} over {pair.n_buckets} buckets",
        }
        for pair in pairs
        for a, b in ((pair.label_a, pair.label_b), (pair.label_b, pair.label_a))
    ]
    base = alt.Chart(pl.DataFrame(rows)).encode(
        x=alt.X("a:N", sort=names, title=None, axis=alt.Axis(labelAngle=-40)),
        y=alt.Y("b:N", sort=names, title=None),
        tooltip=["a", "b", "measured", "used"],
    )
    shade = alt.Color("used:Q", scale=alt.Scale(scheme="blues", domain=[0, 1]), legend=None)
    text = alt.condition("datum.used > 0.5", alt.value("white"), alt.value("#30445f"))
    squares = base.mark_rect(stroke="white", strokeWidth=1).encode(color=shade)
    return (squares + base.mark_text(fontSize=11).encode(text="shown:N", color=text)).properties(
        height=max(160, 34 * len(names) + 60)
    )
