"""Writes of the stream: everything that one micro-batch of inputs caused, in one transaction with its progress.

Each effect has a deterministic key, so that a batch that is applied twice changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmapilot_core.adapters.postgres.bulk import Sent, array_of, raw_of, send_dicts, send_rows, write_dicts
from sigmapilot_core.adapters.postgres.episode_store import closed_row, open_row
from sigmapilot_core.adapters.postgres.partitions import ensure_holding
from sigmapilot_core.adapters.postgres.schema.model import position_signals
from sigmapilot_core.adapters.postgres.schema.stream import (
    asset_status,
    dead_records,
    feed_gaps,
    fills,
    hl_current_positions,
    stream_progress,
    stream_status,
    tracked_traders,
    trades,
)
from sigmapilot_core.domain.events import Fill, Trade
from sigmapilot_core.domain.traders.codec import dump_state, load_state
from sigmapilot_core.domain.traders.episode import Episode, OpenEpisode
from sigmapilot_core.domain.traders.episodes import EpisodeState

_TRADE_COLUMNS = (
    "time_ms",
    "coin",
    "tid",
    "px",
    "sz",
    "buyer",
    "seller",
    "aggressor_is_buyer",
    "hash",
    "received_ms",
)
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
    "position_after",
    "realized_pnl",
    "fee",
    "action",
    "episode_id",
    "hash",
    "source",
    "known_since_ms",
    "received_ms",
    "seq",
)


@dataclass(frozen=True, slots=True)
class AppliedFill:
    """A tracked trader's fill with what it did to the ledger."""

    fill: Fill
    position_after: Any
    realised: Any
    action: str
    episode_id: str | None
    received_ms: int
    seq: int


def store_trades(connection: sa.Connection, found: Sequence[tuple[Trade, int]]) -> Sent:
    """Public trades with their receive times; tells how many were new."""
    if not found:
        return Sent()
    ensure_holding(connection, (t.time_ms for t, _ in found))
    rows = (
        [t.time_ms, t.coin, t.tid, t.px, t.sz, t.buyer, t.seller, t.aggressor_is_buyer, t.hash, received]
        for t, received in found
    )
    return send_rows(connection, trades, _TRADE_COLUMNS, rows)


def store_fills(connection: sa.Connection, applied: Sequence[AppliedFill]) -> Sent:
    """Fills of tracked traders; tells how many were new."""
    if not applied:
        return Sent()
    ensure_holding(connection, (item.fill.time_ms for item in applied))
    return send_rows(connection, fills, _FILL_COLUMNS, (_fill_row(item) for item in applied))


def _fill_row(item: AppliedFill) -> list[Any]:
    fill = item.fill
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
        item.position_after,
        item.realised,
        fill.fee,
        item.action,
        item.episode_id,
        fill.hash,
        fill.source.value,
        fill.known_since_ms,
        item.received_ms,
        item.seq,
    ]


def store_episodes(connection: sa.Connection, opened: Iterable[OpenEpisode], closed: Iterable[Episode]) -> None:
    """Open and closed episodes; a closed one overwrites its open row."""
    rows = {episode.id: open_row(episode) for episode in opened}
    rows.update({episode.id: closed_row(episode) for episode in closed})
    stamped = [{**row, "updated_at": "now"} for row in rows.values()]
    send_dicts(connection, position_signals, stamped, "update")


def store_positions(connection: sa.Connection, states: Mapping[tuple[str, str], EpisodeState]) -> None:
    """The newest state of each (trader, coin) that moved."""
    rows = [
        {
            "address": user,
            "symbol": coin,
            "size": state.ledger.position,
            "entry_price": None if state.ledger.avg_entry is None else float(state.ledger.avg_entry),
            "as_of_ms": state.ledger.time_ms,
            "state": json.dumps(dump_state(state)),
            "updated_at": "now",
        }
        for (user, coin), state in states.items()
    ]
    send_dicts(connection, hl_current_positions, rows, "update")


def read_positions(connection: sa.Connection) -> dict[tuple[str, str], EpisodeState]:
    """Every stored state: what a restart goes on from."""
    table = hl_current_positions
    rows = connection.execute(sa.select(table.c.address, table.c.symbol, table.c.state))
    return {(row.address, row.symbol): load_state(json.loads(row.state)) for row in rows}


def recent_fills(connection: sa.Connection, since_ms: int) -> list[tuple[Fill, int]]:
    """Fills of tracked traders from an instant on, with their receive times, in consumed order."""
    table = fills
    rows = connection.execute(
        sa.select(table).where(table.c.time_ms >= since_ms).order_by(table.c.seq, table.c.time_ms)
    )
    return [
        (
            Fill(
                user=row.address,
                coin=row.coin,
                is_buy=row.is_buy,
                px=row.px,
                sz=row.sz,
                time_ms=row.time_ms,
                tid=row.tid,
                crossed=row.crossed,
                hash=row.hash,
                start_position=row.start_position,
                fee=row.fee,
                known_since_ms=row.known_since_ms,
            ),
            row.received_ms,
        )
        for row in rows
    ]


