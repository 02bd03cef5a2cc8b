"""One decision laid open: gates with margins, EV step by step, voters, correlations, what if, and its origin."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import sqlalchemy as sa
import streamlit as st

from sigmapilot_core.adapters.postgres import queries_decisions
from sigmapilot_core.adapters.postgres.queries import Row
from sigmapilot_core.adapters.postgres.queries_explanation import Explained, NotExplainableError
from sigmapilot_core.adapters.postgres.queries_explanation import explained as lay_open
from sigmapilot_core.domain.consensus.counterfactual import Counterfactual
from sigmapilot_core.domain.consensus.explanation import ExplainedCheck, Explanation
from sigmapilot_ui.status_page import look, words
from sigmapilot_ui.status_page.panels import explained_charts
from sigmapilot_ui.status_page.panels.checks import checks_table, gate_name

NEWEST = 40
_PASSED = {"pass": True, "fail": False, "unknown": None}
_KINDS = {"signal": ("◆ SIGNAL", "good"), "skip": ("○ SKIP", "quiet"), "risk_reject": ("▣ RISK REJECT", "doubt")}
_CHOSEN, _CALLED = "explained_decision", "explained_called"


@dataclass(frozen=True, slots=True)
class Data:
    """A decision laid open, or the sentence that says why it cannot be."""

    found: Explained | None
    reason: str | None = None


def choose(decision_id: str) -> None:
    """A person asked for this decision elsewhere on the page: open the section with it."""
    st.session_state[_CHOSEN] = decision_id
    st.session_state["section"] = "Explain"
    st.session_state[_CALLED] = True


def is_called_for() -> bool:
    """Whether `choose` was called since the last look: the whole page must be drawn again."""
    return bool(st.session_state.pop(_CALLED, False))


def newest(db: sa.Connection) -> list[Row]:
    """The newest decisions, signals first."""
    found = queries_decisions.decisions(db, limit=NEWEST)
    signals = queries_decisions.decisions(db, decision_type="signal", limit=NEWEST // 4)
    return [*signals, *(row for row in found if row["decision_type"] != "signal")]


def pick(found: list[Row]) -> str | None:
    """The decision a person wants: asked for in the log, in the address (`?decision=`), or picked here."""
    names = {str(row["id"]): _name(row) for row in found}
    asked = st.session_state.get(_CHOSEN) or st.query_params.get("decision")
    if asked is not None and asked not in names:
        names = {asked: f"decision {asked}", **names}
    if not names:
        return None
    if st.session_state.get(_CHOSEN) not in names:
        st.session_state[_CHOSEN] = asked or next(iter(names))
    picked = st.selectbox("Decision", list(names), key=_CHOSEN, format_func=lambda one: names.get(one, one))
    st.query_params["decision"] = picked
    return picked


def _name(row: Row) -> str:
    kind = _KINDS.get(row["decision_type"], (row["decision_type"], ""))[0]
    at = words.instant(row["decided_at"])
    ev = words.r_multiple(row["ev_estimate"])
    return f"{kind} {row['symbol']} {words.side(row['direction'])} · {at} UTC · EV {ev} · {str(row['id'])[:8]}"


def load(db: sa.Connection, decision_id: str) -> Data:
    """Lay it open."""
    try:
        return Data(lay_open(db, decision_id))
    except (NotExplainableError, sa.exc.DataError) as error:
        return Data(None, str(error) if isinstance(error, NotExplainableError) else "that is no id of a decision")


def show(data: Data | None, dagster_url: str | None) -> None:
    """Draw the section."""
    if data is None or data.found is None:
        reason = data.reason if data is not None else None
        look.nothing(f"{reason}." if reason else "No decision yet: every one that is written can be laid open here.")
        return
    found, told = data.found, data.found.explanation
    kind, tone = _KINDS.get(told.decision_type, (told.decision_type, ""))
    head = f"{look.span(kind, tone)} <b>{escape(told.asset)}</b> {look.span(words.side(told.direction.value))}"
    look.draw(f'<div class="sp-head">{head}</div><div class="sp-say">{look.span(told.reasoning)}</div>')
    look.strip(_tiles(found, told))
    left, right = st.columns([3, 2], gap="medium")
    with left:
        look.heading("Gates", "margin: distance from the threshold, positive where it passes")
        look.draw(checks_table("Gate", [_row(check) for check in told.gates], with_margin=True))
    with right:
        look.heading("What would have had to be different", "the smallest changes found, each decided anew")
        look.draw(differences(told))
    _value(told)
    _voters(told)
    with st.expander("Risk checks"):
        look.draw(checks_table("Risk check", [_row(check) for check in told.risk_checks], with_margin=False))
    _origin(found, dagster_url)


def _tiles(found: Explained, told: Explanation) -> list[str]:
    agreeing = sum(voter.is_agreeing for voter in told.voters)
    net = told.waterfall[-1].value_r if told.waterfall and told.ev_reason is None else None
    again = ("✓ same bytes", "good") if found.is_same else ("✗ differs", "bad")
    return [
        look.tile("Agree", f"{agreeing} of {len(told.voters)}", "voters by heads"),
        look.tile("Independent votes", words.plain(told.effective_k), f"effective K of {agreeing}"),
        look.tile("Confidence", words.percent(told.p_win), "probability of a gain"),
        look.tile("Net EV", words.r_multiple(net), told.ev_reason or f"needs {told.ev_min_r:g} R"),
        look.tile("Made again", again[0], "from its stored inputs", again[1]),
        look.tile("Snapshot", str(found.snapshot["snapshot_version"]), f"chain {found.chain}, row {found.seq}"),
    ]


def _row(check: ExplainedCheck) -> Row:
    return {
        "name": check.name,
        "passed": _PASSED[check.verdict],
        "value": check.value,
        "threshold": check.threshold,
        "detail": check.detail,
    }


def differences(told: Explanation) -> str:
    """The nearest changes as a list."""
    if not told.counterfactuals:
        blocked = [check for check in told.risk_checks if check.verdict != "pass"]
        if told.decision_type == "risk_reject":
            items = "".join(f"<li>without <b>{escape(c.name)}</b>: {escape(c.detail)}</li>" for c in blocked)
            return f'<ul class="sp-what">{items}</ul>'
        return f'<div class="sp-say">{look.span("Nothing: every gate and every risk check passed.")}</div>'
    return f'<ul class="sp-what">{"".join(_difference(answer) for answer in told.counterfactuals)}</ul>'


def _difference(answer: Counterfactual) -> str:
    kind, tone = _KINDS.get(answer.then, (answer.then, ""))
    left = ", ".join(gate_name(name) for name in answer.not_passed)
    then = f"then {look.span(kind, tone)}" + (look.span(f"; still in the way: {left}", "quiet") if left else "")
    if not answer.is_proven:
        then = look.span("the gate stays unknown", "doubt")
    css = "" if answer.is_proven else ' class="unproven"'
    return f"<li{css}><b>{escape(gate_name(answer.gate))}</b>: {escape(answer.sentence)}; {then}</li>"


def _value(told: Explanation) -> None:
    needed = f"the dashed line at {told.ev_min_r:g} R is what net EV must reach"
    look.heading("Expected value, step by step", f"in R, multiples of what the stop risks; {needed}")
    if not told.waterfall:
        look.nothing(f"Nothing could be estimated: {told.ev_reason}.")
        return
    look.chart(explained_charts.waterfall_chart(told.waterfall, told.ev_min_r), "How the expected value was built up")
    if told.ev_reason is not None:
        st.caption(f"Net EV is not known: {told.ev_reason}.")


def voter_rows(told: Explanation) -> list[dict[str, Any]]:
    """One line a voter, by pseudonym."""
    return [
        {
            "Trader": voter.label,
            "Vote": f"{words.side(voter.direction.value)}{'' if voter.is_agreeing else ' (against)'}",
            "Age": words.span(voter.age_s),
            "Price": words.price(voter.price),
            "Notional": words.amount(voter.notional_usd),
            "Episodes": voter.n_episodes,
            "n eff": words.plain(voter.n_eff, 1),
            "Mean R": words.signed(voter.mean_r),
            "p win": words.percent(voter.p_win),
            "Record": voter.record_weight,
            "Vote weight": voter.vote_weight,
        }
        for voter in told.voters
    ]


_COLUMNS = {
    "Trader": st.column_config.TextColumn(help="a pseudonym: the same trader has the same name everywhere"),
    "n eff": st.column_config.TextColumn(help="closed episodes, older ones counting less"),
    "Mean R": st.column_config.TextColumn(help="posterior mean of the trader's R before costs"),
    "p win": st.column_config.TextColumn(help="probability that the trader's next R is above 0"),
    "Record": st.column_config.NumberColumn(help="κ / (κ + 10)", format="%.2f"),
    "Vote weight": st.column_config.ProgressColumn(
        help="record x size of the act: weight in effective K", min_value=0, max_value=1, format="%.2f", width="small"
    ),
}


def _voters(told: Explanation) -> None:
    left, right = st.columns([3, 2], gap="medium")
    with left:
        look.heading("Voters", "by pseudonym, oldest vote first")
        look.table(voter_rows(told), _COLUMNS, "Votes with the records behind them")
    with right:
        look.heading("Correlation of those who agree", "used values; ? is unmeasured and counts with rho0")
        if told.pairs:
            look.chart(explained_charts.correlation_chart(told.pairs), "Pairwise correlations")
        else:
            look.nothing("Fewer than two agree.")


def _origin(found: Explained, dagster_url: str | None) -> None:
    look.heading(
        "Where it comes from", f"model snapshot {found.snapshot['snapshot_version']} and the runs that made it"
    )
    lines = [
        {
            "Part": run["part"],
            "Asset": run["asset"],
            "Made (UTC)": words.instant(run["materialized_at"]),
            "Run": None if dagster_url is None else f"{dagster_url}/runs/{run['run_id']}",
        }
        for run in found.runs
    ]
    if lines:
        link = st.column_config.LinkColumn(
            help="in Dagster, which keeps runs for 14 days", display_text=r"/runs/(.{8})"
        )
        look.table(lines, {"Run": link}, "Runs of Dagster behind the snapshot")
    else:
        st.caption("The runs behind this snapshot were not noted.")
    digest = f"row {found.row_hash} · snapshot {found.snapshot['hash']} · decision {found.explanation.decision_id}"
    look.draw(f'<div class="sp-small">{look.span(digest)}</div>')
