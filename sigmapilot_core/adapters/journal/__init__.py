"""The journal: every input of the decision step, in the order it was consumed, per partition (DESIGN section 3)."""

from sigmapilot_core.adapters.journal.files import partitions
from sigmapilot_core.adapters.journal.keeper import KeeperParams, Tidied, tidy
from sigmapilot_core.adapters.journal.reader import JournalReader
from sigmapilot_core.adapters.journal.records import JournalDamaged, Record
from sigmapilot_core.adapters.journal.writer import (
    Entry,
    Fsync,
    JournalBusy,
    JournalWriteError,
    JournalWriter,
    WriterParams,
)

__all__ = [
    "Entry",
    "Fsync",
    "JournalBusy",
    "JournalDamaged",
    "JournalReader",
    "JournalWriteError",
    "JournalWriter",
    "KeeperParams",
    "Record",
    "Tidied",
    "WriterParams",
    "partitions",
    "tidy",
]