def read_progress(connection: sa.Connection, partition: str) -> int:
    """Sequence number of the last committed input of a partition; -1 before the first."""
    table = stream_progress
    found = connection.execute(sa.select(table.c.seq).where(table.c.partition == partition)).scalar()
    return -1 if found is None else int(found)


def store_progress(connection: sa.Connection, partition: str, seq: int) -> None:
    """Move the progress of a partition on, never back."""
    raw_of(connection).execute(_MOVE_PROGRESS, [partition, seq])


_MOVE_PROGRESS = """
    INSERT INTO stream_progress (partition, seq, updated_at) VALUES (%s, %s::bigint, now())
    ON CONFLICT (partition) DO UPDATE SET seq = EXCLUDED.seq, updated_at = now()
     WHERE stream_progress.seq < EXCLUDED.seq
"""


def store_tracked(connection: sa.Connection, users: Sequence[str], since_ms: int) -> None:
    """The followed set; who was followed before keeps the day tracking began. Only what changes is touched."""
    table = tracked_traders
    listed = sa.literal(list(users), sa.ARRAY(sa.Text))
    connection.execute(
        table.update().where(table.c.is_active, table.c.address != sa.all_(listed)).values(is_active=False)
    )
    rows = [
        {"address": user, "tracked_since_ms": since_ms, "primed_at_ms": None, "is_active": True}
        for user in sorted(users)  # in one order everywhere: no two partitions wait for each other
    ]
    send_dicts(connection, table, rows, "skip")
    connection.execute(
        table.update().where(~table.c.is_active, table.c.address == sa.any_(listed)).values(is_active=True)
    )


def mark_primed(connection: sa.Connection, users: Mapping[str, int]) -> None:
    """When each account's positions were last asked from the venue.

    Every partition tells of every account, each at its own pace: rows are locked in the order of addresses, so that no
    two wait for each other, and the newest instant stays.
    """
    if users:
        raw_of(connection).execute(
            "WITH asked AS (SELECT * FROM unnest(%s::text[], %s::bigint[]) AS asked (address, at_ms)),"
            " held AS (SELECT t.address FROM tracked_traders t JOIN asked ON asked.address = t.address"
            "  WHERE t.primed_at_ms IS NULL OR t.primed_at_ms < asked.at_ms ORDER BY t.address FOR UPDATE OF t)"
            " UPDATE tracked_traders SET primed_at_ms = asked.at_ms FROM asked JOIN held USING (address)"
            " WHERE tracked_traders.address = asked.address"
            "  AND (tracked_traders.primed_at_ms IS NULL OR tracked_traders.primed_at_ms < asked.at_ms)",
            [array_of(users), list(users.values())],
        )


def read_primed(connection: sa.Connection) -> dict[str, int]:
    """Followed accounts whose positions were asked from the venue, with the instant of the answer."""
    table = tracked_traders
    rows = connection.execute(
        sa.select(table.c.address, table.c.primed_at_ms).where(table.c.is_active, table.c.primed_at_ms.is_not(None))
    )
    return {row.address: row.primed_at_ms for row in rows}


def read_heartbeat(connection: sa.Connection) -> int | None:
    """When the stream last said that it lives, by its own clock; None before its first start."""
    value = connection.execute(sa.select(stream_status.c.value).where(stream_status.c.key == "heartbeat")).scalar()
    return None if value is None else int(value["at_ms"])


def store_gaps(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Stretches of the feed, or positions, that were not seen; the same gap is stored once."""
    send_dicts(connection, feed_gaps, list({row["id"]: row for row in rows}.values()), "skip")


def close_gaps(connection: sa.Connection, coins: Collection[str], users: Collection[str]) -> None:
    """Gaps are over: of coins that were compared with the venue again, and of accounts it was asked about."""
    table = feed_gaps
    for column, names in ((table.c.coin, coins), (table.c.address, users)):
        if names:
            found = column == sa.any_(sa.literal(sorted(names), sa.ARRAY(sa.Text)))
            connection.execute(
                table.update().where(found, table.c.reconciled_at.is_(None)).values(reconciled_at=sa.func.now())
            )


def park(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Records that failed for good: kept for a person; their coins are unknown until reconciled."""
    if rows:
        connection.execute(insert(dead_records).on_conflict_do_nothing(), rows)


def store_status(connection: sa.Connection, values: Mapping[str, Mapping[str, Any]]) -> None:
    """What each part last saw, for the page and `/readyz`."""
    rows = [{"key": name, "value": json.dumps(value), "updated_at": "now"} for name, value in values.items()]
    write_dicts(connection, stream_status, rows, "update")


def store_asset_status(connection: sa.Connection, as_of_ms: int, values: Mapping[str, Mapping[str, Any]]) -> None:
    """Votes, mid and input ages per asset, for the page."""
    rows = [
        {"symbol": coin, "as_of_ms": as_of_ms, "status": json.dumps(value), "updated_at": "now"}
        for coin, value in values.items()
    ]
    write_dicts(connection, asset_status, rows, "update")
