"""A past day is a function of what was known when it ended: nothing that came later changes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from as_of_world import (
    DAYS,
    DEAD,
    TRADERS,
    VANISHED,
    board_row,
    day,
    episode,
    facts,
    moment,
    ms,
    store_episodes,
    store_world,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmapilot_core.adapters.postgres import as_of_store, history_store, leaderboard_store, stream_store, trader_store
from sigmapilot_core.adapters.postgres.as_of_store import NothingKnownError, end_of
from sigmapilot_core.adapters.postgres.partitions import ensure_between
from sigmapilot_core.adapters.postgres.schema.model import (
    alpha_pool_addresses,
    history_episodes,
    pool_selections,
    position_signals,
    trader_snapshots,
)
from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.traders import thompson
from sigmapilot_core.domain.traders.day import AS_OF_VERSION, Day, Knowledge, evaluate_day

PARAMS = Params()
WHOLE_DAY = 5
"""The day most tests evaluate: there are days before and after it."""


def evaluated(connection: sa.Connection, number: int) -> list[dict[str, Any]]:
    """Evaluate every missing day up to one and return its rows of all three tables."""
    for missing in as_of_store.missing_days(connection, day(number)):
        as_of_store.evaluate_whole_day(connection, missing, "normal", None, PARAMS)
    return stored(connection, number)


def stored(connection: sa.Connection, number: int, version: int = AS_OF_VERSION) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for table, of in ((pool_selections, "as_of_date"), (alpha_pool_addresses, "as_of_date"),
                      (trader_snapshots, "snapshot_date")):  # fmt: skip
        query = sa.select(table).where(table.c[of] == day(number), table.c.selection_version == version)
        rows = [dict(row) for row in connection.execute(query).mappings()]
        found += sorted(rows, key=lambda row: str(row.get("address")))
    return found


def draw_live(connection: sa.Connection, at: datetime) -> int:
    """A live draw, as the asset makes it."""
    version = trader_store.next_selection_version(connection)
    known = as_of_store.read_knowledge(connection, at, None, version, PARAMS)
    made = evaluate_day(known, known.leaderboard_day, version, PARAMS)
    as_of_store.store_day(connection, made, known, "normal", PARAMS, with_labels=False)
    return version


def known_of(connection: sa.Connection, number: int) -> tuple[Knowledge, Day]:
    known = as_of_store.read_knowledge(connection, end_of(day(number)), day(number), AS_OF_VERSION, PARAMS)
    return known, evaluate_day(known, day(number), AS_OF_VERSION, PARAMS)


def test_a_backfilled_day_equals_the_evaluation_made_right_after_it(rolled_back: sa.Connection) -> None:
    store_world(rolled_back, WHOLE_DAY + 1)
    then = evaluated(rolled_back, WHOLE_DAY)
    for table in (pool_selections, alpha_pool_addresses, trader_snapshots):
        rolled_back.execute(table.delete())
    store_world(rolled_back, DAYS)
    assert evaluated(rolled_back, WHOLE_DAY) == then
    assert len(then) > len(TRADERS)


def test_a_live_draw_made_again_days_later_is_the_same_in_every_value(rolled_back: sa.Connection) -> None:
    store_world(rolled_back, WHOLE_DAY + 1)
    draw_live(rolled_back, moment(WHOLE_DAY - 1, 20))
    version = draw_live(rolled_back, moment(WHOLE_DAY, 20))
    evaluated(rolled_back, WHOLE_DAY - 2)
    store_world(rolled_back, DAYS)
    evaluated(rolled_back, DAYS - 2)
    draws = as_of_store.selections_of(rolled_back, day(WHOLE_DAY))
    assert [row["selection_version"] for row in draws] == [AS_OF_VERSION, version]
    assert [d for draw in draws for d in as_of_store.differences(rolled_back, draw, None, PARAMS)] == []
    assert [d for draw in draws for d in as_of_store.key_differences(rolled_back, draw, PARAMS)] == []


def test_past_days_never_become_the_selection_in_force(rolled_back: sa.Connection) -> None:
    store_world(rolled_back)
    version = draw_live(rolled_back, moment(3, 20))
    before = trader_store.newest_selection(rolled_back)
    evaluated(rolled_back, DAYS - 1)
    assert trader_store.newest_selection(rolled_back) == before
    assert trader_store.next_selection_version(rolled_back) == version + 1
    assert before is not None
    assert before["selection_version"] == version


def test_a_day_that_is_stored_stays_as_it_is(rolled_back: sa.Connection) -> None:
    store_world(rolled_back)
    then = evaluated(rolled_back, WHOLE_DAY)
    assert as_of_store.evaluate_whole_day(rolled_back, day(WHOLE_DAY), "normal", None, PARAMS) is None
    assert evaluated(rolled_back, DAYS - 1) != then
    assert stored(rolled_back, WHOLE_DAY) == then


def test_what_is_not_the_days_own_doing_is_named(rolled_back: sa.Connection) -> None:
    store_world(rolled_back)
    evaluated(rolled_back, WHOLE_DAY)
    of_day = (trader_snapshots.c.snapshot_date == day(WHOLE_DAY)) & (trader_snapshots.c.address == TRADERS[0])
    rolled_back.execute(trader_snapshots.update().where(of_day).values(thompson_draw=9.0))
    (draw,) = as_of_store.selections_of(rolled_back, day(WHOLE_DAY))
    for found in (as_of_store.key_differences, lambda *a: as_of_store.differences(a[0], a[1], None, a[2])):
        (said,) = found(rolled_back, draw, PARAMS)
        assert TRADERS[0] in said
        assert "is 9.0 and made again" in said
    rolled_back.execute(pool_selections.update().values(philox_key="0" * 32))
    (draw,) = as_of_store.selections_of(rolled_back, day(WHOLE_DAY))[:1]
    assert "key is 00000000" in next(as_of_store.key_differences(rolled_back, draw, PARAMS))


def test_a_draw_is_repeated_with_the_crowd_it_was_shrunk_towards(
    rolled_back: sa.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thompson, "MIN_CROWD", 2)
    params = replace(PARAMS, bandit=replace(PARAMS.bandit, mean_check_episodes=1.0))
    store_world(rolled_back)
    known = as_of_store.read_knowledge(rolled_back, moment(WHOLE_DAY, 20), None, 1, params)
    made = evaluate_day(known, known.leaderboard_day, 1, params)
    as_of_store.store_day(rolled_back, made, known, "normal", params, with_labels=False)
    assert made.selection.crowd is not None
    (draw,) = as_of_store.selections_of(rolled_back, known.leaderboard_day)
    assert (draw["crowd_mean_r"], draw["crowd_episodes"]) == (
        made.selection.crowd.mean_r,
        made.selection.crowd.episodes,
    )
    assert list(as_of_store.key_differences(rolled_back, draw, PARAMS)) == []
    assert list(as_of_store.differences(rolled_back, draw, None, PARAMS)) == []
    (said, *_) = as_of_store.key_differences(rolled_back, draw | {"crowd_mean_r": 9.0}, PARAMS)
    assert f"trader {made.selection.drawn[0].address[:4]}" in said
    assert "draw is" in said


def test_nothing_is_known_before_the_first_leaderboard(rolled_back: sa.Connection) -> None:
    with pytest.raises(NothingKnownError, match="no leaderboard had been stored by the end of 2026-03-01"):
        as_of_store.missing_days(rolled_back, day(0))
    store_world(rolled_back, 1)
    with pytest.raises(NothingKnownError, match="by 2026-03-01 00:00 UTC"):
        as_of_store.read_knowledge(rolled_back, moment(0, 0), None, 1, PARAMS)
    with pytest.raises(NothingKnownError):
        as_of_store.missing_days(rolled_back, day(-1))


def test_a_leaderboard_replaced_later_that_day_is_still_what_an_earlier_draw_rested_on(
    rolled_back: sa.Connection,
) -> None:
    store_world(rolled_back, 2)
    version = draw_live(rolled_back, moment(1, 2))
    leaderboard_store.store_leaderboard(
        rolled_back, day(1), moment(1, 14), [board_row(user, pnl=0.0) for user in TRADERS]
    )
    (draw,) = as_of_store.selections_of(rolled_back, day(1))
    assert draw["selection_version"] == version
    assert list(as_of_store.differences(rolled_back, draw, None, PARAMS)) == []
    assert leaderboard_store.read_leaderboard(rolled_back, day(1))[0].windows["month"].pnl_usd == 0.0


def test_the_dead_and_the_vanished_have_a_row_every_day_and_are_never_chosen_again(rolled_back: sa.Connection) -> None:
    store_world(rolled_back)
    evaluated(rolled_back, DAYS - 1)
    c = trader_snapshots.c
    rows = rolled_back.execute(sa.select(trader_snapshots).order_by(c.address, c.snapshot_date)).all()
    told = {user: [row.event_type for row in rows if row.address == user] for user in TRADERS}
    assert all(len(found) == DAYS for found in told.values())
    assert told[DEAD][5:] == ["death"] * 5, "he recovers on the seventh day, and stays dead"
    assert told[VANISHED][6:] == ["censored"] * 4
    late = [row for row in rows if row.address in (DEAD, VANISHED) and row.snapshot_date >= day(7)]
    assert not any(row.is_eligible or row.is_selected for row in late)
    assert {row.death_type for row in late if row.address == DEAD} == {"drawdown_80"}


def test_an_episode_hidden_by_a_live_one_of_today_was_not_hidden_then(rolled_back: sa.Connection) -> None:
    store_world(rolled_back, WHOLE_DAY + 1)
    before = known_of(rolled_back, WHOLE_DAY)[0].episodes.address.tolist()
    long_live = episode(TRADERS[0], WHOLE_DAY + 2, 1.0, moment(WHOLE_DAY + 2, 12.1), hours=24 * 4, source="live")
    store_episodes(rolled_back, position_signals, [long_live])
    assert known_of(rolled_back, WHOLE_DAY)[0].episodes.address.tolist() == before
    assert TRADERS[0] in before


LATER = st.floats(min_value=0.001, max_value=24 * 5.0)
ANY_DAY = st.integers(-3, DAYS)
USERS = st.sampled_from([*TRADERS, "0x" + "9" * 40])
FUTURE = st.tuples(
    st.sampled_from(["board", "same_day_board", "facts", "fetched", "heard", "fetched_fill", "heard_fill", "draw"]),
    USERS,
    LATER,
    ANY_DAY,
    st.floats(-3, 3),
)


def _add(connection: sa.Connection, row: tuple[str, str, float, int, float]) -> None:
    """One row that became known after the day; what it tells of may be older."""
    kind, user, hours, number, value = row
    at = end_of(day(WHOLE_DAY)) + timedelta(hours=hours)
    if kind in ("board", "same_day_board"):
        of = at.date() if kind == "board" else day(WHOLE_DAY)
        leaderboard_store.store_leaderboard(connection, of, at, [board_row(user, 1_000.0 + 1e6 * abs(value))])
    elif kind == "facts":
        history_store.store_facts(connection, facts(user, at, 1_000.0))
    elif kind in ("fetched", "heard"):
        table = history_episodes if kind == "fetched" else position_signals
        store_episodes(connection, table, [episode(user, number, value, at, hours=30.0)])
    elif kind == "fetched_fill":
        liquidated = Fill(user, "BTC", False, Decimal(1), Decimal(1), ms(moment(number)), 7, True, "0x",
                          is_liquidation=True)  # fmt: skip
        history_store.store_history(connection, facts(user, at), [liquidated], ms(at))
    elif kind == "heard_fill":
        one = Decimal(1)
        heard = Fill(user, "BTC", True, one, one, ms(moment(number)), ms(at), True, "0x")
        stream_store.store_fills(connection, [stream_store.AppliedFill(heard, one, None, "open", None, ms(at), 1)])
    elif as_of_store.newest_whole_day(connection) is None:
        draw_live(connection, at)


def test_no_row_that_became_known_later_changes_a_past_day(rolled_back: sa.Connection) -> None:
    ensure_between(rolled_back, ms(moment(-5)), ms(moment(DAYS + 5)))
    store_world(rolled_back, WHOLE_DAY + 1)
    known, made = known_of(rolled_back, WHOLE_DAY)

    @settings(max_examples=25, deadline=None)
    @given(st.lists(FUTURE, min_size=1, max_size=6))
    def unchanged(later: list[tuple[str, str, float, int, float]]) -> None:
        with rolled_back.begin_nested() as example:
            for row in later:
                _add(rolled_back, row)
            known_again, made_again = known_of(rolled_back, WHOLE_DAY)
            assert made_again == made
            assert (known_again.rows, known_again.facts) == (known.rows, known.facts)
            assert known_again.peak_usd == known.peak_usd
            example.rollback()

    unchanged()
