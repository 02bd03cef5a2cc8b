"""The decision log as CSV or Parquet, streamed: a server-side cursor, batches of rows, memory that does not grow."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.schema.stream import decision_logs, ticket_outcomes

BATCH_ROWS = 500
GROUP_ROWS = 20_000
_D, _O = decision_logs.c, ticket_outcomes.c
_TEXT, _REAL, _INT = pa.string(), pa.float64(), pa.int64()
_COLUMNS: tuple[tuple[str, Any, pa.DataType], ...] = (
    ("id", sa.cast(_D.id, sa.Text), _TEXT),
    ("decided_at", _D.decided_at, pa.timestamp("us", tz="UTC")),
    ("symbol", _D.symbol, _TEXT),
    ("direction", _D.direction, _TEXT),
    ("decision_type", _D.decision_type, _TEXT),
    ("trader_count", _D.trader_count, _INT),
    ("agreeing_count", _D.agreeing_count, _INT),
    ("agreement_pct", _D.agreement_pct, _REAL),
    ("effective_k", _D.effective_k, _REAL),
    ("p_win", _D.avg_confidence, _REAL),
    ("ev_net_r", _D.ev_estimate, _REAL),
    ("price", _D.price_at_decision, _REAL),
    ("gates", _D.gates, _TEXT),
    ("risk_checks", _D.risk_checks, _TEXT),
    ("reasoning", _D.reasoning, _TEXT),
    ("snapshot_version", _D.snapshot_version, _INT),
    ("settings_hash", _D.settings_hash, _TEXT),
    ("mode", _D.mode, _TEXT),
    ("latency_ms", _D.latency_ms, _REAL),
    ("outcome", _O.closed_reason, _TEXT),
    ("result_r", _O.result_r, _REAL),
    ("outcome_closed_at", _O.closed_ts, pa.timestamp("us", tz="UTC")),
    ("chain", _D.chain, _INT),
    ("seq", _D.seq, _INT),
    ("row_hash", _D.row_hash, _TEXT),
)
COLUMNS = tuple(name for name, _, _ in _COLUMNS)
SCHEMA = pa.schema([(name, kind) for name, _, kind in _COLUMNS])


class ExportFormat(StrEnum):
    """What a log is written as."""

    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class ExportFilter:
    """Which decisions: from `since` on, before `until`, of a symbol, of a type; None leaves a side open.

    Errors: ValueError for an end that is not after the beginning.
    """

    since: datetime | None = None
    until: datetime | None = None
    symbol: str | None = None
    decision_type: str | None = None

    def __post_init__(self) -> None:
        if self.since is not None and self.until is not None and self.until <= self.since:
            raise ValueError(f"until is {self.until.isoformat()}; allowed is an instant after {self.since.isoformat()}")

    def where(self) -> list[sa.ColumnElement[bool]]:
        """As conditions."""
        wanted = (
            (self.since, lambda: _D.decided_at >= self.since),
            (self.until, lambda: _D.decided_at < self.until),
            (self.symbol, lambda: _D.symbol == self.symbol),
            (self.decision_type, lambda: _D.decision_type == self.decision_type),
        )
        return [condition() for value, condition in wanted if value is not None]


def exported(connection: sa.Connection, wanted: ExportFilter, form: ExportFormat) -> Iterator[bytes]:
    """The decisions, oldest first, in pieces; the first piece is there at once and holds the header."""
    batches = _batches(connection, wanted)
    return _csv(batches) if form is ExportFormat.CSV else _parquet(batches)


def _batches(connection: sa.Connection, wanted: ExportFilter) -> Iterator[Sequence[sa.Row[Any]]]:
    statement = (
        sa.select(*(column.label(name) for name, column, _ in _COLUMNS))
        .select_from(decision_logs)
        .outerjoin(ticket_outcomes, _O.ticket_id == _D.id)
        .where(*wanted.where())
        .order_by(_D.decided_at, _D.chain, _D.seq)
    )
    streaming = connection.execution_options(stream_results=True, max_row_buffer=BATCH_ROWS)
    with streaming.execute(statement) as found:
        yield from found.partitions(BATCH_ROWS)


def _csv(batches: Iterator[Sequence[sa.Row[Any]]]) -> Iterator[bytes]:
    """RFC 4180, UTF-8; unknown is an empty cell, instants are ISO 8601 in UTC."""
    held = io.StringIO()
    writer = csv.writer(held)
    writer.writerow(COLUMNS)
    yield _taken(held)
    for batch in batches:
        writer.writerows([_cell(value) for value in row] for row in batch)
        yield _taken(held)


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    # a cell that begins like a formula is text for whoever opens it in a spreadsheet
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def _taken(held: io.StringIO) -> bytes:
    text = held.getvalue()
    held.seek(0)
    held.truncate()
    return text.encode()


class _Sink(io.RawIOBase):
    """What Parquet's writer has written since the last look; it only ever appends."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """It can be written to."""
        return True

    def write(self, data: Any) -> int:
        """Keep a piece."""
        self._pieces.append(bytes(data))
        return len(self._pieces[-1])

    def taken(self) -> bytes:
        """Everything since the last look."""
        found, self._pieces = b"".join(self._pieces), []
        return found


def _parquet(batches: Iterator[Sequence[sa.Row[Any]]]) -> Iterator[bytes]:
    """Row groups of `GROUP_ROWS`; only one of them is in memory."""
    sink = _Sink()
    with pq.ParquetWriter(sink, SCHEMA, compression="zstd") as writer:
        held: list[sa.Row[Any]] = []
        for batch in batches:
            held += batch
            if len(held) >= GROUP_ROWS:
                writer.write_table(_table(held))
                held = []
                yield sink.taken()
        if held:
            writer.write_table(_table(held))
    yield sink.taken()


def _table(found: Sequence[sa.Row[Any]]) -> pa.Table:
    arrays = [pa.array([row[i] for row in found], type=kind) for i, (_, _, kind) in enumerate(_COLUMNS)]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)
