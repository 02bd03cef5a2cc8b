"""The embedded Postgres server as a child of its one owner; everyone else only connects.

It listens on a socket in a folder that belongs to the server's account alone (0700) and on no network address. Who
connects is known by the kernel (`peer`), and only the operator's account is let in: there is no password to leak.
The wheel's own `get_server()` is not used: it takes a killed server that nobody reaped for a running one, and as root
it opens every folder above the data to everyone.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import IO

import psutil
import psycopg

from sigmapilot_core.adapters.child_process import die_with_parent
from sigmapilot_core.adapters.postgres.account import ServerAccounts, ServerError, server_accounts
from sigmapilot_core.adapters.postgres.binaries import PLAIN_ENVIRONMENT, usable_binaries
from sigmapilot_core.adapters.postgres.databases import ensure_role
from sigmapilot_core.adapters.postgres.paths import (
    APPLICATION_ROLE,
    MAX_SOCKET_PATH_BYTES,
    SOCKET_NAME,
    SUPERUSER_ROLE,
    ServerPaths,
)

_POLL_S = 0.02
_NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class EmbeddedServer:
    """One Postgres cluster and its server process.

    `prepare` makes everything ready for `argv` to be started by whoever supervises; `start` and `stop` do all of it
    in this process. `durable` False is for tests: faster, and lost with the machine.
    """

    def __init__(self, paths: ServerPaths, copies: Path, *, durable: bool = True) -> None:
        self.paths = paths
        self.accounts: ServerAccounts = server_accounts()
        self._copies = copies
        self._durable = durable
        self._binaries: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def binaries(self) -> Path:
        if self._binaries is None:
            self._binaries = usable_binaries(self.accounts.server, self._copies)
        return self._binaries

    @property
    def argv(self) -> tuple[str, ...]:
        """Command line of the server; start it with `accounts.server.spawn`, `die_with_parent(SIGINT)`, cwd `/`."""
        options = [
            f"hba_file={self.paths.root / 'pg_hba.conf'}",
            f"ident_file={self.paths.root / 'pg_ident.conf'}",
            "unix_socket_permissions=0700",
            "timezone=UTC",
            "log_timezone=UTC",
            *(() if self._durable else _NOT_DURABLE),
        ]
        flags = [word for option in options for word in ("-c", option)]
        program = str(self.binaries / "postgres")
        return (program, "-D", str(self.paths.data), "-k", str(self.paths.socket_dir), "-h", "", *flags)

    def prepare(self) -> None:
        """Folders, cluster, access rules; and nothing left of a killed server.

        Raises:
            ServerError: a folder is out of reach, initdb failed, or another server still runs on this data.
        """
        self._check_socket_path()
        self._make_folders()
        self._create_cluster()
        self._write_access_rules()
        self._clear_leftovers()

    def start(self, log: IO[bytes] | int = subprocess.DEVNULL, timeout_s: float = 30) -> None:
        """Prepare, start and wait until it answers.

        Raises:
            ServerError: the server ended or did not answer in time.
        """
        self.prepare()
        self._process = subprocess.Popen(
            self.argv,
            env=PLAIN_ENVIRONMENT,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGINT),
            **self.accounts.server.spawn,
        )
        deadline = time.monotonic() + timeout_s
        while not self.answers():
            if self._process.poll() is not None:
                raise ServerError(f"Postgres ended with status {self._process.returncode} before it answered.")
            if time.monotonic() > deadline:
                self.stop()
                raise ServerError(f"Postgres did not answer within {timeout_s:g} s.")
            time.sleep(_POLL_S)
        ensure_role(self.paths)

    def stop(self, timeout_s: float = 15) -> None:
        """Fast shutdown; harder after `timeout_s`. Returns when the process is reaped."""
        process, self._process = self._process, None
        if process is None:
            return
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            process.send_signal(how)
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                continue
            return

    @property
    def pid(self) -> int | None:
        """Process id while started by `start`."""
        return self._process.pid if self._process else None

    def answers(self) -> bool:
        """Whether the server takes connections now."""
        try:
            with psycopg.connect(self.paths.url("postgres", SUPERUSER_ROLE), connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def _check_socket_path(self) -> None:
        path = self.paths.socket_dir / SOCKET_NAME
        if len(bytes(path)) > MAX_SOCKET_PATH_BYTES:
            raise ServerError(f"socket path {path} is longer than {MAX_SOCKET_PATH_BYTES} bytes.")

    def _make_folders(self) -> None:
        server = self.accounts.server
        _make_enterable(self.paths.root)
        if server.uid is not None:
            self._check_reachable(server.uid)
        server.take(self.paths.root, 0o700)
        socket_dir = self.paths.socket_dir
        socket_dir.mkdir(exist_ok=True)
        if socket_dir.lstat().st_uid not in (os.geteuid(), server.uid) or socket_dir.is_symlink():
            raise ServerError(f"folder {socket_dir} belongs to another user; remove it or choose another home folder.")
        server.take(socket_dir, 0o700)

    def _check_reachable(self, uid: int) -> None:
        for folder in self.paths.root.parents:
            status = folder.stat()
            if not (status.st_mode & 0o001 or (status.st_uid == uid and status.st_mode & 0o100)):
                raise ServerError(
                    f"user {self.accounts.server.name} (id {uid}), who runs Postgres, cannot enter {folder}; choose a "
                    "SIGMAPILOT_HOME below folders everyone may enter, such as /var/lib/sigmapilot."
                )

    def _create_cluster(self) -> None:
        """initdb beside its final place, then renamed: an interrupted one never looks like a cluster."""
        if (self.paths.data / "PG_VERSION").exists():
            return
        creator, server, staging = self.accounts.creator, self.accounts.server, self.paths.root / "initdb"
        for unfinished in (staging, self.paths.data):
            shutil.rmtree(unfinished, ignore_errors=True)
        creator.take(self.paths.root)
        made = subprocess.run(
            [
                self.binaries / "initdb",
                *("-D", staging, "-U", SUPERUSER_ROLE, "--auth=peer", "--no-instructions", "--encoding=UTF8"),
                *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *(() if self._durable else ("--no-sync",)),
            ],
            env=PLAIN_ENVIRONMENT,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **creator.spawn,
        )
        if made.returncode != 0:
            raise ServerError(f"initdb failed in {self.paths.root}: {_last_line(made.stderr)}")
        server.take_tree(self.paths.root)
        staging.rename(self.paths.data)

    def _write_access_rules(self) -> None:
        roles = (SUPERUSER_ROLE, APPLICATION_ROLE)
        operator = self.accounts.operator.replace('"', '""')
        rules = {
            "pg_hba.conf": "local all all peer map=operator\n",
            "pg_ident.conf": "".join(f'operator "{operator}" {role}\n' for role in roles),
        }
        for name, text in rules.items():
            path = self.paths.root / name
            path.write_text(text)
            self.accounts.server.take(path, 0o600)

    def _clear_leftovers(self, timeout_s: float = 20) -> None:
        """Wait for a dying server's processes, then remove the lock files that name dead ones.

        Postgres removes stale lock files itself unless their process id is taken: by another program, or by its own
        unreaped corpse where process 1 does not reap. Its processes are known by their working folder.
        """
        deadline = time.monotonic() + timeout_s
        while running := _server_pids(self.paths.data):
            if time.monotonic() > deadline:
                raise ServerError(f"Postgres process {running[0]} still runs on {self.paths.data}; stop it first.")
            time.sleep(_POLL_S)
        (self.paths.data / "postmaster.pid").unlink(missing_ok=True)
        for name in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):
            (self.paths.socket_dir / name).unlink(missing_ok=True)


def _server_pids(data: Path) -> list[int]:
    """Living processes of a server on this data folder, orphaned workers included."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == "postgres" and process.cwd() == str(data):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # zombies have no working folder
            continue
    return found


def _make_enterable(folder: Path) -> None:
    """Create a folder and what is missing above it so that others may pass through, whatever the umask."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(exist_ok=True)
        missing.chmod(0o711)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]
