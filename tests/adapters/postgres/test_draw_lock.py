"""Two runs at once: a day is evaluated once, live draws take versions of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Event
from typing import Any

import pytest
import sqlalchemy as sa
from as_of_world import day, moment, store_world

from sigmapilot_core.adapters.postgres import as_of_store, trader_store
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.schema.model import alpha_pool_addresses, pool_selections, trader_snapshots
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.traders.day import AS_OF_VERSION, Day, evaluate_day

PARAMS = Params()
PATIENCE_S = 60
Runs = tuple[Future[Any], Future[Any]]


@pytest.fixture
def engine(pg_url: str) -> Iterator[sa.Engine]:
    """A database of its own: what is tested is what other transactions see."""
    made = create_engine(pg_url)
    with made.begin() as connection:
        store_world(connection, 3)
    yield made
    made.dispose()


def whole_day(engine: sa.Engine, evaluated: Event | None = None, may_commit: Event | None = None) -> Day | None:
    """Evaluate the first day; tell when it is done, and commit only when told."""
    with engine.begin() as connection:
        found = as_of_store.evaluate_whole_day(connection, day(0), "normal", None, PARAMS)
        if evaluated is not None and may_commit is not None:
            evaluated.set()
            assert may_commit.wait(PATIENCE_S)
    return found


def live(engine: sa.Engine, has_version: Event | None = None, may_commit: Event | None = None) -> Day:
    """Draw as the asset does."""
    with engine.begin() as connection:
        version = trader_store.next_selection_version(connection)
        if has_version is not None and may_commit is not None:
            has_version.set()
            assert may_commit.wait(PATIENCE_S)
        known = as_of_store.read_knowledge(connection, moment(2, 2), None, version, PARAMS)
        drawn = evaluate_day(known, known.leaderboard_day, version, PARAMS)
        as_of_store.store_day(connection, drawn, known, "normal", PARAMS, with_labels=False)
    return drawn


def wait_until_one_waits(engine: sa.Engine) -> None:
    """Until a transaction of this database waits for an advisory lock."""
    query = sa.text(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    for _ in range(PATIENCE_S * 20):
        with engine.connect() as connection:
            if connection.execute(query).scalar_one():
                return
        time.sleep(0.05)
    raise AssertionError("the second run did not wait for the first")


def counts(engine: sa.Engine) -> tuple[int, int, int]:
    """(keys, members, rows of traders) of the whole day."""
    with engine.connect() as connection:
        return tuple(  # type: ignore[return-value]
            connection.execute(
                sa.select(sa.func.count()).select_from(table).where(table.c.selection_version == AS_OF_VERSION)
            ).scalar_one()
            for table in (pool_selections, alpha_pool_addresses, trader_snapshots)
        )


@contextmanager
def two_runs(engine: sa.Engine, first: Callable[[Event, Event], Any], second: Callable[[], Any]) -> Iterator[Runs]:
    """The first run has drawn and not committed when the second asks for the lock; then the first may go on."""
    has_drawn, may_go_on = Event(), Event()
    with ThreadPoolExecutor(2) as runs:
        one = runs.submit(first, has_drawn, may_go_on)
        assert has_drawn.wait(PATIENCE_S)
        other = runs.submit(second)
        wait_until_one_waits(engine)
        may_go_on.set()
        yield one, other


def test_two_runs_of_the_same_day_store_one_key_and_one_draw(engine: sa.Engine) -> None:
    with two_runs(engine, partial(whole_day, engine), partial(whole_day, engine)) as (first, second):
        made, found = first.result(PATIENCE_S), second.result(PATIENCE_S)
    assert made is not None
    assert found is None, "it finds the day evaluated and leaves it"
    assert counts(engine) == (1, len(made.selection.pool), len(made.rows))
    with engine.connect() as connection:
        (draw,) = as_of_store.selections_of(connection, day(0))
        assert draw["philox_key"] == made.selection.key_hex
        assert list(as_of_store.key_differences(connection, draw, PARAMS)) == []
        assert list(as_of_store.differences(connection, draw, None, PARAMS)) == []


def test_a_run_that_fails_leaves_the_day_to_the_one_that_waited(engine: sa.Engine) -> None:
    def fails(evaluated: Event, may_fail: Event) -> None:
        with engine.begin() as connection:
            as_of_store.evaluate_whole_day(connection, day(0), "normal", None, PARAMS)
            evaluated.set()
            assert may_fail.wait(PATIENCE_S)
            raise ConnectionError("killed")

    with two_runs(engine, fails, partial(whole_day, engine)) as (first, second):
        with pytest.raises(ConnectionError):
            first.result(PATIENCE_S)
        made = second.result(PATIENCE_S)
    assert made is not None
    assert counts(engine) == (1, len(made.selection.pool), len(made.rows))


def test_two_live_draws_at_once_take_versions_and_keys_of_their_own(engine: sa.Engine) -> None:
    with two_runs(engine, partial(live, engine), partial(live, engine)) as (first, second):
        drawn = [run.result(PATIENCE_S).selection for run in (first, second)]
    assert [one.version for one in drawn] == [1, 2]
    assert len({one.key_hex for one in drawn}) == 2
    with engine.connect() as connection:
        for draw in as_of_store.selections_of(connection, day(2)):
            assert list(as_of_store.differences(connection, draw, None, PARAMS)) == []
