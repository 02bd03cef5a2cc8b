"""Fetched histories of traders: fills in execution order, facts for the filters, episodes built from them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.bulk import write_rows
from sigmapilot_core.adapters.postgres.partitions import ensure_holding
from sigmapilot_core.adapters.postgres.schema.model import history_fills, trader_facts
from sigmapilot_core.domain.events import Fill, Source

MAX_FILLS = 10_000
"""So many fills of one account are asked for: of one with as many the older ones are not known."""
_FILL_COLUMNS = (
    "address",
    "time_ms",
    "coin",
    "tid",
    "is_buy",
    "px",
    "sz",
    "crossed",
    "start_position",
    "fee",
    "closed_pnl",
    "oid",
    "hash",
    "dir",
    "twap_id",
    "is_liquidation",
    "known_since_ms",
    "ordinal",
)
_FOLDED_COLUMNS = (
    "address",
    "coin",
    "is_buy",
    "px",
    "sz",
    "time_ms",
    "tid",
    "crossed",
    "start_position",
    "fee",
    "is_liquidation",
    "known_since_ms",
)


@dataclass(frozen=True, slots=True)
class TraderFacts:
    """What the requests of filters 5-7 answered for one trader; None is unknown, with the reason in `error`."""

    address: str
    asked_at: datetime
    orders_per_day: float | None
    has_sub_accounts: bool | None
    has_major_fill: bool | None
    fill_count: int
    first_fill_at: datetime | None = None
    last_fill_at: datetime | None = None
    error: str | None = None


def store_history(connection: sa.Connection, facts: TraderFacts, fills: Sequence[Fill], known_since_ms: int) -> int:
    """Store one trader's fetched fills (those already there stay) and its facts; returns new fills.

    `known_since_ms` is of those fills that do not say themselves since when they are known.
    """
    written = store_fills(connection, fills, known_since_ms)
    store_facts(connection, facts)
    return written


def store_fills(connection: sa.Connection, fills: Sequence[Fill], known_since_ms: int) -> int:
    """Store fetched fills in execution order; those already there stay. Returns how many were new."""
    if not fills:
        return 0
    ensure_holding(connection, (f.time_ms for f in fills))
    rows = (_fill_values(fill, known_since_ms, ordinal) for ordinal, fill in enumerate(fills))
    return write_rows(connection, history_fills, _FILL_COLUMNS, rows, "skip")


def store_facts(connection: sa.Connection, facts: TraderFacts) -> None:
    """Store one answer; earlier ones stay, so that what was known on a past day can be told."""
    columns = tuple(column.name for column in trader_facts.columns)
    write_rows(connection, trader_facts, columns, [[getattr(facts, name) for name in columns]], "update")


def read_facts(connection: sa.Connection, as_of: datetime | None = None) -> dict[str, TraderFacts]:
    """Newest facts of every trader ever asked, by address; with an instant, of those asked by then."""
    table = trader_facts
    query = sa.select(table).distinct(table.c.address).order_by(table.c.address, table.c.asked_at.desc())
    if as_of is not None:
        query = query.where(table.c.asked_at <= as_of)
    return {row["address"]: TraderFacts(**row) for row in connection.execute(query).mappings()}


def liquidated_users(connection: sa.Connection, as_of_ms: int) -> frozenset[str]:
    """Traders with a liquidation among the fetched fills that were known by an instant."""
    c = history_fills.c
    query = sa.select(c.address).where(c.is_liquidation, c.time_ms < as_of_ms, c.known_since_ms <= as_of_ms).distinct()
    return frozenset(connection.execute(query).scalars())


def _fill_values(fill: Fill, known_since_ms: int, ordinal: int) -> list[Any]:
    return [
        fill.user,
        fill.time_ms,
        fill.coin,
        fill.tid,
        fill.is_buy,
        fill.px,
        fill.sz,
        fill.crossed,
        fill.start_position,
        fill.fee,
        fill.closed_pnl,
        fill.oid,
        fill.hash,
        fill.dir,
        fill.twap_id,
        fill.is_liquidation,
        known_since_ms if fill.known_since_ms is None else fill.known_since_ms,
        ordinal,
    ]


def fill_counts(connection: sa.Connection) -> dict[str, int]:
    """How many fetched fills of each trader are stored."""
    c = history_fills.c
    query = sa.select(c.address, sa.func.count().label("n_fills")).group_by(c.address)
    return {row.address: row.n_fills for row in connection.execute(query)}


def iter_histories(connection: sa.Connection, users: Sequence[str] | None = None) -> Iterator[tuple[str, list[Fill]]]:
    """Every trader's fetched fills in execution order, one trader at a time, with what episodes are made of.

    What only the venue's own books need (hash, order, direction in words, its PnL) is left where it is.
    """
    c = history_fills.c
    query = sa.select(*(c[name] for name in _FOLDED_COLUMNS)).order_by(c.address, c.time_ms, c.ordinal)
    if users is not None:
        query = query.where(c.address == sa.any_(sa.literal(list(users), sa.ARRAY(sa.Text))))
    streamed = connection.execute(query, execution_options={"yield_per": 20_000})
    for address, rows in itertools.groupby(streamed, key=itemgetter(0)):
        yield address, [_fill(*row) for row in rows]


def _fill(
    user: str,
    coin: str,
    is_buy: bool,
    px: Decimal,
    sz: Decimal,
    time_ms: int,
    tid: int,
    crossed: bool,
    start_position: Decimal | None,
    fee: Decimal | None,
    is_liquidation: bool,
    known_since_ms: int,
) -> Fill:
    """A row by place: to look its columns up by name takes longer than all the rest of reading it."""
    return Fill(
        user, coin, is_buy, px, sz, time_ms, tid, crossed,
        start_position=start_position, fee=fee, is_liquidation=is_liquidation,
        source=Source.BACKFILL, known_since_ms=known_since_ms,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Act:
    """Net signed notional of one trader, asset and bucket: the raw material of correlation (spec 1.7)."""

    address: str
    coin: str
    bucket: int
    signed_notional: float


def bucketed_notionals(
    connection: sa.Connection, users: Iterable[str], since_ms: int, until_ms: int, bucket_ms: int
) -> list[Act]:
    """Net signed notional per (trader, asset, bucket) of [since, until), from live and fetched fills alike."""
    query = sa.text(
        """
        SELECT address, coin, time_ms / :bucket_ms AS bucket, sum(CASE WHEN is_buy THEN px * sz ELSE -px * sz END)
          FROM all_fills
         WHERE address = ANY(:users) AND time_ms >= :since_ms AND time_ms < :until_ms
         GROUP BY 1, 2, 3
        """
    )
    bound = {"bucket_ms": bucket_ms, "users": sorted(users), "since_ms": since_ms, "until_ms": until_ms}
    return [Act(a, c, int(b), float(n)) for a, c, b, n in connection.execute(query, bound)]


def at(ms: int | None) -> datetime | None:
    """Milliseconds since the epoch as an aware datetime; None stays None."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
