"""The status page, run as Streamlit runs it: filled, empty, and with the database away."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from seed_rows import GATES, MODE, SIGNALS
from streamlit.testing.v1 import AppTest

from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_ui.status_page import look
from sigmapilot_ui.status_page.page import SECTIONS
from sigmapilot_ui.status_page.panels import checks, header, now


def script(engine: object, mode: str) -> None:  # run as a script of its own: it knows no import of this file
    from sigmapilot_ui.status_page.page import Page, draw

    draw(Page(engine, mode))


def opened(engine: sa.Engine, section: str = "Signals", mode: str = MODE) -> AppTest:
    page = AppTest.from_function(script, kwargs={"engine": engine, "mode": mode}, default_timeout=30)
    page.session_state["section"] = section
    page.run()
    assert not page.exception, page.exception
    return page


def text_of(page: AppTest) -> str:
    """Everything the page says, as one text."""
    found = [element.value for kind in ("caption", "info", "error", "subheader") for element in page.get(kind)]
    found += [element.proto.body for element in page.get("html")]
    found += [element.label for element in page.get("expander")]
    found += [element.value.to_string() for element in page.dataframe]
    return "\n".join(map(str, found))


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("engine", ["filled", "blank"])
def test_every_section_draws(engine: str, section: str, request: pytest.FixtureRequest) -> None:
    page = opened(request.getfixturevalue(engine), section)
    assert "SigmaPilot" in text_of(page)
    assert not page.error


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ("Signals", "Nothing has been decided yet. A signal needs at least three pool traders"),
        ("Signals", "before traders of the pool have acted there is none"),
        ("Traders", "No pool has been drawn yet"),
        ("Traders", "Correlations have not been measured yet"),
        ("Results", "until then there is no win rate"),
        ("Results", "No open position"),
        ("Science", "Not computed yet: run job walk_forward."),
        ("Science", "Not computed yet: run job fit_calibration."),
        ("Science", "Not computed yet: run job judge_gates."),
        ("Science", "Not computed yet: run job ask_truth."),
        ("Market", "No candles have been read yet"),
        ("Health", "The stream has not reported yet"),
    ],
)
def test_an_empty_page_says_what_it_waits_for(blank: sa.Engine, section: str, sentence: str) -> None:
    assert sentence in text_of(opened(blank, section))


@pytest.mark.parametrize("section", SECTIONS)
def test_without_the_database_the_page_stands_and_says_so(section: str) -> None:
    page = opened(create_engine("postgresql://nobody@/nothing?host=/nonexistent"), section)
    assert [error.value.startswith("The database does not answer") for error in page.error] == [True]
    assert "nonexistent" not in text_of(page)


def test_header_has_mode_mids_and_a_light_for_every_input(filled: sa.Engine) -> None:
    shown = text_of(opened(filled))
    for part in ("DEMO: A SIMULATED MARKET", "84,250.5", "1,935.25", "heartbeat", "canary"):
        assert part in shown


def test_a_database_of_another_mode_is_said_in_the_header(filled: sa.Engine) -> None:
    assert "asked for live, the database is of demo" in text_of(opened(filled, mode="live"))


def test_negative_numbers_keep_their_minus(filled: sa.Engine) -> None:
    shown = text_of(opened(filled, "Results"))
    for number in ("−$0.81", "−$8.40", "−1.06 R", "−$4.38"):
        assert number in shown


def test_a_result_of_zero_is_neither_won_nor_lost(filled: sa.Engine) -> None:
    assert "2 won, 2 lost, 1 at exactly 0" in text_of(opened(filled, "Results"))


def test_decisions_are_filtered_by_type_and_asset(filled: sa.Engine) -> None:
    page = opened(filled)
    page.session_state["decision_type"] = "Signals"
    page.run()
    assert len(page.expander) == SIGNALS
    page.selectbox(key="decision_symbol").set_value("ETH").run()
    assert len(page.expander) == SIGNALS // 2
    assert all("SIGNAL" in element.label and "ETH" in element.label for element in page.expander)


def test_more_decisions_are_shown_on_demand(filled: sa.Engine) -> None:
    page = opened(filled)
    assert len(page.expander) == 15
    page.button(key="decisions_more").click().run()
    assert len(page.expander) == 30


def test_an_opened_decision_has_its_seven_gates_and_what_it_rests_on(filled: sa.Engine) -> None:
    page = opened(filled)
    found = next(element for element in page.expander if "SIGNAL" in element.label)
    body = found.get("html")[0].proto.body
    for name in GATES:
        assert checks.gate_name(name) in body
    for part in ("✓ pass", "model snapshot 3", "id 00000000-0000-0000-0000-00000000d000", "Risk check", "cooldown"):
        assert part in body


def test_markup_in_names_and_details_is_shown_not_obeyed() -> None:
    evil = {
        "name": "ev_gate",
        "passed": False,
        "value": 0.1,
        "threshold": 0.2,
        "detail": "<img src=x onerror=alert(1)>",
    }
    assert "<img" not in checks.checks_table("Gate", [evil], with_margin=True)
    assert "<img" not in look.tile("<img>", "<img>", "<img>")


def test_margins_are_positive_on_the_passing_side() -> None:
    def check(name: str, value: float, threshold: float) -> dict[str, object]:
        return {"name": name, "passed": True, "value": value, "threshold": threshold, "detail": ""}

    assert checks.margin(check("supermajority", 0.67, 0.70)) == pytest.approx(-0.03)
    assert checks.margin(check("price_band", 0.08, 0.25)) == pytest.approx(0.17)
    assert checks.margin(check("cooldown", 100, 300)) is None
    assert checks.fill_pct(check("ev_gate", -0.4, 0.2)) == 0.0
    assert checks.fill_pct(check("ev_gate", 0.2, 0.2)) == 50.0
    assert checks.fill_pct(check("min_traders", 30, 3)) == 100.0


def test_every_gate_of_the_domain_has_a_side_and_a_name() -> None:
    from sigmapilot_core.domain.consensus.gates import GATE_NAMES

    for name in GATE_NAMES:
        assert checks.margin({"name": name, "value": 1.0, "threshold": 1.0}) == 0.0
        assert "_" not in checks.gate_name(name)


def test_an_unreadable_list_of_gates_is_said() -> None:
    assert "cannot be read" in checks.checks_table("Gate", None, with_margin=True)


def test_votes_are_named_most_first_and_the_quiet_are_counted() -> None:
    statuses = [
        {"symbol": symbol, "status": {"votes": {"long": up, "short": down}}}
        for symbol, up, down in (("SOL", 1, 0), ("BTC", 3, 1), ("ETH", 0, 0))
    ]
    shown, quiet = now.votes(statuses)
    assert shown.replace("\N{NO-BREAK SPACE}", " ") == "BTC ▲3 ▼1 · SOL ▲1 ▼0"
    assert quiet == "1 asset without votes"


def test_recordings_are_named_in_their_badge() -> None:
    assert "A RECORDED MARKET QUIET_DAY" in header.mode_badge("recording:quiet_day", "recording:quiet_day")
