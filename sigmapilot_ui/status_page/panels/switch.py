"""The kill switch: whether entries are blocked, why and until when, and who asked for what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import queries_operators
from sigmapilot_core.adapters.postgres.queries import Row, feed_now
from sigmapilot_ui.status_page import look, words

_STATES = {
    "unknown": ("? unknown", "doubt", "the stream has not reported yet"),
    "off": ("✓ off", "good", "entries are allowed if every check passes"),
    "on": ("✗ on", "bad", ""),
    "waits_for_person": ("✗ on", "bad", "its time is over; a person must release it"),
}


@dataclass(frozen=True, slots=True)
class Data:
    """What the panel shows."""

    now: datetime
    found: Row


def loader(cooldown_h: float) -> Callable[[sa.Connection], Data]:
    """Reads it, for switches that last this long."""

    def load(db: sa.Connection) -> Data:
        return Data(feed_now(db), queries_operators.kill_switch(db, cooldown_h, 8))

    return load


def rows(events: list[Row]) -> list[dict[str, Any]]:
    """One line an event."""
    return [
        {
            "When": words.instant(row["at"]),
            "Event": row["event"],
            "By": row["requested_by"] or "rule",
            "Reason": row["reason"],
            "What became of it": row["detail"],
        }
        for row in events
    ]


def _ends(data: Data) -> str:
    found, word = data.found, _STATES[data.found["state"]][2]
    if found["state"] != "on":
        return word
    left = words.span((found["free_at"] - data.now).total_seconds())
    return f"releases itself in {left}" if found["auto"] else f"a person may release it in {left}, or force it"


def banner(data: Data) -> str:
    """A line over the page while entries are blocked or a request waits; nothing otherwise."""
    found = data.found
    if found["state"] in ("on", "waits_for_person"):
        since = words.instant(found["since"])
        said = f"KILL SWITCH ON since {since} UTC: {found['reason']}. No entries; positions are still reduced; "
        return look.span(f"✗ {said}{_ends(data)}.", "bad")
    if found["pending"]:
        return look.span("? A request for the kill switch waits for the stream.", "doubt")
    return ""


def show_banner(data: Data) -> None:
    """Draw the line."""
    text = banner(data)
    if text:
        look.draw(f'<div class="sp-alarm">{text}</div>')


def show(data: Data) -> None:
    """Draw the panel."""
    look.heading("Kill switch", "blocks entries only; set and released with `sigmapilot kill-switch` or the API")
    word, tone, _ = _STATES[data.found["state"]]
    waiting = len(data.found["pending"])
    look.strip(
        [
            look.tile("State", word, _ends(data), tone),
            look.tile("Since", words.instant(data.found["since"]), data.found["reason"] or ""),
            look.tile("Requests waiting", str(waiting), "for the stream" if waiting else "all are answered"),
        ]
    )
    if data.found["events"]:
        look.table(rows(data.found["events"]), alt_text="What happened to the kill switch")
