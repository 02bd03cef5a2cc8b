"""Frames as bytes through the stream's decision step: JSON, decoding, engine, effects gathered; no database."""

from __future__ import annotations

import gc
import time

import orjson

from benchmarks.figures import Figure
from benchmarks.traffic import Load, fills_of, opening, trading
from sigmapilot_core.adapters.hyperliquid.encode import book_frame, trades_frame
from sigmapilot_core.domain.canonical import canonical_json
from sigmapilot_core.domain.engine.events import (
    AccountUpdated,
    BookUpdated,
    Event,
    FeedStatus,
    PositionsPrimed,
    SnapshotActivated,
    TradesReceived,
)
from sigmapilot_core.domain.snapshot import to_json as snapshot_json
from sigmapilot_stream.decode import ACCOUNT, PRIMED, SNAPSHOT, TICK, primed_payload
from sigmapilot_stream.records import InputRecord
from sigmapilot_stream.worker import Worker

BATCH = 50
REPEATS = 3


def record_of(event: Event, seq: int) -> InputRecord:
    """The journalled input that decodes to an event of the traffic."""
    match event:
        case TradesReceived(trades=trades, received_ms=at):
            return InputRecord(seq, "live", at, orjson.dumps(trades_frame(trades)))
        case BookUpdated(book=book):
            return InputRecord(seq, "live", book.received_ms, orjson.dumps(book_frame(book)))
        case PositionsPrimed(user=user, as_of_ms=as_of, received_ms=at):
            return InputRecord(seq, PRIMED, at, primed_payload(user, as_of, ()))
        case SnapshotActivated(snapshot=snapshot, received_ms=at):
            return InputRecord(seq, SNAPSHOT, at, snapshot_json(snapshot).encode())
        case AccountUpdated(risk=risk, received_ms=at):
            return InputRecord(seq, ACCOUNT, at, canonical_json(risk).encode())
        case FeedStatus(connection=name, coins=coins, book_coins=books, last_frame_ms=last, received_ms=at):
            link = {"name": name, "coins": coins, "book_coins": books, "last_frame_ms": last}
            return InputRecord(seq, TICK, at, orjson.dumps({"connections": [link]}))
        case _:
            raise ValueError(f"{type(event).__name__} is not part of the traffic")


def run(orders: int = 6_000) -> list[Figure]:
    """Fills a second with 10 % of them by tracked traders."""
    load = Load(orders, 0.10)
    before, events = opening(load), trading(load)
    start = [record_of(event, seq) for seq, event in enumerate(before)]
    records = [record_of(event, seq) for seq, event in enumerate(events, len(start))]
    batches = [records[at : at + BATCH] for at in range(0, len(records), BATCH)]
    seconds = []
    for _ in range(REPEATS):
        worker = Worker("0", lambda: 0)
        worker.handle(start)
        gc.collect()
        began = time.process_time()
        for batch in batches:
            worker.handle(batch)
        seconds.append(time.process_time() - began)
        assert worker.engine.counters.fills > 0
    note = f"{len(records):,} inputs in batches of {BATCH}"
    return [Figure("10 % of fills by tracked traders", fills_of(events) / min(seconds), "fills/s", note=note)]
