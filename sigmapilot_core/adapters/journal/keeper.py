"""Packing closed files, retention and the disk ceiling. Runs beside the writer, in a thread or on a timer."""

from __future__ import annotations

import gzip
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from sigmapilot_core.adapters.journal.checkpoints import CheckpointStore
from sigmapilot_core.adapters.journal.files import JournalFile, journal_files, partition_folder, partitions

_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class KeeperParams:
    """How much of the journal is kept: by age and by size, whichever ends first. The file at hand always stays."""

    retention_hours: int = 24 * 14
    max_bytes: int = 20 * 1024**3
    level: int = 6


@dataclass(frozen=True, slots=True)
class Tidied:
    """What one round did; `over_ceiling` tells that the files that must stay are larger than the ceiling."""

    packed: int
    removed: int
    bytes_kept: int
    over_ceiling: bool


def tidy(folder: Path, now_ms: int, params: KeeperParams) -> Tidied:
    """One round over all partitions: pack, then remove by age, then by size, oldest first.

    The last file of each partition is never touched: it is the one being written.
    """
    packed = sum(_pack_closed(partition_folder(folder, name), params.level) for name in partitions(folder))
    closed = [f for name in partitions(folder) for f in journal_files(partition_folder(folder, name))[:-1]]
    oldest_first = sorted(closed, key=lambda f: (f.hour_ms, f.first_seq))
    horizon = now_ms - params.retention_hours * _HOUR_MS
    total = _size(folder)
    removed = 0
    for file in oldest_first:
        if file.hour_ms >= horizon and total <= params.max_bytes:
            break
        total -= file.path.stat().st_size
        file.path.unlink()
        removed += 1
    for name in partitions(folder):
        _forget_checkpoints(folder, name)
    return Tidied(packed, removed, total, total > params.max_bytes)


def _size(folder: Path) -> int:
    return sum(p.stat().st_size for pattern in ("*/*.journal*", "*/*.checkpoint") for p in folder.glob(pattern))


def _forget_checkpoints(folder: Path, partition: str) -> None:
    files = journal_files(partition_folder(folder, partition))
    if files:
        CheckpointStore(folder, partition, "").forget_before(files[0].first_seq - 1)


def _pack_closed(folder: Path, level: int) -> int:
    for left_over in folder.glob("*.tmp"):
        left_over.unlink()
    files = journal_files(folder)
    for file in files[:-1]:
        if file.packed:
            file.path.with_suffix("").unlink(missing_ok=True)  # the plain twin a crash left behind
    plain = [file for file in files[:-1] if not file.packed]
    for file in plain:
        _pack(file, level)
    return len(plain)


def _pack(file: JournalFile, level: int) -> None:
    """Atomically: the packed file appears whole or not at all, then the plain one goes."""
    target = file.path.with_name(file.path.name + ".gz")
    temporary = target.with_name(target.name + ".tmp")
    with file.path.open("rb") as source, temporary.open("wb") as raw:
        with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=level, mtime=0) as sink:
            shutil.copyfileobj(source, sink, 1024 * 1024)
        raw.flush()
        os.fsync(raw.fileno())
    temporary.replace(target)
    file.path.unlink()
