"""A demo that has just started: what listens, what runs, and what is refused beside it in one sentence."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil
import pytest
from running_demo import Demo

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

INSTIGATORS = """
query Instigators($s: RepositorySelector!) {
  schedulesOrError(repositorySelector: $s) { ... on Schedules { results { name scheduleState { status } } } }
  sensorsOrError(repositorySelector: $s) { ... on Sensors { results { name sensorState { status } } } }
}
"""
SCHEDULES = {
    "audit_nightly",
    "calibration_daily",
    "completeness_every_15_minutes",
    "gates_daily",
    "leaderboard_daily",
    "minutes_hourly",
    "past_day_daily",
    "pool_daily",
    "truth_daily",
    "volatility_every_5_minutes",
    "walk_forward_daily",
}
SENSORS = {
    "automation",
    "closed_episodes",
    "deferred_snapshot",
    "failed_run",
    "kill_switch",
    "stream_overload",
    "stream_tables",
}


@pytest.fixture
def other_home(demo: Demo) -> Path:
    """A second home folder beside the demo's."""
    folder = demo.home / "other"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)
    return folder


def refusal(demo: Demo, *words: str, **environment: str) -> tuple[int, str]:
    """Exit code and the sentence on stderr of a command that cannot do what it is asked."""
    done = demo.sigmapilot(*words, **environment)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stdout
    return done.returncode, done.stderr


def test_every_part_is_ready_and_status_says_so(demo: Demo) -> None:
    done = demo.sigmapilot("status")
    assert done.returncode == 0, done.stdout
    expected = {"postgres", "emulator", "stream", "api", "dagster-code", "dagster-daemon", "dagster-webserver", "page"}
    assert demo.parts().keys() == expected
    assert {part["restarts"] for part in demo.parts().values()} == {0}


def test_every_listening_socket_is_loopback(demo: Demo) -> None:
    listening = {
        connection.laddr
        for process in demo.tree()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN or connection.type == socket.SOCK_DGRAM
    }
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert {address.port - demo.base for address in listening} == {0, 1, 2, 3, 4, 10, 20, 30, 31}


def test_the_token_is_printed_once_and_kept_in_a_private_file(demo: Demo) -> None:
    assert demo.said.read_text().count(demo.token) == 1
    assert (demo.home / "demo" / "api_token").stat().st_mode & 0o777 == 0o600
    seen = [line for process in demo.tree() for line in process.cmdline()]
    assert not any(demo.token in word for word in seen)


def test_schedules_and_sensors_run_without_being_switched_on(demo: Demo) -> None:
    selector = {"repositoryLocationName": "sigmapilot_assets", "repositoryName": "__repository__"}
    found = demo.graphql(INSTIGATORS, s=selector)
    schedules = {item["name"]: item["scheduleState"]["status"] for item in found["schedulesOrError"]["results"]}
    sensors = {item["name"]: item["sensorState"]["status"] for item in found["sensorsOrError"]["results"]}
    assert schedules.keys() == SCHEDULES
    assert sensors.keys() == SENSORS
    assert {*schedules.values(), *sensors.values()} == {"RUNNING"}


def test_a_second_up_names_the_owner(demo: Demo) -> None:
    assert demo.process is not None
    code, sentence = refusal(demo, "up", "--mode", "demo", "--port-base", str(demo.base + 40))
    assert code == 1
    assert f"already running in mode demo (process {demo.process.pid} since " in sentence


def test_an_occupied_port_is_named_with_its_owner_and_the_way_out(demo: Demo, other_home: Path) -> None:
    words = ("up", "--mode", "demo", "--port-base", str(demo.base))
    code, sentence = refusal(demo, *words, SIGMAPILOT_HOME=str(other_home))
    emulator = demo.parts()["emulator"]["pid"]
    assert code == 1
    assert f"port {demo.base + 10} on 127.0.0.1 is needed by emulator but process {emulator} (" in sentence
    assert "--port-base" in sentence


def test_a_wrong_setting_is_one_sentence_and_exit_code_2(demo: Demo) -> None:
    code, sentence = refusal(demo, "up", CONSENSUS_MIN_PCT="1.5")
    assert code == 2
    assert "CONSENSUS_MIN_PCT='1.5' is not allowed; allowed: a number above 0.5 up to 1" in sentence
    code, sentence = refusal(demo, "up", SIGMAPILOT_MOOD="demo")
    assert code == 2
    assert "SIGMAPILOT_MOOD is not a setting; the nearest one is SIGMAPILOT_MODE." in sentence


def test_the_database_of_another_mode_is_refused_and_left_alone(demo: Demo, other_home: Path) -> None:
    before = demo.sql("SELECT datname FROM pg_database ORDER BY 1")
    code, sentence = refusal(
        demo,
        *("up", "--mode", "recording:other", "--port-base", str(demo.base + 40)),
        SIGMAPILOT_HOME=str(other_home),
        SIGMAPILOT_RECORDING_DIR=str(other_home),
        SIGMAPILOT_DATABASE_URL=demo.sigmapilot("db", "url").stdout.strip(),
    )
    assert code == 1
    assert "this database belongs to mode 'demo' and mode 'recording:other' was asked for" in sentence
    assert demo.sql("SELECT datname FROM pg_database ORDER BY 1") == before


def test_an_external_database_that_does_not_answer_is_one_sentence(demo: Demo, other_home: Path) -> None:
    code, sentence = refusal(
        demo,
        *("up", "--mode", "demo", "--port-base", str(demo.base + 40)),
        SIGMAPILOT_HOME=str(other_home),
        SIGMAPILOT_DATABASE_URL=f"postgresql://someone:secret-word@127.0.0.1:{demo.base + 39}/sigmapilot",
    )
    assert code == 1
    assert f'connection to server at "127.0.0.1", port {demo.base + 39} failed: Connection refused' in sentence
    assert "secret-word" not in sentence


def test_live_without_an_exchange_is_one_sentence_that_says_where_it_was_asked(demo: Demo, other_home: Path) -> None:
    url = f"http://127.0.0.1:{demo.base + 39}"
    code, sentence = refusal(
        demo, "up", "--mode", "live", SIGMAPILOT_HOME=str(other_home), SIGMAPILOT_VENUE_API_URL=url
    )
    assert code == 1
    assert f"mode live needs the exchange, but it does not answer at {url} (" in sentence
    assert "sigmapilot demo" in sentence


def test_without_a_snapshot_it_is_alive_and_not_ready_and_says_why(demo: Demo) -> None:
    for port in range(5):
        assert demo.api("GET", "/healthz", port=port).json() == {"status": "alive", "mode": "demo"}
    answer = demo.api("GET", "/readyz")
    if demo.number("SELECT count(*) FROM model_snapshots") == 0:
        assert answer.status_code == 503
        assert "model snapshot" in answer.json()["error"]
