"""Effects in the database: once, in one transaction with their progress, the same after a restart at any point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from stream_harness import trade
from stream_inputs import Inputs, begun, story

from sigmapilot_core.adapters.postgres import decision_store, snapshot_store, stream_store
from sigmapilot_core.adapters.postgres.tables import metadata
from sigmapilot_core.domain.consensus.chain import CHAIN_COUNT
from sigmapilot_core.domain.snapshot import to_json
from sigmapilot_stream.effects import Effects, Written
from sigmapilot_stream.records import InputRecord
from sigmapilot_stream.restore import restore
from sigmapilot_stream.worker import Worker
from tests.domain.engine.engine_builders import POOL, T0, snapshot

NOT_CONTENT = {"updated_at", "created_at", "detected_at", "reconciled_at", "latency_ms"}
WITHOUT_DECISIONS = {"trades", "fills", "hl_current_positions", "position_signals", "tracked_traders", "feed_gaps"}


def dump(connection: sa.Connection, tables: set[str] | None = None) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that is stored, without when it was written."""
    found = {}
    for table in metadata.sorted_tables:
        if tables is None or table.name in tables:
            columns = [column for column in table.columns if column.name not in NOT_CONTENT]
            rows = connection.execute(sa.select(*columns))
            found[table.name] = sorted(tuple(map(str, row)) for row in rows)
    return found


def lived() -> Inputs:
    """Buys, a sale that closes, a gap, an account that is primed anew, a vote that expires."""
    inputs = story()
    inputs.fresh(5_000)
    inputs.trades(5_050, trade(10, 5_000, POOL[0], "sell"), trade(11, 5_000, POOL[3], sz=Decimal(2)))
    inputs.add("gap", 6_000, {"coin": "ETH", "from_ms": T0, "to_ms": T0 + 5_900})
    inputs.fresh(7_000)
    inputs.trades(7_050, trade(12, 7_000, POOL[1], "sell", sz=Decimal("0.5")))
    inputs.tick(200_000)
    return inputs


def handled(worker: Worker, records: Sequence[InputRecord], size: int = 3) -> list[Effects]:
    return [worker.handle(records[i : i + size])[0] for i in range(0, len(records), size)]


def commit(connection: sa.Connection, effects: Sequence[Effects]) -> list[Written]:
    return [one.commit(connection) for one in effects]


@pytest.fixture
def undisturbed(effects_engine: sa.Engine) -> dict[str, list[tuple[Any, ...]]]:
    """What is stored when nothing goes wrong."""
    with effects_engine.connect() as connection, connection.begin() as transaction:
        snapshot_store.publish(connection, snapshot(), None)
        commit(connection, handled(Worker("0", lambda: T0), lived().records))
        found = dump(connection)
        transaction.rollback()
    return found


def test_the_same_batches_again_change_nothing(connection: sa.Connection) -> None:
    batches = handled(Worker("0", lambda: T0), lived().records)
    first = commit(connection, batches)
    before = dump(connection)
    again = commit(connection, batches)
    assert dump(connection) == before
    assert (sum(w.trades for w in first), sum(w.fills for w in first)) == (6, 6)
    assert again == [Written()] * len(batches)
    assert sum(len(w.decisions) for w in first) == len(before["decision_logs"]) > 4
    for number in range(CHAIN_COUNT):
        assert decision_store.verify_chain(connection, decision_store.DECISIONS, number).finding is None


def test_progress_is_part_of_the_transaction(connection: sa.Connection) -> None:
    (effects,) = handled(Worker("0", lambda: T0), begun().records, size=100)
    with connection.begin_nested() as savepoint:
        effects.commit(connection)
        savepoint.rollback()
    assert stream_store.read_progress(connection, "0") == -1
    effects.commit(connection)
    assert stream_store.read_progress(connection, "0") == len(begun().records) - 1


