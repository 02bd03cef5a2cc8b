"""One record of the journal and its bytes.

Layout, little-endian: length of the body (u32), CRC-32 of the body (u32), body = sequence number (u64), receive time
in ms (i64), length of the kind (u8), kind (ASCII), payload. A file opens with `MAGIC`.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = b"SPJ1"
MAX_BODY = 64 * 1024 * 1024
_SEARCHED = 256
_FRAME = struct.Struct("<II")
_HEAD = struct.Struct("<QqB")
_SEQ = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class Record:
    """One input of the decision step: what arrived, when, and where it stands in its partition."""

    seq: int
    kind: str
    received_ms: int
    payload: bytes


class JournalDamaged(Exception):
    """Records are missing in the middle: what follows must not be taken for the whole."""


def encode_record(seq: int, kind: str, received_ms: int, payload: bytes) -> bytes:
    """The bytes of one record. ValueError for a kind that is not 1 to 255 ASCII letters or a payload above 64 MB."""
    label = kind.encode("ascii")
    if not 0 < len(label) < 256:
        raise ValueError(f"kind is {kind!r}; allowed is 1 to 255 ASCII characters.")
    body = _HEAD.pack(seq, received_ms, len(label)) + label + payload
    if len(body) > MAX_BODY:
        raise ValueError(f"payload has {len(payload)} bytes; allowed is at most {MAX_BODY - _HEAD.size - len(label)}.")
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def read_body(stream: BinaryIO) -> bytes | None:
    """The body of the next record; None at the end and at anything that is not a whole record."""
    frame = stream.read(_FRAME.size)
    if len(frame) < _FRAME.size:
        return None
    length, checksum = _FRAME.unpack(frame)
    if not _HEAD.size < length <= MAX_BODY:
        return None
    body = stream.read(length)
    if len(body) < length or zlib.crc32(body) != checksum:
        return None
    return body


def size_of(body: bytes) -> int:
    """Bytes that the record of a body takes in a file."""
    return _FRAME.size + len(body)


def seq_of(body: bytes) -> int:
    """The sequence number in a body: all that is asked of a record one only passes."""
    seq: int = _SEQ.unpack_from(body)[0]
    return seq


def record_of(body: bytes) -> Record:
    """The record of a body."""
    seq, received_ms, label = _HEAD.unpack_from(body)
    start = _HEAD.size + label
    return Record(seq, body[_HEAD.size : start].decode("ascii"), received_ms, body[start:])


def read_record(stream: BinaryIO) -> tuple[Record, int] | None:
    """The next record and its length in bytes; None at the end and at anything that is not a whole record."""
    body = read_body(stream)
    return None if body is None else (record_of(body), size_of(body))


def last_after_damage(data: bytes, damaged_seq: int) -> int | None:
    """The last whole record's number in what follows a record that cannot be read; None if there is no whole one.

    A torn last record is followed by nothing. Whole records behind it mean that the file was damaged in its middle.
    """
    for seq in range(damaged_seq + 1, damaged_seq + 1 + _SEARCHED):
        position = data.find(struct.pack("<Q", seq)) - _FRAME.size
        if position < 0:
            continue
        stream, last = io.BytesIO(data[position:]), None
        while (found := read_record(stream)) is not None:
            last = found[0].seq
        if last is not None and last >= seq:
            return last
    return None
