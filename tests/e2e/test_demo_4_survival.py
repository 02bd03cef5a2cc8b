"""kill -9 of one part after the other: each is back, the others go on, and nothing is lost, doubled or broken."""

from __future__ import annotations

import os
import signal

import pytest
from running_demo import Demo, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# what must be 0 whatever was killed: each effect happens once
DOUBLED = {
    "decisions with one id": "SELECT count(*) - count(DISTINCT id) FROM decision_logs",
    "decisions without their id": "SELECT count(*) FROM decision_logs WHERE id NOT IN (SELECT id FROM decision_ids)",
    "ids without a decision": "SELECT count(*) FROM decision_ids WHERE id NOT IN (SELECT id FROM decision_logs)",
    "decisions without inputs": "SELECT count(*) FROM decision_logs WHERE id NOT IN "
    "(SELECT decision_id FROM decision_inputs)",
    "signals without a decision": "SELECT count(*) FROM consensus_signals WHERE id NOT IN "
    "(SELECT id FROM decision_logs)",
    "entries of one decision": "SELECT count(*) - count(DISTINCT decision_id) FROM execution_logs WHERE leg = 'entry'",
    "orders with one client id": "SELECT count(*) - count(DISTINCT client_order_id) FROM execution_logs",
    "fills with one id": "SELECT count(*) - count(DISTINCT (address, time_ms, coin, tid)) FROM fills",
    "parked records": "SELECT count(*) FROM dead_records",
}
EVENTS = ("BTC", "ETH", "SOL")


@pytest.mark.parametrize("name", ["stream", "api", "emulator", "postgres", "dagster-code"])
def test_a_killed_part_is_back_and_decisions_go_on(signalled: Demo, name: str) -> None:
    until("every part is ready", lambda: _all_ready(signalled), 120)
    before = signalled.parts()[name]
    killed_at = signalled.sql("SELECT now()")[0][0]
    os.kill(before["pid"], signal.SIGKILL)
    until(f"{name} is started again", lambda: signalled.parts()[name]["restarts"] == before["restarts"] + 1, 30)
    until("every part is ready again", lambda: _all_ready(signalled), 180)
    for coin in EVENTS:
        signalled.emulator("/emulator/event", {"coin": coin, "kind": "info", "direction": "long", "sigmas": 3})
    newer = f"SELECT count(*) FROM decision_logs WHERE decided_at > '{killed_at}'"
    until("something is decided", lambda: signalled.number_if_it_answers(newer) > 0, 120)
    until("the API is ready", lambda: signalled.api("GET", "/readyz").status_code == 200, 60)
    assert {what: signalled.number(query) for what, query in DOUBLED.items()} == dict.fromkeys(DOUBLED, 0)
    done = signalled.sigmapilot("verify")
    assert done.returncode == 0, done.stdout + done.stderr


def _all_ready(demo: Demo) -> bool:
    return all(part["state"] == "ready" for part in demo.parts().values())


def test_after_its_code_server_was_killed_dagster_still_works(signalled: Demo) -> None:
    query = """query Runs($f: RunsFilter!) { runsOrError(filter: $f, limit: 1) { ... on Runs {
        results { runId status } } } }"""

    def newest() -> dict[str, str]:
        return signalled.graphql(query, f={"pipelineName": "compute_correlation"})["runsOrError"]["results"][0]

    answers: list[str] = []

    def started() -> str | None:
        """The id of a new run; None while an older one is under way, or Dagster finds its database again."""
        answer = signalled.api("POST", "/correlation/compute", token=signalled.token)
        answers.append(answer.text)
        assert answer.status_code in (202, 409, 503), answer.text
        return answer.json().get("run_id")

    def has_ended() -> bool:
        assert newest()["runId"] == run_id
        assert newest()["status"] not in ("FAILURE", "CANCELED")
        return newest()["status"] == "SUCCESS"

    try:
        run_id = until("a new run is accepted", started, 240, every_s=1)
    except AssertionError as error:
        raise AssertionError(f"{error}: {answers[-3:]}") from error
    until("the run succeeds", has_ended, 180, every_s=1)