def restarted(connection: sa.Connection, records: Sequence[InputRecord], after: int) -> None:
    """Run to a point, lose everything in memory, go on from the database and the journal."""
    snapshot_store.publish(connection, snapshot(), None)
    commit(connection, handled(Worker("0", lambda: T0), records[:after], size=1))
    worker = Worker("0", lambda: T0)
    before = restore(connection, worker, records[after - 1].received_ms)
    assert before.progress == after - 1
    assert before.snapshot is not None
    assert before.effects is not None
    before.effects.commit(connection)
    commit(connection, handled(worker, records[after:]))


RECORDS = lived().records
AFTER_TRADES = [n + 1 for n, record in enumerate(RECORDS) if b'"trades"' in record.payload][:-1]


@pytest.mark.parametrize("after", AFTER_TRADES)
def test_a_restart_with_fresh_inputs_ahead_changes_nothing(
    connection: sa.Connection, undisturbed: dict[str, list[tuple[Any, ...]]], after: int
) -> None:
    restarted(connection, RECORDS, after)
    assert dump(connection) == undisturbed


@pytest.mark.parametrize("after", range(6, len(RECORDS), 2))
def test_a_restart_at_any_point_changes_no_ledger_and_gives_no_signal_twice(
    connection: sa.Connection, undisturbed: dict[str, list[tuple[Any, ...]]], after: int
) -> None:
    restarted(connection, RECORDS, after)
    assert dump(connection, WITHOUT_DECISIONS) == {name: undisturbed[name] for name in WITHOUT_DECISIONS}
    # without book and account the decision is a skip; the signal then comes later, or not at all
    assert len(dump(connection, {"consensus_signals"})["consensus_signals"]) <= 1


def test_a_start_without_a_snapshot_begins_with_nothing(connection: sa.Connection) -> None:
    before = restore(connection, Worker("0", lambda: T0), T0)
    assert (before.progress, before.snapshot, before.effects, before.last_seen_ms) == (-1, None, None, None)


def test_gaps_are_closed_by_what_comes_after_them(connection: sa.Connection) -> None:
    inputs = begun()
    inputs.add("gap", 1_000, {"coin": "BTC", "from_ms": T0, "to_ms": T0 + 900})
    inputs.add("lost", 1_000, {"user": POOL[0], "from_ms": T0, "to_ms": T0 + 900, "detail": "down"})
    worker = Worker("0", lambda: T0)
    commit(connection, handled(worker, inputs.records))
    assert open_gaps(connection) == 2
    more = Inputs()
    more.add("reconciled", 5_000, {"coin": "BTC"})
    more.add("primed", 5_000, {"user": POOL[0], "as_of_ms": T0 + 5_000, "positions": []})
    numbered = [replace_seq(record, len(inputs.records) + n) for n, record in enumerate(more.records)]
    commit(connection, handled(worker, numbered))
    assert open_gaps(connection) == 0


def open_gaps(connection: sa.Connection) -> int:
    query = "SELECT count(*) FROM feed_gaps WHERE reconciled_at IS NULL"
    return int(connection.execute(sa.text(query)).scalar_one())


def replace_seq(record: InputRecord, seq: int) -> InputRecord:
    return InputRecord(seq, record.kind, record.received_ms, record.payload)


def test_a_record_that_fails_in_the_engine_is_parked_with_its_bytes(connection: sa.Connection) -> None:
    inputs = begun()
    other = replace(snapshot(version=2), mode="live")
    inputs.add("snapshot", 100, to_json(other).encode())
    commit(connection, handled(Worker("0", lambda: T0), inputs.records))
    (row,) = connection.execute(sa.text("SELECT seq, kind, coin, payload, error FROM dead_records")).all()
    assert (row.seq, row.kind, row.coin) == (len(inputs.records) - 1, "snapshot", None)
    assert bytes(row.payload) == to_json(other).encode()
    assert "snapshot.mode is 'live'" in row.error
