"""Is everything there and young enough: mode, snapshot, the stream's own word, holes in the feed, parked records."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from sigmapilot_core.adapters.postgres.completeness_store import COUNTS, tally_since
from sigmapilot_core.adapters.postgres.instants import ms_of
from sigmapilot_core.adapters.postgres.queries import Row, feed_now, first, number, one, rows, scalar
from sigmapilot_core.adapters.postgres.schema.completeness import completeness_cells, completeness_samples
from sigmapilot_core.adapters.postgres.schema.model import model_snapshots
from sigmapilot_core.adapters.postgres.schema.stream import (
    dead_records,
    feed_gaps,
    meta,
    stream_progress,
    stream_status,
)

_ORDER = ("heartbeat", "feed", "frames", "fills", "lag", "snapshot", "tracked", "canary")


def mode(connection: sa.Connection) -> str | None:
    """The mode this database belongs to; none before anything was started on it."""
    return scalar(connection, sa.select(meta.c.value).where(meta.c.key == "mode"))


def snapshot(connection: sa.Connection) -> Row | None:
    """The newest published model snapshot, without its content."""
    c = model_snapshots.c
    shown = (c.version, c.slow_version, c.fast_version, c.hash, c.settings_hash, c.mode, c.pool_flavour, c.pool_size)
    statement = sa.select(*shown, c.published_at, c.dagster_run_id).order_by(c.version.desc()).limit(1)
    return first(connection, statement)


def _verdict(age_s: float | None, limit_s: float | None) -> str:
    """pass, fail or unknown: an input without an age is unknown, one without a limit cannot be too old."""
    if age_s is None:
        return "unknown"
    return "pass" if limit_s is None or age_s <= limit_s else "fail"


def stream_inputs(connection: sa.Connection) -> dict[str, Row]:
    """What the stream wrote of its inputs and parts: value, age at the feed's now, limit, verdict, a sentence.

    In the order of `_ORDER`, others behind them. The heartbeat's age is by the database's
    clock, since it says that the process lives; the others' ages are by the feed's clock.
    """
    now_ms = ms_of(feed_now(connection))
    since_written = sa.func.extract("epoch", sa.func.now() - stream_status.c.updated_at).label("written_s")
    found = rows(connection, sa.select(stream_status, since_written).order_by(stream_status.c.key))
    found.sort(key=lambda row: (_ORDER.index(row["key"]) if row["key"] in _ORDER else len(_ORDER), row["key"]))
    return {row["key"]: _input(row, now_ms) for row in found}


def _input(row: Row, now_ms: int) -> Row:
    status = row["value"] if isinstance(row["value"], dict) else {}
    at_ms, limit_s = number(status.get("at_ms")), number(status.get("age_limit_s"))
    age_s = None if at_ms is None else max(0.0, (now_ms - at_ms) / 1000)
    if row["key"] == "heartbeat":
        age_s = max(0.0, float(row["written_s"]))
    return {
        "value": status.get("value"),
        "age_s": age_s,
        "limit_s": limit_s,
        "verdict": _verdict(age_s, limit_s),
        "detail": status.get("detail"),
        "at_ms": None if at_ms is None else int(at_ms),
        "updated_at": row["updated_at"],
    }


def gap_counts(connection: sa.Connection, since: datetime) -> list[Row]:
    """Holes in the feed since an instant by kind: how many, how many not reconciled."""
    c = feed_gaps.c
    statement = (
        sa.select(
            c.kind,
            sa.func.count().label("gaps"),
            sa.func.count().filter(c.reconciled_at.is_(None)).label("unreconciled"),
            sa.func.max(c.to_ms).label("last_to_ms"),
        )
        .where(c.to_ms >= ms_of(since))
        .group_by(c.kind)
        .order_by(c.kind)
    )
    return rows(connection, statement)


def gaps(connection: sa.Connection, limit: int = 20) -> list[Row]:
    """Newest holes in the feed."""
    c = feed_gaps.c
    return rows(connection, sa.select(feed_gaps).order_by(c.to_ms.desc(), c.id).limit(limit))


def unreconciled_gaps(connection: sa.Connection) -> int:
    """Holes in the feed that nothing has filled or explained."""
    return scalar(
        connection, sa.select(sa.func.count()).select_from(feed_gaps).where(feed_gaps.c.reconciled_at.is_(None))
    )


def gap_ledger(connection: sa.Connection, limit: int = 20) -> list[Row]:
    """Newest holes in the feed, each with the fills that were really missed in it; null where no sample covers it."""
    return rows(connection, sa.text("SELECT * FROM gap_ledger ORDER BY to_ms DESC, id LIMIT :n").bindparams(n=limit))


def completeness(connection: sa.Connection, least_share: float | None = None) -> Row:
    """Fills of sampled traders of the last 24 hours against the venue; the share is null where nothing was compared.

    `verdict` is unknown without a share, and null without a limit to hold it against.
    """
    now = feed_now(connection)
    c = completeness_samples.c
    newest = first(connection, sa.select(completeness_samples).order_by(c.id.desc()).limit(1))
    tally = tally_since(connection, ms_of(now) - 86_400_000)
    share = tally.share_present
    reached = None if share is None or least_share is None else share >= least_share
    verdict = "unknown" if share is None else None if reached is None else "pass" if reached else "fail"
    return {
        "share_present": share,
        "least_share": least_share,
        "verdict": verdict,
        "compared": tally.compared,
        **{name: getattr(tally, name) for name in COUNTS},
        "sampled_to_ms": None if newest is None else newest["to_ms"],
        "age_s": None if newest is None else max(0.0, (ms_of(now) - newest["to_ms"]) / 1000),
        "traders": None if newest is None else len(newest["addresses"]),
        "population": None if newest is None else newest["population"],
        "unanswered": None if newest is None else newest["unanswered"],
    }


def completeness_cells_of_day(connection: sa.Connection, limit: int = 50) -> list[Row]:
    """Counts of the last 24 hours by coin and hour, those with losses first."""
    c = completeness_cells.c
    sums = [sa.func.sum(c[name]).label(name) for name in COUNTS]
    lost = sa.func.sum(c.missing_known + c.missing_silent + c.wrong)
    statement = (
        sa.select(c.coin, c.hour_ms, *sums)
        .where(c.hour_ms >= ms_of(feed_now(connection)) - 86_400_000)
        .group_by(c.coin, c.hour_ms)
        .order_by(lost.desc(), c.hour_ms.desc(), c.coin)
        .limit(limit)
    )
    return [{name: int(v) if name in COUNTS else v for name, v in row.items()} for row in rows(connection, statement)]


def dead(connection: sa.Connection, limit: int = 20) -> list[Row]:
    """Parked records that nobody resolved, newest first, without their payload."""
    c = dead_records.c
    shown = (c.partition, c.seq, c.kind, c.coin, c.error, c.created_at)
    statement = sa.select(*shown).where(c.resolved_at.is_(None)).order_by(c.created_at.desc(), c.seq.desc())
    return rows(connection, statement.limit(limit))


def count_dead(connection: sa.Connection) -> int:
    """Parked records that nobody resolved."""
    return scalar(
        connection, sa.select(sa.func.count()).select_from(dead_records).where(dead_records.c.resolved_at.is_(None))
    )


def progress(connection: sa.Connection) -> Row:
    """Partitions of the journal that the stream has worked on, and when it last committed."""
    c = stream_progress.c
    return one(connection, sa.select(sa.func.count().label("partitions"), sa.func.max(c.updated_at).label("last_at")))
