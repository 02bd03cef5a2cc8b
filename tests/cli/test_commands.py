"""The command line: what a person gets to see when something is wrong, and the commands that need no running system."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_parts import fake_part, free_port
from typer.testing import CliRunner

from sigmapilot_cli.api_token import ensure_token, known_token
from sigmapilot_cli.demo import demo_mode
from sigmapilot_cli.errors import CommandError
from sigmapilot_cli.lock import owner_of, single_instance
from sigmapilot_cli.main import cli
from sigmapilot_cli.plan import full_plan, processes
from sigmapilot_cli.ports import require_free_ports
from sigmapilot_cli.runner import make_mode_dir, require_venue
from sigmapilot_cli.supervisor.log_file import RotatingLog, last_lines
from sigmapilot_core.adapters.postgres.databases import drop_database, ensure_database
from sigmapilot_core.adapters.settings import Settings, load_settings

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = load_settings(environ={"SIGMAPILOT_HOME": str(tmp_path)})
    make_mode_dir(found)
    return found


def test_bad_configuration_is_one_sentence_and_exit_code_2(command: Command) -> None:
    code, _, error = command("up", "--mode", "production")
    assert code == 2
    assert error.startswith("sigmapilot: SIGMAPILOT_MODE='production' is not allowed; allowed: demo | live")
    assert len(error.splitlines()) == 1


def test_a_home_that_cannot_be_made_is_one_sentence_and_exit_code_2(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, _, error = command("up", home=tmp_path / "file")
    assert (code, len(error.splitlines())) == (2, 1)
    assert "cannot be used: Not a directory" in error


def test_db_url_prints_the_url_and_touches_nothing(command: Command, tmp_path: Path) -> None:
    code, said, _ = command("db", "url", "--mode", "live")
    assert (code, said) == (
        0,
        f"postgresql://sigmapilot@/sigmapilot_live?host={tmp_path}/live/postgres/run&port=5432\n",
    )
    assert list(tmp_path.iterdir()) == []


def test_db_url_means_the_mode_that_runs(command: Command, tmp_path: Path) -> None:
    live = load_settings(environ={"SIGMAPILOT_HOME": str(tmp_path), "SIGMAPILOT_MODE": "live"})
    make_mode_dir(live)
    with single_instance(live.mode_dir, "live", None):
        assert "/sigmapilot_live?" in command("db", "url")[1]
    assert "/sigmapilot_demo?" in command("db", "url")[1]


def test_db_backup_without_a_server_is_one_sentence(command: Command) -> None:
    code, _, error = command("db", "backup")
    assert (code, len(error.splitlines())) == (1, 1)
    assert "pg_dump failed" in error


def test_db_migrate_and_backup_work_on_an_external_server(
    command: Command, monkeypatch: pytest.MonkeyPatch, pg_empty_url: str, tmp_path: Path
) -> None:
    monkeypatch.setenv("SIGMAPILOT_DATABASE_URL", pg_empty_url)
    dagster_url = pg_empty_url.replace("/test_", "/dagster_")
    monkeypatch.setenv("SIGMAPILOT_DAGSTER_DATABASE_URL", dagster_url)
    try:
        assert command("db", "migrate")[:2] == (0, "the schema of mode demo is up to date.\n")
        code, said, _ = command("db", "backup")
        assert code == 0
        assert Path(said.split()[0]).stat().st_size > 1000
        monkeypatch.setenv("SIGMAPILOT_MODE", "live")
        code, _, error = command("db", "migrate")
        assert code == 1
        assert "this database belongs to mode 'demo' and mode 'live' was asked for" in error
    finally:
        drop_database(dagster_url)


def test_reset_of_an_external_server_drops_both_databases(
    command: Command, monkeypatch: pytest.MonkeyPatch, pg_empty_url: str
) -> None:
    dagster_url = pg_empty_url.replace("/test_", "/dagster_")
    monkeypatch.setenv("SIGMAPILOT_DATABASE_URL", pg_empty_url)
    monkeypatch.setenv("SIGMAPILOT_DAGSTER_DATABASE_URL", dagster_url)
    ensure_database(dagster_url)
    assert command("reset", "--mode", "demo", "--yes")[0] == 0
    assert ensure_database(pg_empty_url)
    assert ensure_database(dagster_url)
    drop_database(dagster_url)


def test_reset_asks_and_takes_only_the_modes_name_for_a_yes(settings: Settings) -> None:
    environment = {"SIGMAPILOT_HOME": str(settings.home)}
    refused = CliRunner().invoke(cli, ["reset", "--mode", "demo"], input="y\n", env=environment)
    assert isinstance(refused.exception, CommandError)
    assert settings.mode_dir.exists()
    assert CliRunner().invoke(cli, ["reset", "--mode", "demo"], input="demo\n", env=environment).exit_code == 0
    assert not settings.mode_dir.exists()


def test_reset_of_nothing_says_so(command: Command) -> None:
    assert "has stored nothing" in command("reset", "--mode", "testnet", "--yes")[1]


def test_status_and_down_without_a_system_say_so(command: Command) -> None:
    assert command("status")[:2] == (1, "SigmaPilot does not run in mode demo; start it with `sigmapilot up`.\n")
    assert command("down")[:2] == (0, "SigmaPilot does not run in mode demo.\n")


def test_settings_masks_secrets(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMAPILOT_API_TOKEN", "correct-horse-battery-staple")
    code, said, _ = command("settings", "--json")
    rows = {row["name"]: row for row in json.loads(said)}
    assert code == 0
    assert rows["SIGMAPILOT_API_TOKEN"]["value"] == "***"
    assert rows["CONSENSUS_MIN_PCT"]["value"] == "0.7"


def test_live_without_a_network_is_one_sentence(settings: Settings) -> None:
    environ = {"SIGMAPILOT_MODE": "live", "SIGMAPILOT_VENUE_API_URL": f"http://127.0.0.1:{free_port()}"}
    with pytest.raises(
        CommandError, match=r"mode live needs the exchange, but it does not answer at http://127\.0\.0\.1:"
    ):
        require_venue(load_settings(environ=environ))


def test_a_taken_port_names_port_part_owner_and_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError) as caught:
            require_free_ports([fake_part("stream", tmp_path / "story", port=port)])
    words = str(caught.value)
    assert words.startswith(f"port {port} on 127.0.0.1 is needed by stream but process {os.getpid()} (")
    assert "--port-base" in words


def test_the_token_is_made_once_and_private(settings: Settings) -> None:
    token, made = ensure_token(settings)
    again, made_again = ensure_token(settings)
    assert (made, made_again) == (True, False)
    assert token == again == known_token(settings)
    assert len(token.get_secret_value()) >= 32
    assert stat.S_IMODE(settings.token_file.stat().st_mode) == 0o600


def test_a_given_token_is_used_and_not_stored(tmp_path: Path) -> None:
    environ = {"SIGMAPILOT_HOME": str(tmp_path), "SIGMAPILOT_API_TOKEN": "correct-horse-battery-staple"}
    given = load_settings(environ=environ)
    make_mode_dir(given)
    assert ensure_token(given) == (given.api_token, False)
    assert not given.token_file.exists()


def test_the_lock_is_free_after_use(settings: Settings) -> None:
    with single_instance(settings.mode_dir, "demo", 5100):
        owner = owner_of(settings.mode_dir)
        assert owner is not None
        assert (owner.pid, owner.mode, owner.port_base) == (os.getpid(), "demo", 5100)
    assert owner_of(settings.mode_dir) is None
    assert not (settings.mode_dir / "up.lock").exists()


def test_logs_rotate_and_the_oldest_goes(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "x.log", max_bytes=10, keep=2)
    for text in (b"first\n", b"second\n", b"third\n", b"fourth\n"):
        log.write(text)
    log.close()
    files = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert files == {"x.log": "fourth\n", "x.log.1": "third\n", "x.log.2": "second\n"}
    assert last_lines(tmp_path / "x.log", 5) == ["fourth"]


def test_the_plan_starts_what_the_mode_needs_in_order(settings: Settings) -> None:
    token, _ = ensure_token(settings)
    demo = [item.name for item in full_plan(settings, token)]
    assert demo == [
        *("postgres", "databases", "emulator", "stream", "api"),
        *("dagster-code", "dagster-daemon", "dagster-webserver", "page"),
    ]
    environ = {"SIGMAPILOT_MODE": "live", "SIGMAPILOT_DATABASE_URL": "postgresql://bob@db/x"}
    live = [item.name for item in full_plan(load_settings(environ=environ), token)]
    assert live == [name for name in demo if name not in ("postgres", "emulator")]


def test_only_parts_that_check_the_token_are_given_it(settings: Settings) -> None:
    token, _ = ensure_token(settings)
    live = load_settings(environ={"SIGMAPILOT_MODE": "live", "SIGMAPILOT_HOME": str(settings.home)})
    demo, real = full_plan(settings, token), full_plan(live, token)
    assert [spec.name for spec in processes(demo) if "SIGMAPILOT_API_TOKEN" in spec.env] == [
        "emulator",
        "stream",
        "api",
    ]
    assert [spec.name for spec in processes(real) if "SIGMAPILOT_API_TOKEN" in spec.env] == ["api"]


def test_no_secret_is_on_a_command_line(settings: Settings) -> None:
    token, _ = ensure_token(settings)
    environ = {"SIGMAPILOT_DATABASE_URL": "postgresql://bob:hunter2@db/x", "SIGMAPILOT_HOME": str(settings.home)}
    words = [word for spec in processes(full_plan(load_settings(environ=environ), token)) for word in spec.argv]
    assert not any("hunter2" in word or token.get_secret_value() in word for word in words)


def test_a_recording_that_is_not_there_is_one_sentence_and_exit_code_2(command: Command, tmp_path: Path) -> None:
    code, _, error = command("demo", "--recording", str(tmp_path / "missing"))
    assert (code, len(error.splitlines())) == (2, 1)
    assert "mode recording:missing: SIGMAPILOT_RECORDING_DIR=" in error


@pytest.mark.parametrize(
    ("folder", "mode"),
    [(None, "demo"), ("/data/hl-node-fills-20251027", "recording:hl_node_fills_20251027"), ("/", "recording:unnamed")],
)
def test_a_recordings_mode_is_named_after_its_folder(folder: str | None, mode: str) -> None:
    assert demo_mode(folder) == mode


def test_evaluation_says_what_it_lacks(command: Command) -> None:
    code, _, error = command("evaluate", "--world", "1", "--from", "2025-03-02", "--to", "2025-03-01")
    assert (code, error) == (1, "sigmapilot: --from 2025-03-02 is not before --to 2025-03-01\n")
    code, _, error = command(
        "evaluate", "--world", "1", "--traders", "20", "--from", "2025-03-01", "--to", "2025-03-03"
    )
    assert (code, error) == (1, "sigmapilot: the record has 2.0 days; more than 60 are needed\n")


def test_an_evaluation_of_stored_history_says_what_it_lacks_with_the_right_exit_code(
    command: Command, pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGMAPILOT_DATABASE_URL", pg_url)
    code, _, error = command("evaluate")
    assert (code, error) == (
        1, "sigmapilot: no history is stored: no leaderboard was fetched yet; run job materialise_all\n"
    )  # fmt: skip
    code, _, error = command("evaluate", "--from", "2026-03-02", "--to", "2026-03-01")
    assert (code, error) == (2, "sigmapilot: --from 2026-03-02 is not before --to 2026-03-01\n")


@pytest.mark.slow
def test_evaluation_of_a_world_prints_every_strategy(command: Command, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    days = ("--from", "2025-03-01", "--to", "2025-05-03", "--traders", "100")
    code, shown, _ = command("evaluate", "--world", "3", *days, "--json", str(report))
    assert code == 0
    assert "R per trade after costs" in shown
    assert {line["strategy"] for line in json.loads(report.read_text())["lines"]} == {
        "consensus",
        "consensus, portfolio limits",
        "consensus, pool by posterior mean",
        "consensus, random pool",
        "pool copied one by one",
        "all leaderboard traders",
        "no trade",
    }
