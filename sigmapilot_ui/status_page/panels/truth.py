"""What simulated worlds, whose truth is known, say of the method: shown in a demo."""

from __future__ import annotations

from typing import Any

from sigmapilot_core.adapters.postgres.queries import Row
from sigmapilot_ui.status_page import look, words
from sigmapilot_ui.status_page.panels import reported

load = reported.loader("truth")


def goal_rows(goals: list[Row]) -> list[dict[str, Any]]:
    """One line a goal of the specification."""
    marks = {True: "✓ met", False: "✗ missed", None: "? unknown"}
    return [
        {"Met": marks[goal["is_met"]], "Goal": goal["name"], "Wanted": goal["wanted"], "Measured": goal["measured"]}
        for goal in goals
    ]


def pool_rows(pools: list[Row]) -> list[dict[str, Any]]:
    """One line a day and strategy."""
    return [
        {
            "Day": line["day"],
            "Pool by": line["strategy"],
            "Precision": words.plain(reported.value(line["precision"])),
            "95 %": reported.interval(line["precision"]),
            "Recall": words.plain(reported.value(line["recall"])),
            "Distinct minds": words.plain(reported.value(line["deciders"])),
        }
        for line in pools
    ]


def show(report: Row) -> None:
    """Draw the panel."""
    content = reported.begun("Truth of simulated worlds", report, "Nothing of it reaches what decides")
    if content is None:
        return
    said = f"{words.count(len(content['seeds']), 'world')}, intervals over worlds."
    look.draw(f'<div class="sp-small">{look.span(said)}</div>')
    look.table(goal_rows(content["goals"]), alt_text="Goals of the specification, and what was measured")
    look.table(pool_rows(content["pools"]), alt_text="Precision and recall of the pool by day and strategy")
