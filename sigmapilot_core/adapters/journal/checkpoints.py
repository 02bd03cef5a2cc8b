"""States of the decision step beside the journal, from which a restart or a replay goes on exactly.

What Postgres holds brings back ledgers and votes, but not the book, the account or the feed as the decision step knew
them; a checkpoint does, so that the inputs after it lead to the same bytes as if nothing had happened. It is a cache:
one that is missing, damaged or written by another version of the code is passed over, never believed.

Layout: `MAGIC`, SHA-256 of the body, body = zlib of the pickled `Checkpoint`. Only plain values and classes of the
domain are read back.
"""

from __future__ import annotations

import copyreg
import gc
import hashlib
import io
import os
import pickle
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any

from sigmapilot_core.adapters.journal.files import partition_folder

MAGIC = b"SPC1"
KEPT = 2
"""Newest checkpoints that are kept for a restart; beside them, those of another use than `PASSING`."""


class Use(StrEnum):
    """What a checkpoint is for, as its name says: the next restart, the first of a day (replays of what retention
    leaves can begin there), or what a process began anew with."""

    PASSING = ""
    DAY = "-day"
    START = "-start"


_NAME = re.compile(r"(?P<seq>[0-9]{20})(?P<use>-day|-start|)\.checkpoint")
_OWN = ("sigmapilot_core.", "sigmapilot_stream.")
_PLAIN = frozenset(
    {
        ("decimal", "Decimal"), ("collections", "deque"), ("collections", "Counter"), ("collections", "OrderedDict"),
        ("collections", "defaultdict"), ("builtins", "set"), ("builtins", "frozenset"), ("builtins", "bytearray"),
        ("numpy", "ndarray"), ("numpy", "dtype"), ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"), ("numpy._core.numeric", "_frombuffer"),
        ("numpy.core.numeric", "_frombuffer"),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state after the input `seq`. `code` names the version of the code that wrote it.

    `start` is what a process that could not go on exactly began anew with; None where the state follows from the
    inputs before it.
    """

    seq: int
    code: str
    state: Any
    start: Any = None


class CheckpointStore:
    """Checkpoints of one partition, written atomically, the newest usable one first. `code` is the running version."""

    def __init__(self, folder: Path, partition: str, code: str) -> None:
        self._folder = partition_folder(folder, partition)
        self.code = code
        self.refused = 0

    def seqs(self) -> list[int]:
        """Inputs after which there is a checkpoint, ascending."""
        return sorted(self._files())

    def write(self, checkpoint: Checkpoint, *, use: Use = Use.PASSING) -> int:
        """Write one, whole or not at all; older ones that need not stay go. Returns its size in bytes."""
        return self.write_bytes(checkpoint.seq, dumped(checkpoint), use=use)

    def write_bytes(self, seq: int, plain: bytes, *, use: Use = Use.PASSING) -> int:
        """Write what `dumped` gave: packing and the disk can be waited for elsewhere than in the decision step."""
        body = zlib.compress(plain, 1)
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._folder / f"{seq:020d}{use.value}.checkpoint"
        temporary = target.with_name(target.name + ".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(MAGIC + hashlib.sha256(body).digest() + body)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
        self._forget()
        return len(body)

    def newest(self, at_most: int, at_least: int = -1) -> Checkpoint | None:
        """The newest usable one after an input between the two; None if there is none."""
        for seq in reversed(self.seqs()):
            if at_least <= seq <= at_most and (found := self.read(seq)) is not None:
                return found
        return None

    def first(self, at_least: int) -> Checkpoint | None:
        """The oldest usable one from an input on: where a replay of what is still kept can begin."""
        for seq in self.seqs():
            if seq >= at_least and (found := self.read(seq)) is not None:
                return found
        return None

    def starts(self) -> dict[int, Checkpoint]:
        """Where a process began anew, by input: the inputs before do not lead to the state after."""
        marked = [self.read(seq) for seq, path in self._files().items() if Use.START in path.name]
        return {found.seq: found for found in marked if found is not None}

    def read(self, seq: int) -> Checkpoint | None:
        """One checkpoint; None (and counted) where it is not whole, or not of this version of the code."""
        path = self._files().get(seq)
        if path is None:
            return None
        data = path.read_bytes()
        head, body = len(MAGIC) + 32, data[len(MAGIC) + 32 :]
        if data[: len(MAGIC)] != MAGIC or data[len(MAGIC) : head] != hashlib.sha256(body).digest():
            self.refused += 1
            return None
        try:
            found = loaded(zlib.decompress(body), self.code)
        except (pickle.UnpicklingError, AttributeError, ImportError, TypeError, ValueError, EOFError):
            found = None
        self.refused += found is None
        return found

    def forget_before(self, seq: int) -> None:
        """Remove those of which the inputs that follow are gone."""
        for at, path in self._files().items():
            if at < seq:
                path.unlink(missing_ok=True)

    def _files(self) -> dict[int, Path]:
        """By input; what a process began anew with goes before any other of the same input."""
        found = ((match, path) for path in self._folder.glob("*.checkpoint") if (match := _NAME.fullmatch(path.name)))
        return {int(match["seq"]): path for match, path in sorted(found, key=lambda item: item[0]["use"])}

    def _forget(self) -> None:
        passing = sorted(path for path in self._folder.glob("*.checkpoint") if path.stem.isdigit())
        for path in passing[:-KEPT]:
            path.unlink(missing_ok=True)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Nothing made within can be garbage yet, and looking for it takes a third of the time."""
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_collecting:
            gc.enable()


def dumped(checkpoint: Checkpoint) -> bytes:
    """The plain bytes: the version of the code first, so that a state of another version is not even looked at."""
    sink = io.BytesIO()
    reducers = copyreg.dispatch_table | dict.fromkeys(_enumerations(), _by_value)
    with _without_collections():
        for part in (checkpoint.code, checkpoint):
            pickler = pickle.Pickler(sink, protocol=5)
            pickler.dispatch_table = reducers
            pickler.dump(part)
    return sink.getvalue()


def _enumerations(of: type[Enum] = Enum) -> Iterator[type[Enum]]:
    for kind in of.__subclasses__():
        if kind.__module__.startswith(_OWN):
            yield kind
        yield from _enumerations(kind)


def _by_value(member: Enum) -> tuple[type[Enum], tuple[Any]]:
    """Some releases of Python 3.11 pickle a member as a call of `getattr`, which a state may not hold."""
    return type(member), (member.value,)


class _Reader(pickle.Unpickler):
    """Reads values, and of classes only those that a state is made of: a forged file can build nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _PLAIN:
            return super().find_class(module, name)
        found = super().find_class(module, name) if module.startswith(_OWN) else None
        if not isinstance(found, type):
            raise pickle.UnpicklingError(f"{module}.{name} is not part of a state")
        return found


def loaded(data: bytes, code: str) -> Checkpoint | None:
    """The checkpoint, if it was written by this version of the code."""
    source = io.BytesIO(data)
    if _Reader(source).load() != code:
        return None
    with _without_collections():
        found = _Reader(source).load()
    return found if isinstance(found, Checkpoint) else None


def code_version(*packages: Path) -> str:
    """SHA-256 over the sources of packages: a state is only read back by the code that wrote it."""
    digest = hashlib.sha256()
    for package in packages:
        for path in sorted(package.rglob("*.py")):
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
