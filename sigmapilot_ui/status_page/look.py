"""The page's own elements: one style sheet and small pieces of escaped HTML. Colour never stands alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import altair as alt

# Streamlit and Altair import it when they first draw, each in the thread of a session: a second thread would see half
import pandas  # noqa: F401
import streamlit as st

GOOD, BAD, DOUBT, CALM = "#2f9e78", "#d9574a", "#c98a1b", "#5b8bd9"
TONES = {True: "good", False: "bad", None: "doubt"}
VERDICT_COLOURS = alt.Scale(domain=["pass", "fail", "unknown"], range=[GOOD, BAD, DOUBT])

_STYLE = """
<style>
.sp { --good: light-dark(#14795a, #4fc79c); --bad: light-dark(#b83227, #f2857b);
  --doubt: light-dark(#a86008, #eab04a); --calm: light-dark(#2456a6, #7aa7f0);
  --line: color-mix(in srgb, currentColor 16%, transparent);
  --soft: color-mix(in srgb, currentColor 6%, transparent);
  --quiet: color-mix(in srgb, currentColor 68%, transparent); font-variant-numeric: tabular-nums; }
.sp .good { color: var(--good); } .sp .bad { color: var(--bad); }
.sp .doubt { color: var(--doubt); } .sp .calm { color: var(--calm); } .sp .quiet { color: var(--quiet); }
.sp-head { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem 1.4rem; }
.sp-brand { font-size: 1.45rem; font-weight: 700; letter-spacing: -.01em; }
.sp-brand span { color: var(--calm); }
.sp-badge { border: 1px solid currentColor; border-radius: 1rem; padding: .05rem .6rem; font-size: .8rem;
  font-weight: 600; white-space: nowrap; }
.sp-mid { white-space: nowrap; } .sp-mid b { font-size: 1.15rem; }
.sp-row { display: flex; flex-wrap: wrap; gap: .35rem; align-items: center; }
.sp-light { border: 1px solid var(--line); border-radius: .3rem; padding: .05rem .45rem; font-size: .8rem;
  white-space: nowrap; }
.sp-strip { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 8.6rem), 1fr)); gap: .6rem; }
.sp-tile { border: 1px solid var(--line); border-radius: .4rem; padding: .45rem .75rem; background: var(--soft); }
.sp-tile .name { font-size: .78rem; color: var(--quiet); } .sp-tile .value { font-size: 1.25rem; font-weight: 600; }
.sp-tile .more { font-size: .78rem; color: var(--quiet); overflow-wrap: anywhere; }
.sp-checks { width: 100%; border-collapse: collapse; font-size: .86rem; }
.sp-checks th { text-align: left; font-weight: 500; color: var(--quiet); border-bottom: 1px solid var(--line); }
.sp-checks td, .sp-checks th { padding: .22rem .7rem .22rem 0; vertical-align: middle; }
.sp-checks tr + tr td { border-top: 1px solid var(--line); }
.sp-checks .num { text-align: right; white-space: nowrap; } .sp-checks .mark, .sp-checks .name { white-space: nowrap; }
.sp-checks .mark { font-weight: 600; }
.sp-checks .detail { color: var(--quiet); width: 45%; }
.sp-track { position: relative; height: .5rem; min-width: 6rem; border-radius: .25rem; background: var(--line); }
.sp-fill { position: absolute; inset: 0 auto 0 0; border-radius: .25rem; background: currentColor; }
.sp-tick { position: absolute; left: 50%; top: -.2rem; bottom: -.2rem; width: 2px; background: currentColor;
  color: var(--quiet); }
.sp-alarm { border: 1px solid currentColor; border-radius: .4rem; padding: .35rem .75rem; margin-top: .4rem;
  font-weight: 600; background: var(--soft); }
.sp-what { margin: 0; padding: 0; list-style: none; }
.sp-what li { border-left: 3px solid var(--calm); padding: .1rem 0 .1rem .7rem; margin: 0 0 .55rem; font-size: .92rem; }
.sp-what li.unproven { border-left-color: var(--doubt); } .sp-what b { font-weight: 600; }
.sp-say { font-size: .95rem; margin: .1rem 0 .6rem; }
.sp-small { font-size: .8rem; color: var(--quiet); overflow-wrap: anywhere; }
@media (max-width: 640px) { .sp-checks .detail { display: none; } .sp-checks .bar { display: none; } }
/* the page redraws itself all the time: no sign of it is needed */
[data-testid="stStatusWidget"] { display: none; }
</style>
"""


def style() -> None:
    """Put the style sheet into the page."""
    st.html(_STYLE)


def draw(body: str) -> None:
    """Draw HTML made of this module's pieces."""
    st.html(f'<div class="sp">{body}</div>')


def span(text: object, tone: str = "") -> str:
    """Text in a tone: good, bad, doubt, calm, quiet or none."""
    return f'<span class="{tone}">{escape(str(text))}</span>'


def light(name: str, mark: str, tone: str, hint: str = "") -> str:
    """A small sign: mark, name, and a sentence on hovering."""
    return f'<span class="sp-light" title="{escape(hint)}">{span(mark, tone)} {escape(name)}</span>'


def tile(name: str, value: str, more: str = "", tone: str = "") -> str:
    """A number with its name above and a remark below; `value` and `more` are text."""
    return (
        f'<div class="sp-tile"><div class="name">{escape(name)}</div>'
        f'<div class="value {tone}">{escape(value)}</div><div class="more">{escape(more)}</div></div>'
    )


def strip(tiles: Iterable[str]) -> None:
    """Tiles beside one another, as many as fit."""
    draw(f'<div class="sp-strip">{"".join(tiles)}</div>')


def heading(text: str, remark: str = "") -> None:
    """A panel's title with a quiet remark beside it."""
    st.subheader(text, anchor=False)
    if remark:
        st.caption(remark)


def nothing(sentence: str) -> None:
    """What stands where there is nothing to show yet, and why."""
    st.info(sentence, icon=":material/hourglass_empty:")


def table(rows: Sequence[dict[str, Any]], columns: dict[str, Any] | None = None, alt_text: str = "") -> None:
    """A compact table; unknown cells hold a dash."""
    st.dataframe(
        list(rows), hide_index=True, column_config=columns, placeholder="—", row_height=30, alt=alt_text or None
    )


def utc_axis(name: str) -> alt.X:
    """A horizontal axis of instants, in UTC like everything here."""
    axis = alt.Axis(format="%d %b %H:%M", tickCount=5)
    return alt.X(f"{name}:T", title=None, scale=alt.Scale(type="utc"), axis=axis)


def chart(drawn: alt.Chart | alt.LayerChart, alt_text: str) -> None:
    """A chart as wide as its place, with its content in words."""
    st.altair_chart(drawn, width="stretch", alt=alt_text)
