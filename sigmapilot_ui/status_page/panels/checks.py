"""Gates and risk checks as a table: mark, value, threshold, margin, and a bar with the threshold in its middle."""

from __future__ import annotations

from html import escape

from sigmapilot_core.adapters.postgres.queries import Row
from sigmapilot_core.domain.consensus import gates
from sigmapilot_ui.status_page import look, words

_NAMES = {
    "inputs_fresh": "inputs fresh",
    "min_traders": "enough traders",
    "supermajority": "supermajority",
    "effective_k": "effective K",
    "freshness": "votes fresh",
    "price_band": "price band",
    "ev_gate": "net EV",
}


def gate_name(name: str) -> str:
    """A gate's name for people."""
    return _NAMES.get(name, name.replace("_", " "))


def margin(check: Row) -> float | None:
    """Distance from the threshold, positive on the passing side; unknown for a check that is none of the gates."""
    return gates.margin(check["name"], check["value"], check["threshold"])


def fill_pct(check: Row) -> float | None:
    """How far the bar is filled: 50 at the threshold, 0 at or below nothing, 100 at twice the threshold or more."""
    value, threshold = check["value"], check["threshold"]
    if margin(check) is None or not threshold or threshold < 0:
        return None
    return min(100.0, max(0.0, 50.0 * value / threshold))


def _bar(check: Row, tone: str) -> str:
    filled = fill_pct(check)
    if filled is None:
        return ""
    return (
        f'<div class="sp-track {tone}" title="the tick is the threshold">'
        f'<div class="sp-fill" style="width:{filled:.1f}%"></div><div class="sp-tick"></div></div>'
    )


def _line(check: Row, with_margin: bool) -> str:
    passed = check["passed"]
    tone = look.TONES.get(passed, "doubt")
    mark = words.VERDICT_MARKS.get(passed, words.VERDICT_MARKS[None])
    numbers = [words.plain(check["value"]), words.plain(check["threshold"])]
    bar = ""
    if with_margin:
        numbers.append(words.signed(margin(check)))
        bar = f'<td class="bar">{_bar(check, tone)}</td>'
    cells = "".join(f'<td class="num">{escape(text)}</td>' for text in numbers)
    return (
        f'<tr><td class="mark {tone}">{mark}</td><td class="name">{escape(gate_name(check["name"]))}</td>{cells}{bar}'
        f'<td class="detail">{escape(check["detail"] or "")}</td></tr>'
    )


def checks_table(kind: str, checks: list[Row] | None, with_margin: bool) -> str:
    """The table as HTML; checks that cannot be read are said to be unknown."""
    if checks is None:
        return f'<div class="sp-small">{look.span(f"{kind}s: the stored text cannot be read", "bad")}</div>'
    titles = [("Verdict", ""), (kind, ""), ("Value", "num"), ("Threshold", "num")]
    titles += [("Margin", "num"), ("", "bar")] if with_margin else []
    head = "".join(f'<th class="{css}">{text}</th>' for text, css in [*titles, ("", "detail")])
    lines = "".join(_line(check, with_margin) for check in checks)
    return f'<table class="sp-checks"><tr>{head}</tr>{lines}</table>'
