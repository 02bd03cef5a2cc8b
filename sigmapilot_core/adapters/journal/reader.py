"""Reading the journal back, from any sequence number, also while it is being written."""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from sigmapilot_core.adapters.journal.files import JournalFile, journal_files, partition_folder
from sigmapilot_core.adapters.journal.records import (
    MAGIC,
    JournalDamaged,
    Record,
    read_body,
    record_of,
    seq_of,
    size_of,
)


@dataclass(frozen=True, slots=True)
class Tail:
    """Where the whole records of a file end: the next sequence number and the offset in plain bytes."""

    next_seq: int
    offset: int


class JournalReader:
    """The records of one partition in order.

    `dropped` counts incomplete records met at the end of a file: what a crash leaves. A gap in the sequence numbers
    is `JournalDamaged`, raised where it is met, because what follows would be replayed on the wrong state.
    """

    def __init__(self, folder: Path, partition: str) -> None:
        self._folder = partition_folder(folder, partition)
        self.dropped = 0

    def first_seq(self) -> int | None:
        """Oldest sequence number still kept; None for an empty journal."""
        files = journal_files(self._folder)
        return files[0].first_seq if files else None

    def read(self, from_seq: int = 0) -> Iterator[Record]:
        """Records with a sequence number of `from_seq` or more. JournalDamaged if retention has removed some of them
        (unless `from_seq` is 0, which asks for all that is kept)."""
        files = journal_files(self._folder)
        if files and 0 < from_seq < files[0].first_seq:
            raise JournalDamaged(f"from_seq is {from_seq}; allowed is {files[0].first_seq} or more, older is removed.")
        begin = max((i for i, f in enumerate(files) if f.first_seq <= from_seq), default=0)
        expected: int | None = None
        for file in files[begin:]:
            if expected is not None and file.first_seq != expected:
                raise JournalDamaged(f"{file.path.name} begins at {file.first_seq}; allowed is {expected}.")
            expected = yield from self._records(file, from_seq)

    def tail(self, file: JournalFile) -> Tail:
        """Where the whole records of a file end."""
        offset, next_seq = 0, file.first_seq
        with file.open() as stream:
            if stream.read(len(MAGIC)) == MAGIC:
                offset = len(MAGIC)
                while (body := read_body(stream)) is not None and seq_of(body) == next_seq:
                    offset += size_of(body)
                    next_seq += 1
        return Tail(next_seq, offset)

    def _records(self, file: JournalFile, from_seq: int) -> Generator[Record, None, int]:
        """Records of a file from a number on; returns the number behind its last whole one. Those before are checked
        and not made into anything."""
        expected = file.first_seq
        try:
            with file.open() as stream:
                if stream.read(len(MAGIC)) != MAGIC:
                    self.dropped += 1
                    return expected
                end = stream.tell()
                while (body := read_body(stream)) is not None and seq_of(body) == expected:
                    expected, end = expected + 1, end + size_of(body)
                    if expected > from_seq:
                        yield record_of(body)
                stream.seek(end)
                self.dropped += 1 if stream.read(1) else 0
        except (EOFError, zlib.error, OSError) as fault:
            raise JournalDamaged(f"{file.path.name} cannot be read: {type(fault).__name__}.") from fault
        return expected
