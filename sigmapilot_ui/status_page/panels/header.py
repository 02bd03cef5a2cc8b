"""Who this is, which mode, what the majors cost, and a light for every input."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
import streamlit as st

from sigmapilot_core.adapters.postgres import queries_health, queries_market
from sigmapilot_core.adapters.postgres.queries import Row, feed_now, number
from sigmapilot_core.domain.params import MAJORS
from sigmapilot_ui.status_page import look, words

_MODES = {"live": "calm", "testnet": "calm", "demo": "doubt", "recording": "doubt"}
_MODE_WORDS = {
    "demo": "demo: a simulated market",
    "recording": "a recorded market",
    "testnet": "testnet",
    "live": "live",
}
_MARKS = {"pass": ("●", "good"), "fail": ("▲", "bad"), "unknown": ("?", "doubt")}


@dataclass(frozen=True, slots=True)
class Data:
    """What the header shows."""

    now: datetime
    mode: str | None
    statuses: list[Row]
    inputs: dict[str, Row]


def load(db: sa.Connection) -> Data:
    """Read it."""
    return Data(
        feed_now(db), queries_health.mode(db), queries_market.asset_statuses(db), queries_health.stream_inputs(db)
    )


def mode_badge(mode: str | None, wanted: str) -> str:
    """The mode as a badge; a database of another mode is said loudly."""
    if mode is not None and mode != wanted:
        return f'<span class="sp-badge bad">✗ asked for {wanted}, the database is of {mode}</span>'
    kind = wanted.partition(":")[0]
    text = f"{_MODE_WORDS.get(kind, kind)}{wanted.removeprefix(kind).replace(':', ' ')}"
    return f'<span class="sp-badge {_MODES.get(kind, "calm")}">{text.upper()}</span>'


def mids(statuses: list[Row]) -> str:
    """BTC and ETH; a dash while the stream knows no price."""
    found = {row["symbol"]: number(row["status"].get("mid")) for row in statuses}
    return "".join(
        f'<span class="sp-mid">{look.span(coin, "quiet")} <b>{words.price(found.get(coin))}</b></span>'
        for coin in MAJORS
    )


def lights(inputs: dict[str, Row]) -> str:
    """One light an input, marked by shape and colour; the sentence is on hovering."""
    shown = []
    for name, row in inputs.items():
        mark, tone = _MARKS[row["verdict"]]
        limit = "" if row["limit_s"] is None else f" of {words.span(row['limit_s'])} allowed"
        shown.append(
            look.light(name, mark, tone, f"{row['verdict']}: {words.span(row['age_s'])} old{limit}. {row['detail']}")
        )
    return f'<div class="sp-row">{"".join(shown)}</div>'


def show(data: Data, mode: str) -> None:
    """Draw the header."""
    state = (
        lights(data.inputs)
        if data.inputs
        else look.span("? the stream has not reported yet: it starts within a minute of `sigmapilot up`", "doubt")
    )
    clock = f'<span class="quiet">{data.now:%d %b %Y %H:%M:%S} UTC</span>'
    _draw(f"{mode_badge(data.mode, mode)}{mids(data.statuses)}{clock}{state}")


def away(mode: str) -> None:
    """Draw what is known without the database."""
    _draw(mode_badge(None, mode))
    st.error(
        "The database does not answer. The page keeps trying and comes back by itself; `sigmapilot status` tells which "
        "part is down, and `sigmapilot up` starts it.",
        icon=":material/database_off:",
    )


def _draw(rest: str) -> None:
    look.draw(f'<div class="sp-head"><span class="sp-brand"><span>Σ</span> SigmaPilot</span>{rest}</div>')
