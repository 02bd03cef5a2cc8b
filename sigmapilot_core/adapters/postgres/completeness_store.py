"""Samples of the feed's completeness: what the feed stored of the traders drawn, and what the comparison found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.bulk import write_dicts
from sigmapilot_core.adapters.postgres.schema.completeness import (
    completeness_cells,
    completeness_misses,
    completeness_samples,
)
from sigmapilot_core.adapters.postgres.schema.stream import feed_gaps, fills, tracked_traders, trades
from sigmapilot_core.domain.traders.completeness import (
    FAULTS,
    Comparison,
    FeedRecord,
    Key,
    KnownGap,
    StoredFill,
    Tally,
    Verdict,
    tallies,
)

COUNTS = tuple(Tally.__slots__)
MISSING = (Verdict.MISSING_KNOWN.value, Verdict.MISSING_SILENT.value)


@dataclass(frozen=True, slots=True)
class Sample:
    """One comparison: its window, its draw, and for whom it could not be made."""

    id: int
    from_ms: int
    to_ms: int
    taken_at: datetime
    philox_key: int
    population: int
    addresses: tuple[str, ...]
    unanswered: int
    truncated: int


def last_sample(connection: sa.Connection) -> tuple[int, int] | None:
    """(id, end of its window) of the newest sample; None before the first."""
    c = completeness_samples.c
    row = connection.execute(sa.select(c.id, c.to_ms).order_by(c.id.desc()).limit(1)).first()
    return None if row is None else (row.id, row.to_ms)


def tracked_since(connection: sa.Connection) -> dict[str, int]:
    """Followed traders, and the instant from which each was followed."""
    c = tracked_traders.c
    return dict(connection.execute(sa.select(c.address, c.tracked_since_ms).where(c.is_active)).tuples().all())


def feed_records(
    connection: sa.Connection, since: Mapping[str, int], from_ms: int, to_ms: int
) -> dict[str, FeedRecord]:
    """What the feed has of each of these traders in [from, to)."""
    stored: dict[str, dict[Key, StoredFill]] = {user: {} for user in since}
    heard: dict[str, dict[Key, int]] = {user: {} for user in since}
    listed = sa.literal(list(since), sa.ARRAY(sa.Text))
    f, t = fills.c, trades.c
    for row in connection.execute(
        sa.select(f.address, f.time_ms, f.coin, f.tid, f.is_buy, f.px, f.sz, f.received_ms).where(
            f.address == sa.any_(listed), f.time_ms >= from_ms, f.time_ms < to_ms
        )
    ):
        stored[row.address][row.time_ms, row.coin, row.tid] = StoredFill(row.is_buy, row.px, row.sz, row.received_ms)
    for row in connection.execute(
        sa.select(t.buyer, t.seller, t.time_ms, t.coin, t.tid, t.received_ms).where(
            t.time_ms >= from_ms,
            t.time_ms < to_ms,
            sa.or_(t.buyer == sa.any_(listed), t.seller == sa.any_(listed)),
        )
    ):
        for user in {row.buyer, row.seller} & since.keys():
            heard[user][row.time_ms, row.coin, row.tid] = row.received_ms
    return {user: FeedRecord(stored[user], heard[user], since[user]) for user in since}


def known_gaps(connection: sa.Connection, from_ms: int, to_ms: int) -> list[KnownGap]:
    """Gaps the feed reported that touch a window, oldest first."""
    c = feed_gaps.c
    found = connection.execute(
        sa.select(c.id, c.coin, c.address, c.from_ms, c.to_ms)
        .where(c.from_ms < to_ms, c.to_ms >= from_ms)
        .order_by(c.from_ms, c.id)
    )
    return [KnownGap(row.id, row.coin or None, row.address, row.from_ms, row.to_ms) for row in found]


def store(connection: sa.Connection, sample: Sample, found: Sequence[Comparison]) -> None:
    """Append one sample: its counts by coin and hour, and every fault."""
    connection.execute(
        completeness_samples.insert().values(
            id=sample.id,
            from_ms=sample.from_ms,
            to_ms=sample.to_ms,
            taken_at=sample.taken_at,
            philox_key=f"{sample.philox_key:032x}",
            population=sample.population,
            addresses=list(sample.addresses),
            unanswered=sample.unanswered,
            truncated=sample.truncated,
        )
    )
    cells = [
        {"sample_id": sample.id, "coin": coin, "hour_ms": hour, **{name: getattr(tally, name) for name in COUNTS}}
        for (coin, hour), tally in sorted(tallies(found).items())
    ]
    write_dicts(connection, completeness_cells, cells)
    write_dicts(connection, completeness_misses, [_miss(sample.id, item) for item in found if item.verdict in FAULTS])


def _miss(sample_id: int, item: Comparison) -> dict[str, object]:
    return {
        "sample_id": sample_id,
        "address": item.user,
        "time_ms": item.time_ms,
        "coin": item.coin,
        "tid": item.tid,
        "verdict": item.verdict.value,
        "gap_id": item.gap_id,
        "detail": item.detail,
    }


def tally_since(connection: sa.Connection, since_ms: int) -> Tally:
    """Counts of all samples over the hours that began at or after an instant."""
    c = completeness_cells.c
    sums = [sa.func.coalesce(sa.func.sum(c[name]), 0) for name in COUNTS]
    row = connection.execute(sa.select(*sums).where(c.hour_ms >= since_ms)).one()
    return Tally(*(int(value) for value in row))


def missed_since(connection: sa.Connection, sample_id: int) -> tuple[int, dict[str, tuple[int, int]]]:
    """(newest sample, per trader the first and last instant of fills that samples after `sample_id` found missed)."""
    c = completeness_misses.c
    newest = connection.execute(sa.select(sa.func.max(completeness_samples.c.id))).scalar() or 0
    rows = connection.execute(
        sa.select(c.address, sa.func.min(c.time_ms), sa.func.max(c.time_ms))
        .where(c.sample_id > sample_id, c.sample_id <= newest)
        .group_by(c.address)
        .order_by(c.address)
    )
    return int(newest), {address: (first, last) for address, first, last in rows}


def users_with_faults(found: Iterable[Comparison]) -> set[str]:
    """Traders of whom a fill was missed or is wrong."""
    return {item.user for item in found if item.verdict in FAULTS}
