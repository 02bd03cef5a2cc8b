"""One `sigmapilot up` a mode: a lock the kernel frees however its owner ends, with the owner's name in it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sigmapilot_cli.errors import CommandError

FILE_NAME = "up.lock"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who runs a mode. `port_base` None: the standard ports."""

    pid: int
    since: str
    mode: str
    port_base: int | None


@contextlib.contextmanager
def single_instance(mode_dir: Path, mode: str, port_base: int | None) -> Iterator[None]:
    """Hold the lock of a mode.

    Raises:
        CommandError: someone else holds it; the sentence names who.
    """
    with (mode_dir / FILE_NAME).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = _read(mode_dir)
            who = f"process {found.pid} since {found.since}" if found else "another process"
            raise CommandError(
                f"SigmaPilot is already running in mode {mode} ({who}); stop it with `sigmapilot down --mode {mode}`."
            ) from None
        owner = Owner(os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"), mode, port_base)
        file.truncate(0)
        file.write(json.dumps(asdict(owner)))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def owner_of(mode_dir: Path) -> Owner | None:
    """Who runs this mode now; None if nobody does. A file left by a killed owner does not count."""
    try:
        file = (mode_dir / FILE_NAME).open()
    except FileNotFoundError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read(mode_dir)
    return None


def running_modes(home: Path) -> list[Owner]:
    """Everyone who runs a mode in this home folder."""
    found = [owner_of(path.parent) for path in sorted(home.glob(f"*/{FILE_NAME}"))]
    return [owner for owner in found if owner is not None]


def _read(mode_dir: Path) -> Owner | None:
    try:
        return Owner(**json.loads((mode_dir / FILE_NAME).read_text()))
    except (json.JSONDecodeError, TypeError):  # the owner is writing it this moment
        return None
