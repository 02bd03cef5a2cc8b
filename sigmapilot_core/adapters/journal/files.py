"""Names and order of the journal's files: `<folder>/<partition>/<first sequence>-<hour>.journal[.gz]`."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

HOUR_MS = 3_600_000
_NAME = re.compile(r"(?P<seq>[0-9]{20})-(?P<hour>[0-9]{8}T[0-9]{2})\.journal(?P<packed>\.gz)?")
_PARTITION = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_HOUR_FORMAT = "%Y%m%dT%H"


@dataclass(frozen=True, slots=True)
class JournalFile:
    """One file: the sequence number of its first record, and the hour it was begun in."""

    path: Path
    first_seq: int
    hour_ms: int
    packed: bool

    def open(self) -> BinaryIO:
        """The plain bytes of the file."""
        return cast(BinaryIO, gzip.open(self.path, "rb")) if self.packed else self.path.open("rb")


def partition_folder(folder: Path, partition: str) -> Path:
    """Folder of a partition. ValueError for a name that is not safe as a file name."""
    if not _PARTITION.fullmatch(partition):
        raise ValueError(f"partition is {partition!r}; allowed is 1 to 40 of a-z, 0-9, _ and -.")
    return folder / partition


def hour_of(instant_ms: int) -> int:
    """Start of the hour of an instant."""
    return instant_ms - instant_ms % HOUR_MS


def file_name(first_seq: int, hour_ms: int) -> str:
    """Name of a file begun in an hour; names sort in the order of sequence numbers."""
    return f"{first_seq:020d}-{datetime.fromtimestamp(hour_ms / 1000, UTC).strftime(_HOUR_FORMAT)}.journal"


def journal_files(folder: Path) -> list[JournalFile]:
    """Files of one partition in order; a packed file stands for its plain twin that a crash left behind."""
    by_seq: dict[int, JournalFile] = {}
    for path in sorted(folder.glob("*.journal*")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        hour = datetime.strptime(match["hour"], _HOUR_FORMAT).replace(tzinfo=UTC)
        seq = int(match["seq"])
        found = JournalFile(path, seq, int(hour.timestamp() * 1000), match["packed"] is not None)
        if found.packed or seq not in by_seq:
            by_seq[seq] = found
    return [by_seq[seq] for seq in sorted(by_seq)]


def partitions(folder: Path) -> list[str]:
    """Names of the partitions that have files."""
    return sorted(p.name for p in folder.glob("*") if p.is_dir() and _PARTITION.fullmatch(p.name))
