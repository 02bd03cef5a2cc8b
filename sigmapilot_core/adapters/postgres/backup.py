"""Back-ups with the wheel's pg_dump: consistent while the system runs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sigmapilot_core.adapters.postgres.account import ServerError
from sigmapilot_core.adapters.postgres.binaries import PLAIN_ENVIRONMENT, wheel_binaries


def dump(connection: Mapping[str, str], target: Path) -> int:
    """Write the database that the `PG*` variables of `connection` name to `target`; returns its size in bytes.

    The file appears complete or not at all, readable by its owner only.

    Raises:
        ServerError: the server does not answer, the target cannot be written.
    """
    partial = target.with_name(f"{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise ServerError(f"back-up {target} cannot be written: {error.strerror}.") from error
    try:
        with os.fdopen(handle, "wb") as file:
            done = subprocess.run(
                [wheel_binaries() / "pg_dump", "--format=custom", "--no-password"],
                env={**PLAIN_ENVIRONMENT, **connection},
                stdout=file,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        if done.returncode != 0:
            raise ServerError(f"pg_dump failed: {done.stderr.strip().splitlines()[0]}")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target.stat().st_size
