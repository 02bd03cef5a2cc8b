"""One part of SigmaPilot in a container: secrets from files, then the command line that `sigmapilot up` starts it with.

part.py databases      create, migrate and mark the databases, then exit
part.py NAME           become the part NAME of `sigmapilot status`: stream, api, dagster-code, ...
part.py worker         become a worker of the stream, on the first free port
part.py daemon-alive   exit code 0 if the Dagster daemon has a recent heartbeat
part.py worker-alive   exit code 0 if the worker of this container answers
"""

from __future__ import annotations

import os
import sys
import urllib.request
from pathlib import Path
from urllib.parse import quote

import psutil
from pydantic import SecretStr

from sigmapilot_cli.errors import CommandError
from sigmapilot_cli.migration import prepare_databases
from sigmapilot_cli.plan import full_plan, processes, worker
from sigmapilot_cli.runner import make_mode_dir
from sigmapilot_cli.supervisor.spec import ProcessSpec
from sigmapilot_core.adapters.settings import Settings, SettingsError, load_settings
from sigmapilot_core.adapters.settings_values import MAX_WORKERS

SECRETS = Path("/run/secrets")
TIMEOUT_S = 5.0


def secret(name: str, folder: Path = SECRETS) -> str | None:
    """A secret's text; None for one this container is not given."""
    path = folder / name
    return path.read_text().strip() if path.exists() else None


def settings_of(folder: Path = SECRETS) -> Settings:
    """Settings of the environment, with the database of the compose file and the secrets on top.

    Raises:
        CommandError: there is no password for the database.
    """
    password = secret("postgres_password", folder)
    if not password:
        raise CommandError(f"the secret postgres_password is missing or empty; allowed: a file in {folder}.")
    base = f"postgresql://sigmapilot:{quote(password, safe='')}@postgres:5432"
    return load_settings(
        {
            "SIGMAPILOT_DATABASE_URL": f"{base}/sigmapilot_{load_settings().mode.slug}",
            "SIGMAPILOT_API_TOKEN": secret("api_token", folder),
        }
    )


def part(name: str, settings: Settings) -> ProcessSpec:
    """What `sigmapilot up` would start.

    Raises:
        CommandError: the mode has no such part.
    """
    planned = processes(full_plan(settings, settings.api_token or SecretStr("")))
    specs = {spec.name: spec for spec in planned if not spec.name.startswith("worker-")}
    if settings.broker_url is not None:
        specs["worker"] = worker(settings, 0)
    if name not in specs:
        raise CommandError(f"mode {settings.mode} has no part {name!r}; allowed: {' | '.join(specs)} | databases.")
    return specs[name]


def become(spec: ProcessSpec) -> None:
    """Replace this process by the part."""
    if spec.before_start is not None:
        spec.before_start()
    os.chdir(spec.cwd)
    os.execvpe(spec.argv[0], spec.argv, dict(spec.env))


def ask_daemon(settings: Settings) -> None:
    """Replace this process by Dagster's own check of the daemon's heartbeats."""
    spec = part("dagster-daemon", settings)
    os.chdir(spec.cwd)
    os.execvpe(sys.executable, [sys.executable, "-m", "dagster._daemon", "liveness-check"], dict(spec.env))


def worker_port(settings: Settings) -> int | None:
    """Where the worker of this container listens: all share a network, and each sees its own processes only."""
    ours = {settings.ports.worker_metrics(number) for number in range(1, MAX_WORKERS + 1)}
    for process in psutil.process_iter():
        try:
            links = process.net_connections("tcp")
        except psutil.Error:
            continue  # gone meanwhile, or not ours
        for link in links:
            if link.status == psutil.CONN_LISTEN and link.laddr.port in ours:
                return int(link.laddr.port)
    return None


def ask_worker(settings: Settings) -> bool:
    """Whether the worker of this container answers."""
    port = worker_port(settings)
    if port is None:
        return False
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=TIMEOUT_S) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def main(name: str) -> int:
    """Exit code: 0 done, 1 not done, 2 wrong settings; a part that starts does not come back."""
    try:
        settings = settings_of()
        make_mode_dir(settings)
        if name == "databases":
            prepare_databases(settings)
        elif name == "daemon-alive":
            ask_daemon(settings)
        elif name == "worker-alive":
            return 0 if ask_worker(settings) else 1
        else:
            become(part(name, settings))
    except SettingsError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 2
    except CommandError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
