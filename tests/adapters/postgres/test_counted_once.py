"""What was seen live and fetched again later is one episode and one fill for whoever learns from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import history_store, stream_store
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.episode_store import read_learnable, replace_history_episodes
from sigmapilot_core.domain.events import Fill, Source
from sigmapilot_core.domain.params import DAY_MS, MINUTE_MS
from sigmapilot_core.domain.traders.episode import Episode
from sigmapilot_core.domain.traders.history import build_history

USER = "0x" + "a" * 40
T0 = 20_000 * DAY_MS


@pytest.fixture
def connection(pg_url: str) -> Iterator[sa.Connection]:
    engine = create_engine(pg_url)
    with engine.begin() as opened:
        yield opened
    engine.dispose()


def _fill(minute: int, is_buy: bool, size: int, source: Source = Source.LIVE) -> Fill:
    return Fill(
        user=USER, coin="BTC", is_buy=is_buy, px=Decimal(100 + minute), sz=Decimal(size), tid=minute, hash="0x",
        time_ms=T0 + minute * MINUTE_MS, crossed=True, fee=Decimal(0), source=source,
    )  # fmt: skip


def _episodes(fills: Sequence[Fill]) -> tuple[Episode, ...]:
    """Episodes of an account that was flat, with a stop of 2 %."""
    return build_history(fills, sz_decimals={"BTC": 5}, stop_at=lambda _coin, _ms: 0.02, assume_flat=True).episodes


def _learnt(connection: sa.Connection, live: Sequence[Fill], fetched: Sequence[Fill]) -> int:
    stream_store.store_episodes(connection, [], _episodes(live))
    replace_history_episodes(connection, [USER], _episodes(fetched))
    return len(read_learnable(connection, T0 + DAY_MS).address)


ROUND_TRIP = [(0, True, 1), (10, False, 1)]


def test_an_episode_seen_live_and_fetched_again_is_learnt_from_once(connection: sa.Connection) -> None:
    live, fetched = ([_fill(*item, source) for item in ROUND_TRIP] for source in (Source.LIVE, Source.BACKFILL))
    assert _learnt(connection, live, fetched) == 1


def test_an_episode_whose_opening_fill_the_feed_missed_is_not_learnt_from_twice(connection: sa.Connection) -> None:
    fetched = [_fill(*item, Source.BACKFILL) for item in [(0, True, 1), (5, True, 1), (10, False, 2)]]
    live = [_fill(*item) for item in [(5, True, 1), (10, False, 1)]]  # (0, buy 1) was missed
    assert _learnt(connection, live, fetched) == 1


def test_episodes_that_only_touch_are_two(connection: sa.Connection) -> None:
    fetched = [_fill(*item, Source.BACKFILL) for item in ROUND_TRIP]
    live = [_fill(*item) for item in [(10, True, 1), (20, False, 1)]]
    assert _learnt(connection, live, fetched) == 2


def test_a_fill_seen_live_and_fetched_again_counts_once_in_correlations(connection: sa.Connection) -> None:
    fill = _fill(1, True, 2)
    facts = history_store.TraderFacts(USER, datetime.now(UTC), 1.0, False, True, 1)
    history_store.store_history(connection, facts, [fill], T0)
    applied = stream_store.AppliedFill(fill, Decimal(2), None, "open", None, fill.time_ms, 1)
    stream_store.store_fills(connection, [applied])
    acts = history_store.bucketed_notionals(connection, [USER], T0, T0 + DAY_MS, 5 * MINUTE_MS)
    assert [act.signed_notional for act in acts] == [2 * 101.0]
