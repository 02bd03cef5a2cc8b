"""`sigmapilot kill-switch`: a request is written, waited for, and shown with who and why."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import execution_store, operator_store
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.domain.params import RiskParams
from sigmapilot_core.domain.risk import kill_switch
from sigmapilot_core.domain.risk.state import RiskState

Command = Callable[..., tuple[int, str, str]]
NOW_MS = 1_773_576_000_000


@pytest.fixture
def engine(pg_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    monkeypatch.setenv("SIGMAPILOT_DATABASE_URL", pg_url)
    found = create_engine(pg_url)
    yield found
    found.dispose()


def answer_all(engine: sa.Engine, now_ms: int) -> None:
    """As the stream does."""
    with engine.begin() as connection:
        state = execution_store.read_risk(connection)
        for request in operator_store.unanswered_switch_requests(connection):
            state, given = kill_switch.answer(state, request, now_ms, RiskParams())
            execution_store.store_switch_answer(connection, request, given, now_ms)
        execution_store.store_risk(connection, state, now_ms)


def test_without_a_stream_the_request_stands_and_that_is_said(engine: sa.Engine, command: Command) -> None:
    code, _, error = command("kill-switch", "on", "--reason", "an  incident\n", "--by", "anna", "--wait", "0")
    assert (code, len(error.splitlines())) == (3, 1)
    assert "the request is written" in error
    _, said, _ = command("kill-switch", "status", "--json")
    (waiting,) = json.loads(said)["pending"]
    assert (waiting["reason"], waiting["requested_by"], waiting["via"]) == ("an incident", "anna", "cli")


def test_status_says_what_happened_and_who_asked(engine: sa.Engine, command: Command) -> None:
    assert command("kill-switch", "status")[1].startswith("kill switch unknown: the stream never ran")
    command("kill-switch", "on", "--reason", "incident", "--by", "anna", "--wait", "0")
    answer_all(engine, NOW_MS)
    _, said, _ = command("kill-switch", "status")
    assert said.startswith("kill switch on since 15 Mar 12:00:00 UTC: by hand: incident;")
    assert "anna (cli)" in said


def test_a_refused_release_is_exit_code_1(engine: sa.Engine, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with engine.begin() as connection:
        execution_store.store_risk(connection, kill_switch.trip_kill_switch(RiskState(), NOW_MS, "loss"), NOW_MS)
    monkeypatch.setattr("sigmapilot_cli.kill_switch.time.sleep", lambda _: answer_all(engine, NOW_MS + 1))
    code, said, _ = command("kill-switch", "off", "--reason", "over")
    assert code == 1
    assert said.startswith("kill switch refused: kill switch is 0.0 h old")
    code, said, _ = command("kill-switch", "off", "--reason", "over", "--force")
    assert code == 0
    assert said.startswith("kill switch off: released after 0.0 h, before its time")


def test_a_reason_is_needed(engine: sa.Engine, command: Command) -> None:
    code, _, error = command("kill-switch", "on", "--reason", "  ")
    assert (code, error) == (1, "sigmapilot: reason is ''; allowed is 1 to 500 characters.\n")
