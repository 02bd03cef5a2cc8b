"""The decision log: filter, open one, and see its seven gates, its risk checks, its reasoning and what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
import streamlit as st

from sigmapilot_core.adapters.postgres import queries_decisions
from sigmapilot_core.adapters.postgres.queries import Row, feed_now
from sigmapilot_ui.status_page import look, words
from sigmapilot_ui.status_page.panels import explained
from sigmapilot_ui.status_page.panels.checks import checks_table

PAGE = 15
TYPES = {"All": None, "Signals": "signal", "Skipped": "skip", "Risk rejected": "risk_reject"}
MARKS = {"signal": ":green[◆ SIGNAL]", "skip": ":gray[○ SKIP]", "risk_reject": ":orange[▣ RISK REJECT]"}
_ANY = "All assets"


@dataclass(frozen=True, slots=True)
class Data:
    """What the panel shows."""

    now: datetime
    items: list[Row]
    total: int


def load(db: sa.Connection, symbol: str | None, decision_type: str | None, limit: int) -> Data:
    """Read one page of the log."""
    return Data(
        feed_now(db),
        queries_decisions.decisions(db, symbol, decision_type, limit),
        queries_decisions.count_decisions(db, symbol, decision_type),
    )


def symbols(db: sa.Connection) -> list[str]:
    """Assets that were decided on in the last week."""
    return queries_decisions.decision_symbols(db, feed_now(db) - timedelta(days=7))


def choose(known: list[str]) -> tuple[str | None, str | None, int]:
    """The filter: symbol, type, how many."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control("Type", list(TYPES), default="All", key="decision_type") or "All"
        symbol = st.selectbox("Asset", [_ANY, *known], key="decision_symbol", width=160)
    shown = st.session_state.setdefault("decisions_shown", PAGE)
    return (None if symbol == _ANY else symbol), TYPES[kind], shown


def title(row: Row, now: datetime) -> str:
    """One line: what, where, when, and the numbers that decided."""
    outcome = "" if row["outcome_r_multiple"] is None else f" · ended {words.r_multiple(row['outcome_r_multiple'])}"
    return (
        f"{MARKS.get(row['decision_type'], row['decision_type'])} **{row['symbol']}** {words.side(row['direction'])} · "
        f"{words.ago(row['decided_at'], now)} · {row['agreeing_count']} of {row['trader_count']} agree · "
        f"K {words.plain(row['effective_k'])} · EV {words.r_multiple(row['ev_estimate'])}{outcome}"
    )


def facts(row: Row) -> str:
    """What the decision rests on, and where it stands in the log."""
    parts = (
        f"decided {words.instant(row['decided_at'])} UTC at {words.price(row['price_at_decision'])}",
        f"model snapshot {row['snapshot_version']}",
        f"settings {row['settings_hash'][:12]}",
        f"confidence {words.percent(row['avg_confidence'])}",
        f"latency {words.plain(row['latency_ms'], 1, ' ms')}",
        f"mode {row['mode']}",
        f"id {row['id']}",
    )
    return f'<div class="sp-small">{" · ".join(map(look.span, parts))}</div>'


def detail(row: Row) -> None:
    """One opened decision."""
    said = f'<div class="sp-say">{look.span(row["reasoning"])}</div>'
    risk = row["risk_checks"]
    checks = checks_table("Gate", row["gates"], with_margin=True)
    if risk:
        checks += checks_table("Risk check", risk, with_margin=False)
    elif row["decision_type"] == "skip":
        checks += f'<div class="sp-small">{look.span("Risk is checked only after all gates have passed.")}</div>'
    look.draw(said + checks + facts(row))
    key = f"explain_{row['id']}"
    st.button("Explain", key=key, on_click=explained.choose, args=(str(row["id"]),), icon=":material/balance:")


def _more() -> None:
    st.session_state["decisions_shown"] += PAGE


def show(data: Data) -> None:
    """Draw the log."""
    if explained.is_called_for():
        st.rerun(scope="app")
    if not data.items:
        look.nothing(
            "No decision matches. One is written whenever voters or verdicts of an asset change; before traders of the "
            "pool have acted there is none."
        )
        return
    with st.container(gap="xxsmall"):
        for row in data.items:
            with st.expander(title(row, data.now), key=f"decision_{row['id']}"):
                detail(row)
    st.caption(f"{len(data.items)} of {data.total:,}")
    if len(data.items) < data.total:
        st.button("Show more", on_click=_more, key="decisions_more")
