"""Publishing and reading model snapshots: parts are stored once by their hash, a snapshot names two of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmapilot_core.adapters.postgres.schema.model import model_part_runs, model_parts, model_snapshots
from sigmapilot_core.adapters.postgres.schema.stream import decision_logs
from sigmapilot_core.domain.publication import Step, Weighed, weigh
from sigmapilot_core.domain.snapshot import (
    FastPart,
    ModelSnapshot,
    PoolFlavour,
    SlowPart,
    fast_from_json,
    part_to_json,
    settings_from_json,
    slow_from_json,
)

_PUBLISH_LOCK = 727_002


def publish(connection: sa.Connection, draft: ModelSnapshot, run_id: str | None) -> ModelSnapshot | None:
    """Publish a snapshot with the next versions; None when the newest one has the same content."""
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _PUBLISH_LOCK})
    newest = connection.execute(sa.select(model_snapshots).order_by(model_snapshots.c.version.desc()).limit(1)).first()
    if newest is not None and newest.hash == draft.hash:
        return None
    slow_version = _store_part(connection, "slow", draft.slow, draft.slow_hash)
    fast_version = _store_part(connection, "fast", draft.fast, draft.fast_hash)
    version = 1 if newest is None else newest.version + 1
    connection.execute(
        model_snapshots.insert().values(
            version=version,
            slow_version=slow_version,
            fast_version=fast_version,
            hash=draft.hash,
            settings_hash=draft.settings_hash,
            settings=part_to_json(draft.settings),
            mode=draft.mode,
            pool_flavour=draft.pool_flavour.value,
            pool_size=len(draft.slow.pool),
            published_at=datetime.fromtimestamp(draft.published_at_ms / 1000, UTC),
            dagster_run_id=run_id,
        )
    )
    return read_snapshot(connection, version)


def publish_when_due(connection: sa.Connection, draft: ModelSnapshot, run_id: str | None) -> Weighed:
    """Publish a draft if it says something new and the last publication is a minute old (`domain/publication.py`).

    The snapshot of the answer is the published one, or the draft that was held back.
    """
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _PUBLISH_LOCK})
    version = newest_version(connection)
    weighed = weigh(None if version is None else read_snapshot(connection, version), draft)
    if weighed.step is not Step.PUBLISH:
        return weighed
    published = publish(connection, weighed.snapshot, run_id)
    return Weighed(Step.UNCHANGED, weighed.snapshot) if published is None else Weighed(Step.PUBLISH, published)


def store_runs(connection: sa.Connection, part: str, version: int, runs: Mapping[str, tuple[str, datetime]]) -> None:
    """The run and the instant at which each asset behind a part was made; the first publication of a part counts."""
    rows = [
        {"part": part, "version": version, "asset": asset, "run_id": run_id, "materialized_at": at}
        for asset, (run_id, at) in runs.items()
    ]
    if rows:
        connection.execute(insert(model_part_runs).on_conflict_do_nothing(), rows)


def newest_published_at(connection: sa.Connection) -> datetime | None:
    """When the newest snapshot was published."""
    return connection.execute(sa.select(sa.func.max(model_snapshots.c.published_at))).scalar()


def _store_part(connection: sa.Connection, part: str, content: SlowPart | FastPart, digest: str) -> int:
    table = model_parts
    found = connection.execute(sa.select(table.c.version).where(table.c.part == part, table.c.hash == digest)).scalar()
    if found is not None:
        return int(found)
    newest = connection.execute(sa.select(sa.func.max(table.c.version)).where(table.c.part == part)).scalar()
    version = (newest or 0) + 1
    connection.execute(table.insert().values(part=part, version=version, hash=digest, content=part_to_json(content)))
    return version


def prune(connection: sa.Connection, before: datetime) -> int:
    """Remove snapshots published before an instant that no stored decision was made with, and their parts.

    The newest stays. One a minute of half a megabyte would be a gigabyte in two days. Returns how many went.
    """
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _PUBLISH_LOCK})
    snapshots, parts = model_snapshots.c, model_parts.c
    is_used = sa.exists(sa.select(decision_logs.c.id).where(decision_logs.c.snapshot_version == snapshots.version))
    newest = sa.select(sa.func.max(snapshots.version)).scalar_subquery()
    gone = connection.execute(
        model_snapshots.delete().where(snapshots.published_at < before, snapshots.version != newest, ~is_used)
    ).rowcount
    for part, version in (("slow", snapshots.slow_version), ("fast", snapshots.fast_version)):
        is_named = sa.exists(sa.select(snapshots.version).where(version == parts.version))
        connection.execute(model_parts.delete().where(parts.part == part, ~is_named))
        of_run = model_part_runs.c
        is_kept = sa.exists(sa.select(parts.version).where(parts.part == part, parts.version == of_run.version))
        connection.execute(model_part_runs.delete().where(of_run.part == part, ~is_kept))
    return gone


def newest_version(connection: sa.Connection) -> int | None:
    """Version of the newest snapshot, None before the first."""
    return connection.execute(sa.select(sa.func.max(model_snapshots.c.version))).scalar()


def read_snapshot(connection: sa.Connection, version: int) -> ModelSnapshot:
    """One published snapshot, checked against its stored hash.

    Raises:
        LookupError: there is no such version.
        ValueError: the stored content does not match its hash.
    """
    row = connection.execute(sa.select(model_snapshots).where(model_snapshots.c.version == version)).first()
    if row is None:
        raise LookupError(f"snapshot version {version} does not exist")
    snapshot = ModelSnapshot(
        version=row.version,
        slow_version=row.slow_version,
        fast_version=row.fast_version,
        mode=row.mode,
        pool_flavour=PoolFlavour(row.pool_flavour),
        slow=slow_from_json(_content(connection, "slow", row.slow_version)),
        fast=fast_from_json(_content(connection, "fast", row.fast_version)),
        settings=settings_from_json(row.settings),
        published_at_ms=int(row.published_at.timestamp() * 1000),
    )
    if snapshot.hash != row.hash:
        raise ValueError(f"snapshot {version}: stored hash {row.hash}, content has {snapshot.hash}")
    return snapshot


def _content(connection: sa.Connection, part: str, version: int) -> str:
    table = model_parts
    query = sa.select(table.c.content).where(table.c.part == part, table.c.version == version)
    content: Any = connection.execute(query).scalar_one()
    return str(content)
