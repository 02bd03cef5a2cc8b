"""Hash chains of written rows: 16 fixed chains by coin, each row sealed by the hash of the one before (spec 4.3).

row_hash = SHA-256 of the canonical JSON of chain, seq, prev_hash and the row's record (its text: every column known
when it was written). A chain begins at sequence number 1 with `GENESIS` before it, or behind an anchor.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sigmapilot_core.domain.canonical import sha256_of

CHAIN_COUNT = 16
GENESIS = "0" * 64
_MAX_SHIFT = 8  # how many inserted or removed rows in one place are recognised as such after renumbering


@dataclass(frozen=True, slots=True)
class Head:
    """Last row of a chain: what the next one is linked to. Also an anchor left by rows that were dropped."""

    chain: int
    seq: int = 0
    row_hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class ChainRow:
    """One sealed row. `record` is the text that is hashed; `id` names the row for a reader."""

    id: str
    chain: int
    seq: int
    prev_hash: str
    row_hash: str
    record: str


class Damage(StrEnum):
    """What was done to a chain."""

    CHANGED = "changed"
    MISSING = "missing"
    INSERTED = "inserted"


@dataclass(frozen=True, slots=True)
class Finding:
    """The first damage of a chain; `row_id` is None for a missing row."""

    damage: Damage
    chain: int
    seq: int
    row_id: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class Verification:
    """Result for one chain: rows read, the last one that is sound, and the first damage or None."""

    n_rows: int
    head: Head
    finding: Finding | None


def chain_of(coin: str) -> int:
    """The coin's chain: first 8 bytes of SHA-256 of its name, modulo 16; the same in every process."""
    return int.from_bytes(hashlib.sha256(coin.encode()).digest()[:8], "big") % CHAIN_COUNT


def row_hash(chain: int, seq: int, prev_hash: str, record: str) -> str:
    """SHA-256 of the canonical JSON of the four."""
    return sha256_of({"chain": chain, "seq": seq, "prev_hash": prev_hash, "record": record})


def append(head: Head, row_id: str, record: str) -> ChainRow:
    """The next row of a chain."""
    seq = head.seq + 1
    return ChainRow(row_id, head.chain, seq, head.row_hash, row_hash(head.chain, seq, head.row_hash, record), record)


def head_of(row: ChainRow) -> Head:
    """The head a chain has once the row is written."""
    return Head(row.chain, row.seq, row.row_hash)


def verify(rows: Iterable[ChainRow], anchor: Head, head: Head | None = None) -> Verification:
    """Follow the rows of one chain, ascending by seq, from its anchor (`Head(chain)` for a whole chain) to its head.

    Stops at the first row that was changed, is missing or was inserted. `head` is where the chain is known to end;
    without it rows cut off at the end cannot be noticed.
    """
    last, before, n = anchor, anchor, 0
    for row, following in itertools.pairwise(itertools.chain(rows, [None])):
        assert row is not None
        n += 1
        finding = _check(row, last, before, following, head)
        if finding is not None:
            return Verification(n, before if finding.seq < row.seq else last, finding)
        before, last = last, head_of(row)
    return Verification(n, last, _check_end(last, head))


def _check(row: ChainRow, last: Head, before: Head, following: ChainRow | None, head: Head | None) -> Finding | None:
    if row.seq <= last.seq:
        return Finding(Damage.INSERTED, row.chain, row.seq, row.id, f"sequence number {row.seq} stands twice")
    if row.seq > last.seq + 1:
        return _missing(row.chain, last.seq + 1, f"{row.seq - last.seq - 1} rows before {row.seq} are gone")
    if row.chain != last.chain or row.row_hash != row_hash(row.chain, row.seq, row.prev_hash, row.record):
        return _unsound(row, last, following)
    if row.prev_hash == last.row_hash:
        return None
    successor_hash = following.prev_hash if following is not None else head.row_hash if head is not None else None
    if last.seq > before.seq and successor_hash in (row.row_hash, None):
        detail = f"row {last.seq} was rewritten: row {row.seq} is linked to another one"
        return Finding(Damage.CHANGED, row.chain, last.seq, None, detail)
    if last.seq == before.seq and successor_hash in (row.row_hash, None):
        return _missing(row.chain, row.seq, f"row {row.seq} does not follow the chain's beginning")
    return Finding(Damage.CHANGED, row.chain, row.seq, row.id, f"row {row.seq} is not linked to the row before it")


def _unsound(row: ChainRow, last: Head, following: ChainRow | None) -> Finding:
    """The row does not carry its own hash: find out whether rows were put in or taken out and renumbered."""
    shift = _shift(row)
    if shift > 0:
        return _missing(row.chain, row.seq, f"{shift} rows were taken out before it and the rest renumbered")
    if shift < 0:
        return Finding(Damage.INSERTED, row.chain, row.seq + shift, None, f"{-shift} rows were put in before {row.seq}")
    if following is not None and _shift(following) < 0 and following.prev_hash == last.row_hash:
        return Finding(Damage.INSERTED, row.chain, row.seq, row.id, f"row {row.seq} was put in between its neighbours")
    return Finding(Damage.CHANGED, row.chain, row.seq, row.id, f"the content of row {row.seq} does not match its hash")


def _shift(row: ChainRow) -> int:
    """k if the row is sound under the sequence number seq + k, 0 if under none nearby."""
    for distance in range(1, _MAX_SHIFT + 1):
        for shift in (-distance, distance):
            if row.row_hash == row_hash(row.chain, row.seq + shift, row.prev_hash, row.record):
                return shift
    return 0


def _check_end(last: Head, head: Head | None) -> Finding | None:
    if head is None or (last.seq == head.seq and last.row_hash == head.row_hash):
        return None
    if last.seq < head.seq:
        return _missing(last.chain, last.seq + 1, f"the chain ends at {last.seq}, its head is {head.seq}")
    if last.seq > head.seq:
        detail = f"the chain ends at {last.seq}, its head is {head.seq}"
        return Finding(Damage.INSERTED, last.chain, head.seq + 1, None, detail)
    return Finding(Damage.CHANGED, last.chain, last.seq, None, f"row {last.seq} was rewritten: it is not the head")


def _missing(chain: int, seq: int, detail: str) -> Finding:
    return Finding(Damage.MISSING, chain, seq, None, detail)
