"""Who was taken for dead writes nothing: claims, fences, states and reports of partitions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import partition_store, stream_store
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.partition_store import Claim, FencedError, Stored


@pytest.fixture
def engine(pg_url: str) -> Iterator[sa.Engine]:
    found = create_engine(pg_url)
    yield found
    found.dispose()


def claim(engine: sa.Engine, owner: str) -> Claim:
    with engine.begin() as connection:
        return partition_store.claim(connection, "3-of-4", owner)


def test_the_first_owner_begins_before_the_first_input_and_each_next_one_where_the_last_committed(
    engine: sa.Engine,
) -> None:
    first = claim(engine, "a")
    assert (first.seq, first.epoch) == (-1, 1)
    with engine.begin() as connection:
        held = partition_store.advance(connection, first, 41)
    assert (held.seq, held.epoch) == (41, 1)
    second = claim(engine, "b")
    assert (second.seq, second.epoch) == (41, 2)
    with engine.connect() as connection:
        assert stream_store.read_progress(connection, "3-of-4") == 41
        assert partition_store.read_progress(connection) == {"3-of-4": 41}


def test_a_fenced_owner_writes_nothing_at_all(engine: sa.Engine) -> None:
    zombie = claim(engine, "zombie")
    claim(engine, "owner")

    def write() -> None:
        with engine.begin() as connection:
            stream_store.store_status(connection, {"trace": {"value": 1}})
            partition_store.advance(connection, zombie, 5)

    with pytest.raises(FencedError, match="epoch 1 of zombie at -1 is over"):
        write()
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM stream_status")).scalar() == 0
        assert stream_store.read_progress(connection, "3-of-4") == -1


def test_a_claim_that_was_used_does_not_work_twice(engine: sa.Engine) -> None:
    held = claim(engine, "a")
    with engine.begin() as connection:
        partition_store.advance(connection, held, 1)
    with pytest.raises(FencedError), engine.begin() as connection:
        partition_store.advance(connection, held, 2)


def test_of_two_at_once_the_later_owner_wins_even_while_the_zombie_is_writing(engine: sa.Engine) -> None:
    zombie = claim(engine, "zombie")
    with engine.connect() as slow, slow.begin() as transaction:
        partition_store.advance(slow, zombie, 9)  # holds the row: the next claim waits for the end of this
        transaction.commit()
    owner = claim(engine, "owner")
    assert owner.seq == 9
    with pytest.raises(FencedError), engine.begin() as connection:
        partition_store.advance(connection, Claim("3-of-4", "zombie", 1, 9), 10)
    with engine.begin() as connection:
        assert partition_store.advance(connection, owner, 10).seq == 10


def test_progress_never_goes_back(engine: sa.Engine) -> None:
    with engine.begin() as connection, pytest.raises(ValueError, match="is at 7 and never goes back to 6"):
        partition_store.advance(connection, Claim("3-of-4", "a", 1, 7), 6)


def test_the_newest_state_is_kept_and_reports_replace_each_other(engine: sa.Engine) -> None:
    held = claim(engine, "a")
    with engine.begin() as connection:
        assert partition_store.read_checkpoint(connection, "3-of-4") is None
        for seq in (1, 2):
            partition_store.store_checkpoint(connection, held, Stored(seq, "code", b"\x00state"))
        assert partition_store.read_checkpoint(connection, "3-of-4") == Stored(2, "code", b"\x00state")
        for waiting in (7, 3):
            partition_store.store_reports(connection, {"3-of-4": {"waiting": waiting}})
        found = partition_store.read_reports(connection)
    assert found["3-of-4"]["waiting"] == 3
    assert found["3-of-4"]["age_s"] >= 0
