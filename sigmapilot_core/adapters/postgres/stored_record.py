"""The stored history of an installation as the record that the evaluation walks over.

Nothing is known earlier than it was: fills and episodes carry since when they are known, leaderboards and the answers
of filters 5-7 are those that had been fetched by the instant. Books are not stored: the price of a past decision is the
close of its minute, slippage the static figure.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from sigmapilot_core.adapters.postgres import history_store, leaderboard_store, market_store, science_store
from sigmapilot_core.adapters.postgres.as_of_store import STREAM_SETTLES_MS
from sigmapilot_core.adapters.postgres.instants import at, midnight, ms_of
from sigmapilot_core.adapters.postgres.schema.model import (
    leaderboard_snapshots,
    leaderboard_superseded,
    marks_1m,
    trader_facts,
)
from sigmapilot_core.domain.evaluation.day_model import HISTORY_DAYS, Learner
from sigmapilot_core.domain.evaluation.episode_columns import NOT_CLOSED, EpisodeColumns
from sigmapilot_core.domain.evaluation.market_view import MarketView
from sigmapilot_core.domain.evaluation.record import FILL, NO_ORDER, VenueRecord
from sigmapilot_core.domain.params import DAY_MS, HOUR_MS, MINUTE_MS, Params
from sigmapilot_core.domain.traders.filters import TraderFacts
from sigmapilot_core.domain.venue import LeaderboardRow

Connect = Callable[[], AbstractContextManager[sa.Connection]]
_CHUNK = 50_000


class NoHistoryError(LookupError):
    """The database holds nothing that could be walked over; the sentence says what to run."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What a range of stored history lacks: traders whose history was not fetched whole, of those that passed filters
    1-4 in it; days on which no leaderboard was in force; share of the minutes of the coins that are stored."""

    traders: int
    of_traders: int
    days_without_board: int
    minutes_stored: float

    def sentence(self) -> str | None:
        """What is missing, None if nothing worth telling is."""
        found = []
        if self.traders:
            found.append(f"the history of {self.traders} of {self.of_traders} traders is not complete")
        if self.days_without_board:
            days = "1 day" if self.days_without_board == 1 else f"{self.days_without_board} days"
            found.append(f"no leaderboard was in force on {days}")
        if self.minutes_stored < _ENOUGH_MINUTES:
            found.append(f"{self.minutes_stored:.0%} of the minutes of its coins are stored")
        return "; ".join(found) or None


_ENOUGH_MINUTES = 0.98


@dataclass(frozen=True, slots=True)
class Stored:
    """A learner over stored history, and what that lacks."""

    learner: Learner
    missing: Missing


def stored_range(connection: sa.Connection) -> tuple[date, date]:
    """[first, last) of the days that can be walked over: from the first midnight with a leaderboard to the last one
    before the newest minute.

    Raises:
        NoHistoryError: there is no leaderboard, no fill of a trader or no minute.
    """
    held = (leaderboard_snapshots, leaderboard_superseded)
    fetched = [connection.execute(sa.select(sa.func.min(table.c.fetched_at))).scalar() for table in held]
    known = [found for found in fetched if found is not None]
    if not known:
        raise NoHistoryError("no history is stored: no leaderboard was fetched yet; run job materialise_all")
    has_fills = sa.text("SELECT EXISTS (SELECT 1 FROM history_fills) OR EXISTS (SELECT 1 FROM fills)")
    if not connection.execute(has_fills).scalar():
        raise NoHistoryError("no history is stored: no trader's fills were fetched yet; run job refresh_alpha_pool")
    newest = connection.execute(sa.select(sa.func.max(marks_1m.c.ts))).scalar()
    if newest is None:
        raise NoHistoryError("no history is stored: no minute was fetched yet; run job fetch_minutes")
    first = min(known).astimezone(UTC).date() + timedelta(days=1)
    return first, (newest.astimezone(UTC) + timedelta(minutes=1)).date()


def read_learner(connect: Connect, first: date, last: date, params: Params) -> Stored:
    """Everything stored of [first, last) with the 60 days of fills before it, as the evaluation takes it.

    `connect` opens a connection for each leaderboard that is asked for later: there are as many as days.
    """
    start_ms, end_ms = ms_of(midnight(first)), ms_of(midnight(last))
    with connect() as connection:
        universe = market_store.read_universe(connection)
        with_candles = set(market_store.coins_with_candles(connection))
        coins = [(row["coin"], int(row["sz_decimals"])) for row in universe if row["coin"] in with_candles]
        names = [coin for coin, _ in coins]
        users = _users(connection, end_ms)
        fills, known_ms = _fills(connection, users, coins, start_ms - HISTORY_DAYS * DAY_MS, end_ms)
        minutes = science_store.read_minutes(connection, names, start_ms, end_ms)
        funding_times, funding_rates = _funding(connection, names, start_ms, end_ms)
        record = VenueRecord(
            addresses=users,
            coins=tuple(names),
            sz_decimals=tuple(decimals for _, decimals in coins),
            start_ms=start_ms,
            end_ms=end_ms,
            fills=fills,
            minutes=minutes,
            hours=tuple(
                tuple(b for b in market_store.read_hourly(connection, coin, at(0)) if b.close_ms <= end_ms)
                for coin in names
            ),
            funding_times=funding_times,
            funding_rates=funding_rates,
            board=_boards(connect, params.freshness.leaderboard_s),
            book=lambda _coin, _time_ms: None,
            has_books=False,
            known_ms=known_ms,
            answers=_answers(connection, users, at(end_ms)),
        )
        market = MarketView(record, params)
        learner = Learner(record, market, _episodes(connection, users, names), params)
        return Stored(learner, _missing(connection, learner, first, last, params))


def _users(connection: sa.Connection, end_ms: int) -> tuple[str, ...]:
    """Everybody who was ever listed, asked or heard, by address."""
    query = sa.text(
        """
        SELECT address COLLATE "C" FROM (
            SELECT address FROM addresses WHERE first_seen_date <= :until
            UNION SELECT address FROM history_fills UNION SELECT address FROM fills
            UNION SELECT address FROM history_episodes UNION SELECT address FROM position_signals) everybody
         ORDER BY 1
        """
    )
    return tuple(connection.execute(query, {"until": at(end_ms).date()}).scalars())


def _fills(
    connection: sa.Connection, users: Sequence[str], coins: Sequence[tuple[str, int]], since_ms: int, until_ms: int
) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """(fills of [since, until) in order of execution, since when each is known): live before fetched.

    Prices and sizes are put on the grid of the coin, on which the venue's own stand.
    """
    query = sa.text(
        """
        WITH grid AS (SELECT * FROM unnest(CAST(:names AS text[]), CAST(:decimals AS int[])) AS g(coin, d)),
        every AS (
            SELECT address, coin, time_ms, tid, px, CASE WHEN is_buy THEN sz ELSE -sz END AS signed, crossed,
                   position_after - CASE WHEN is_buy THEN sz ELSE -sz END AS start, NULL::bigint AS oid,
                   false AS is_liquidation, received_ms AS known_ms, seq AS ordinal
              FROM fills WHERE time_ms >= :since AND time_ms < :until
            UNION ALL
            SELECT address, coin, time_ms, tid, px, CASE WHEN is_buy THEN sz ELSE -sz END, crossed, start_position,
                   oid, is_liquidation, known_since_ms, ordinal
              FROM history_fills h
             WHERE time_ms >= :since AND time_ms < :until
               AND NOT EXISTS (SELECT 1 FROM fills f WHERE f.address = h.address AND f.time_ms = h.time_ms
                                  AND f.coin = h.coin AND f.tid = h.tid))
        SELECT address, coin, time_ms, tid, round(px * 10::numeric ^ (6 - d))::bigint,
               round(signed * 10::numeric ^ d)::bigint, round(start * 10::numeric ^ d)::bigint, oid, crossed,
               is_liquidation, known_ms
          FROM every JOIN grid USING (coin)
         ORDER BY time_ms, address COLLATE "C", ordinal
        """
    )
    bound = {"names": [c for c, _ in coins], "decimals": [d for _, d in coins], "since": since_ms, "until": until_ms}
    user_at, coin_at = {u: i for i, u in enumerate(users)}, {c: i for i, (c, _) in enumerate(coins)}
    chunks, known = [np.zeros(0, dtype=FILL)], [np.zeros(0, dtype=np.int64)]
    for rows in connection.execute(query, bound, execution_options={"yield_per": _CHUNK}).partitions():
        chunk = np.zeros(len(rows), dtype=FILL)
        columns = list(zip(*rows, strict=True))
        chunk["user"] = [user_at[address] for address in columns[0]]
        chunk["coin"] = [coin_at[coin] for coin in columns[1]]
        for name, column in zip(("t", "tid", "px", "lots"), columns[2:6], strict=True):
            chunk[name] = column
        chunk["start"] = _or(columns[6], np.iinfo(np.int64).min)
        chunk["oid"] = _or(columns[7], NO_ORDER)
        chunk["crossed"], chunk["is_liquidation"] = columns[8], columns[9]
        chunks.append(chunk)
        known.append(np.array(columns[10], dtype=np.int64))
    return np.concatenate(chunks), np.concatenate(known)


def _or(values: Iterable[int | None], unknown: int) -> list[int]:
    return [unknown if value is None else value for value in values]


def _episodes(connection: sa.Connection, users: Sequence[str], coins: Sequence[str]) -> EpisodeColumns:
    """Every stored episode whose opening was seen, by opening; those not learnt from have no R.

    What was heard live becomes known when the stream has settled, what was fetched with its fetch; a fetched one stands
    back where a live one covers its time.
    """
    query = sa.text(
        """
        WITH live AS (
            SELECT *, known_since_ms + :settles AS known_ms FROM position_signals WHERE NOT first_seen_mid_life
        ), fetched AS (
            SELECT *, known_since_ms AS known_ms FROM history_episodes h
             WHERE NOT first_seen_mid_life AND NOT EXISTS (
                   SELECT 1 FROM live p
                    WHERE p.address = h.address AND p.asset = h.asset AND (p.entry_ts = h.entry_ts
                       OR (p.learnable AND p.entry_ts < h.exit_ts AND p.exit_ts > h.entry_ts)))
        )
        SELECT address, asset, direction, (extract(epoch FROM entry_ts) * 1000)::bigint,
               CASE WHEN status = 'closed' THEN (extract(epoch FROM exit_ts) * 1000)::bigint END,
               CASE WHEN status = 'closed' AND learnable THEN r_gross_unclamped END, known_ms
          FROM (SELECT address, asset, direction, entry_ts, exit_ts, status, learnable, r_gross_unclamped, known_ms
                  FROM live
                UNION ALL
                SELECT address, asset, direction, entry_ts, exit_ts, status, learnable, r_gross_unclamped, known_ms
                  FROM fetched) every
         WHERE asset = ANY(:coins)
         ORDER BY entry_ts, address COLLATE "C", asset COLLATE "C"
        """
    )
    rows = connection.execute(query, {"settles": STREAM_SETTLES_MS, "coins": list(coins)}).all()
    user_at, coin_at = {u: i for i, u in enumerate(users)}, {c: i for i, c in enumerate(coins)}
    closed = np.array([NOT_CLOSED if row[4] is None else row[4] for row in rows], dtype=np.int64)
    return EpisodeColumns(
        user=np.array([user_at[row[0]] for row in rows], dtype=np.int64),
        coin=np.array([coin_at[row[1]] for row in rows], dtype=np.int64),
        direction=np.array([1 if row[2] == "long" else -1 for row in rows], dtype=np.int64),
        opened_ms=np.array([row[3] for row in rows], dtype=np.int64),
        closed_ms=closed,
        r_unclamped=np.array([np.nan if row[5] is None else row[5] for row in rows], dtype=np.float64),
        left_out=0,
        known_ms=np.array([c if row[6] is None else row[6] for row, c in zip(rows, closed, strict=True)], np.int64),
    )


def _funding(
    connection: sa.Connection, coins: Sequence[str], start_ms: int, end_ms: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rates by full hour, the one in force at the start included; NaN where none is stored."""
    first = start_ms - HOUR_MS
    times = np.arange(first, end_ms, HOUR_MS, dtype=np.int64)
    rates = np.full((times.size, len(coins)), np.nan)
    coin_at = {coin: i for i, coin in enumerate(coins)}
    for coin, hour, rate in market_store.read_funding(connection, at(first), at(end_ms)):
        if coin in coin_at:
            rates[(ms_of(hour) - first) // HOUR_MS, coin_at[coin]] = rate
    return times, rates


def _boards(connect: Connect, max_age_s: float) -> Callable[[int], Sequence[LeaderboardRow] | None]:
    """The leaderboard in force at an instant; None where the newest is older than a decision accepts."""

    @lru_cache(maxsize=3)
    def board(at_ms: int) -> Sequence[LeaderboardRow] | None:
        with connect() as connection:
            found = leaderboard_store.read_known(connection, at(at_ms))
        if found is None or at_ms - ms_of(midnight(found[0])) > max_age_s * 1000:
            return None
        return found[1]

    return board


def _answers(
    connection: sa.Connection, users: Sequence[str], until: datetime
) -> Callable[[int, int], TraderFacts | None]:
    """The newest answer of filters 5-7 of a trader by an instant."""
    user_at = {user: i for i, user in enumerate(users)}
    asked: dict[int, list[int]] = defaultdict(list)
    facts: dict[int, list[TraderFacts]] = defaultdict(list)
    table = trader_facts
    for row in connection.execute(sa.select(table).where(table.c.asked_at <= until).order_by(table.c.asked_at)):
        user = user_at.get(row.address)
        if user is not None:
            asked[user].append(ms_of(row.asked_at))
            facts[user].append(TraderFacts(row.orders_per_day, row.has_sub_accounts, row.has_major_fill))

    def newest(user: int, as_of_ms: int) -> TraderFacts | None:
        index = bisect.bisect_right(asked[user], as_of_ms) - 1 if user in asked else -1
        return facts[user][index] if index >= 0 else None

    return newest


def _missing(connection: sa.Connection, learner: Learner, first: date, last: date, params: Params) -> Missing:
    record, rules = learner.record, params.filters
    c = leaderboard_snapshots.c
    passed = connection.execute(
        sa.select(c.address)
        .where(
            c.as_of_date >= first - timedelta(days=1),
            c.as_of_date < last,
            c.month_pnl >= rules.min_pnl_usd,
            c.month_roi >= rules.min_roi,
            c.account_value >= rules.min_account_value_usd,
            c.week_vlm >= rules.min_week_volume_usd,
        )
        .distinct()
    ).scalars()
    wanted = set(passed)
    facts = history_store.read_facts(connection)
    days = range((last - first).days)
    boards = {day for (day,) in connection.execute(sa.select(c.as_of_date).where(c.as_of_date < last).distinct())}
    stale = round(params.freshness.leaderboard_s // 86_400)
    return Missing(
        traders=sum(not _is_whole(facts.get(address), rules.max_orders_per_day) for address in wanted),
        of_traders=len(wanted),
        days_without_board=sum(
            not any(first + timedelta(days=n - back) in boards for back in range(1, stale + 1)) for n in days
        ),
        minutes_stored=_minutes_stored(record),
    )


def _is_whole(facts: history_store.TraderFacts | None, max_orders_per_day: float) -> bool:
    """Whether a trader was asked and all of 60 days came; one who trades too often is never chosen anyway."""
    if facts is None or facts.error is not None:
        return False
    is_frequent = facts.orders_per_day is not None and facts.orders_per_day > max_orders_per_day
    return facts.fill_count < history_store.MAX_FILLS or is_frequent


def _minutes_stored(record: VenueRecord) -> float:
    close = record.minutes.close
    whole = (record.end_ms - record.start_ms) // MINUTE_MS * max(1, len(record.coins))
    return float(np.isfinite(close).sum()) / whole
