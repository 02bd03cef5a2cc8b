"""Appending to the journal: every input of the decision step, written before it has an effect (DESIGN section 3)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

from sigmapilot_core.adapters.journal.files import JournalFile, file_name, hour_of, journal_files, partition_folder
from sigmapilot_core.adapters.journal.reader import JournalReader
from sigmapilot_core.adapters.journal.records import MAGIC, encode_record, last_after_damage

Entry = tuple[str, int, bytes]
"""Kind, receive time in ms, payload."""


class JournalWriteError(Exception):
    """The record is not safely in the journal: its effect must not happen. The journal itself is whole."""


class JournalBusy(Exception):
    """Another process writes this partition."""


class Fsync(StrEnum):
    """When records are forced to the disk; the operating system has them after every append in any case."""

    NEVER = "never"
    INTERVAL = "interval"
    EACH = "each"


@dataclass(frozen=True, slots=True)
class WriterParams:
    """With `interval`, what was written in the last `fsync_interval_s` can be lost to a power cut, not to a crash."""

    fsync: Fsync = Fsync.INTERVAL
    fsync_interval_s: float = 1.0
    file_bytes: int = 32 * 1024**2
    """A file of so much is left for a new one: a start reads the last one whole, and more would take it seconds."""


class JournalWriter:
    """The only writer of one partition. Continues after the last whole record; an incomplete one is cut off and
    counted in `cut_bytes`. A file that is damaged in its middle (`is_damaged`) is left as it is, and a new one begun.

    `now` is a clock in seconds that never jumps, for the interval of fsync. Files change with the hour of the receive
    time, or when they are full; a receive time that steps back stays in the hour at hand.
    """

    def __init__(
        self, folder: Path, partition: str, now: Callable[[], float], params: WriterParams | None = None
    ) -> None:
        self._folder = partition_folder(folder, partition)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._params = params or WriterParams()
        self._now = now
        self._lock = self._locked()
        self._synced_at = now()
        self._fd: int | None = None
        self._hour_ms = 0
        self._size = 0
        self.next_seq = 0
        self.cut_bytes = 0
        self.is_damaged = False
        self._recover(JournalReader(folder, partition))

    def append(self, kind: str, received_ms: int, payload: bytes) -> int:
        """Write one record; returns its sequence number. Raises `JournalWriteError`."""
        return self.append_batch([(kind, received_ms, payload)])

    def append_batch(self, entries: Sequence[Entry]) -> int:
        """Write several records at once, all or none; returns the sequence number of the first."""
        first = self.next_seq
        if not entries:
            return first
        data = b"".join(encode_record(first + i, kind, at, payload) for i, (kind, at, payload) in enumerate(entries))
        try:
            self._write(self._file_for(entries[0][1]), data)
        except OSError as fault:
            raise JournalWriteError(f"Record {first} was not written: {fault.strerror}.") from fault
        self.next_seq = first + len(entries)
        try:
            self._fsync_if_due()
        except OSError as fault:
            raise JournalWriteError(f"Record {first} may not be on the disk: {fault.strerror}.") from fault
        return first

    def go_on_after(self, seq: int) -> None:
        """Give no number up to `seq` again: its effects are committed, though a power cut took the record itself. A
        hole in the numbers begins a new file."""
        if self.next_seq > seq:
            return
        self.next_seq = seq + 1
        self._leave_file()

    def sync(self) -> None:
        """Force everything to the disk now; call from a timer so that a quiet journal is safe as well."""
        if self._fd is not None:
            os.fsync(self._fd)
            self._synced_at = self._now()

    def current_path(self) -> Path | None:
        """The file at hand, which must not be packed."""
        return None if self._fd is None else self._path

    def close(self) -> None:
        """Sync, close and give the partition up."""
        self._leave_file()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _locked(self) -> int:
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            os.close(descriptor)
            raise JournalBusy(f"Partition {self._folder.name} is being written by another process.") from fault
        return descriptor

    def _recover(self, reader: JournalReader) -> None:
        files = journal_files(self._folder)
        if not files:
            return
        last = files[-1]
        tail = reader.tail(last)
        self.next_seq = tail.next_seq
        if last.packed:
            return
        with last.path.open("rb") as stream:
            stream.seek(tail.offset)
            rest = stream.read()
        behind = last_after_damage(rest, tail.next_seq) if rest else None
        if behind is not None:
            self.next_seq, self.is_damaged = behind + 1, True  # nothing is cut off that is whole: a new file follows
            return
        self.cut_bytes = len(rest)
        if tail.next_seq == last.first_seq:
            last.path.unlink()  # not one whole record: begin the file anew
        else:
            self._continue(last, tail.offset)

    def _continue(self, file: JournalFile, size: int) -> None:
        os.truncate(file.path, size)
        self._fd = os.open(file.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._path, self._hour_ms, self._size = file.path, file.hour_ms, size

    def _file_for(self, received_ms: int) -> int:
        hour = hour_of(received_ms)
        if self._fd is not None:
            hour = max(hour, self._hour_ms)
            if hour == self._hour_ms and self._size < self._params.file_bytes:
                return self._fd
        self._leave_file()
        self._path = self._folder / file_name(self.next_seq, hour)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._hour_ms, self._size = hour, 0
        return self._fd

    def _leave_file(self) -> None:
        if self._fd is not None:
            self.sync()
            os.close(self._fd)
            self._fd = None

    def _write(self, descriptor: int, data: bytes) -> None:
        """All or nothing: what a full disk cut short is taken back."""
        whole = data if self._size else MAGIC + data
        view = memoryview(whole)
        try:
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError:
            os.ftruncate(descriptor, self._size)
            raise
        self._size += len(whole)

    def _fsync_if_due(self) -> None:
        policy, now = self._params.fsync, self._now()
        due = policy is Fsync.INTERVAL and now - self._synced_at >= self._params.fsync_interval_s
        if self._fd is not None and (due or policy is Fsync.EACH):
            os.fsync(self._fd)
            self._synced_at = now
