"""One part of SigmaPilot in a container: secrets from files, then the command line that `sigmapilot up` starts it with.

part.py databases      create, migrate and mark the databases, then exit
part.py NAME           become the part NAME of `sigmapilot status`: stream, api, dagster-code, ...
part.py daemon-alive   exit code 0 if the Dagster daemon has a recent heartbeat
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import quote

from pydantic import SecretStr

from sigmapilot_cli.errors import CommandError
from sigmapilot_cli.migration import prepare_databases
from sigmapilot_cli.plan import full_plan, processes
from sigmapilot_cli.runner import make_mode_dir
from sigmapilot_cli.supervisor.spec import ProcessSpec
from sigmapilot_core.adapters.settings import Settings, SettingsError, load_settings

SECRETS = Path("/run/secrets")


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
    specs = {spec.name: spec for spec in processes(full_plan(settings, settings.api_token or SecretStr("")))}
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


def main(name: str) -> int:
    """Exit code: 0 done, 1 not done, 2 wrong settings; a part that starts does not come back."""
    try:
        settings = settings_of()
        make_mode_dir(settings)
        if name == "databases":
            prepare_databases(settings)
        elif name == "daemon-alive":
            ask_daemon(settings)
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
