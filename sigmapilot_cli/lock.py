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
from typing import IO

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
    """Hold the lock of a mode; its file is there while it is held.

    Raises:
        CommandError: someone else holds it; the sentence names who.
    """
    path = mode_dir / FILE_NAME
    with _locked(path) as file:
        if file is None:
            found = _read(mode_dir)
            who = f"process {found.pid} since {found.since}" if found else "another process"
            raise CommandError(
                f"SigmaPilot is already running in mode {mode} ({who}); stop it with `sigmapilot down --mode {mode}`."
            )
        owner = Owner(os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"), mode, port_base)
        file.truncate(0)
        file.write(json.dumps(asdict(owner)))
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[IO[str] | None]:
    """The lock file, locked; None if someone else has it. A file that its owner has just removed is no lock."""
    while True:
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            if _is_in_place(file, path):
                yield file
                return


def _is_in_place(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


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
    except (FileNotFoundError, json.JSONDecodeError, TypeError):  # the owner is writing or removing it this moment
        return None
