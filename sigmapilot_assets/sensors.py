"""Events: closed episodes renew posteriors, the stream's tables report themselves, trouble raises alerts."""

import json

import dagster as dg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmapilot_assets import jobs
from sigmapilot_assets.external import STREAM_TABLES, StreamTable
from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import snapshot_store
from sigmapilot_core.adapters.postgres.schema.model import alerts, position_signals
from sigmapilot_core.adapters.postgres.schema.stream import risk_governor_state, stream_status
from sigmapilot_core.adapters.postgres.tables import metadata
from sigmapilot_core.domain.publication import MIN_INTERVAL_MS, Step

_RUNNING = dg.DefaultSensorStatus.RUNNING


@dg.sensor(
    job=jobs.update_posteriors,
    minimum_interval_seconds=60,
    default_status=_RUNNING,
    description="Learnable episodes closed since the last look: posteriors and snapshot follow.",
)
def closed_episodes(
    context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
) -> dg.SensorResult | dg.SkipReason:
    """Ask for one run when an episode closed; the cursor is the newest closing time seen."""
    table = position_signals
    with platform.transaction() as connection:
        newest, count = connection.execute(
            sa.select(sa.func.max(table.c.updated_at), sa.func.count())
            .where(table.c.status == "closed", table.c.learnable)
            .where(
                sa.true()
                if context.cursor is None
                else table.c.updated_at > sa.cast(context.cursor, sa.DateTime(timezone=True))
            )
        ).one()
    if not count:
        return dg.SkipReason("no learnable episode closed since the last look")
    cursor = newest.isoformat()
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"closed-{cursor}")], cursor=cursor)


@dg.sensor(
    job=jobs.publish_snapshot,
    minimum_interval_seconds=30,
    default_status=_RUNNING,
    description="A snapshot that came less than a minute after the last one is published when the minute is over.",
)
def deferred_snapshot(
    context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
) -> dg.RunRequest | dg.SkipReason:
    """Ask once for what the newest run of the snapshot held back."""
    event = context.instance.get_latest_materialization_event(dg.AssetKey("out_stream__snapshot"))
    made = event.asset_materialization if event else None
    step = made.metadata.get("step") if made else None
    if event is None or step is None or step.value != Step.DEFERRED.value:
        return dg.SkipReason("nothing was held back")
    with platform.transaction() as connection:
        published_at = snapshot_store.newest_published_at(connection)
    age_ms = platform.clock.now_ms() - (0 if published_at is None else int(published_at.timestamp() * 1000))
    if 0 <= age_ms < MIN_INTERVAL_MS:
        return dg.SkipReason(f"the last snapshot is {age_ms / 1000:.0f} s old")
    return dg.RunRequest(run_key=f"deferred-{event.run_id}")


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=_RUNNING,
    description="At most one materialisation a stream table and minute, with the number of new rows.",
)
def stream_tables(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SensorResult:
    """Report what the stream wrote as materialisations of the external assets.

    The cursor is the newest instant reported of each table, and only rows after it are counted, by index: the tables
    grow for months. The first look takes the newest row for its beginning.
    """
    seen: dict[str, str] = json.loads(context.cursor) if context.cursor else {}
    events: list[dg.AssetMaterialization] = []
    with platform.transaction() as connection:
        for item in STREAM_TABLES:
            rows, newest = _new_rows(connection, item, seen.get(item.table))
            if rows:
                events.append(
                    dg.AssetMaterialization(
                        item.asset, metadata={"dagster/row_count": rows, "newest": newest, "table": item.table}
                    )
                )
                seen[item.table] = newest
    return dg.SensorResult(asset_events=events, cursor=json.dumps(seen))


def _new_rows(connection: sa.Connection, item: StreamTable, since: str | None) -> tuple[int, str]:
    """How many rows moved after an instant, and the newest instant; without one the newest row alone counts."""
    moved = metadata.tables[item.table].c[item.moved_at]
    if since is None:
        newest = connection.execute(sa.select(sa.func.max(moved))).scalar()
        return int(newest is not None), str(newest)
    count, newest = connection.execute(
        sa.select(sa.func.count(), sa.func.max(moved)).where(moved > sa.cast(since, moved.type))
    ).one()
    return int(count), str(newest)


@dg.sensor(
    minimum_interval_seconds=30, default_status=_RUNNING, description="The kill switch is on: one alert per trip."
)
def kill_switch(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SkipReason:
    """Raise an alert while the kill switch is on, clear it when it is off."""
    table = risk_governor_state
    with platform.transaction() as connection:
        stored = connection.execute(
            sa.select(table.c.value, table.c.updated_at).where(table.c.key == "kill_switch")
        ).first()
        tripped = json.loads(stored.value) if stored else None
        if tripped:
            raise_alert(
                connection,
                alert_id=f"kill_switch:{tripped['since_ms']}",
                kind="kill_switch",
                severity="critical",
                message=f"kill switch on: {tripped['reason']}",
                at=stored.updated_at,  # type: ignore[union-attr]
            )
        else:
            _clear(connection, "kill_switch")
    return dg.SkipReason("kill switch is on" if tripped else "kill switch is off")


@dg.sensor(
    minimum_interval_seconds=30, default_status=_RUNNING, description="The stream is overloaded: one alert each time."
)
def stream_overload(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SkipReason:
    """Raise an alert while decisions are behind the feed, clear it when they have caught up."""
    with platform.transaction() as connection:
        value = connection.execute(sa.select(stream_status.c.value).where(stream_status.c.key == "overload")).scalar()
        if value is not None and value["since_ms"] is not None:
            raise_alert(
                connection,
                alert_id=f"overload:{value['since_ms']}",
                kind="overload",
                severity="warning",
                message=f"decisions are behind the feed: {value['detail']}",
                at=platform.now(),
            )
        else:
            _clear(connection, "overload")
    return dg.SkipReason("the stream said nothing yet" if value is None else value["detail"])


def _clear(connection: sa.Connection, kind: str) -> None:
    connection.execute(
        alerts.update().where(alerts.c.kind == kind, alerts.c.cleared_at.is_(None)).values(cleared_at=sa.func.now())
    )


@dg.run_failure_sensor(
    default_status=_RUNNING, minimum_interval_seconds=30, description="A failed run, or a failed blocking check."
)
def failed_run(context: dg.RunFailureSensorContext, platform: dg.ResourceParam[Platform]) -> None:
    """Turn a failed run into an alert."""
    with platform.transaction() as connection:
        raise_alert(
            connection,
            alert_id=f"failed_run:{context.dagster_run.run_id}",
            kind="failed_check",
            severity="warning",
            message=f"run of {context.dagster_run.job_name} failed: {context.failure_event.message}",
            at=platform.now(),
        )


def raise_alert(
    connection: sa.Connection, *, alert_id: str, kind: str, severity: str, message: str, at: object
) -> None:
    """Store an alert once."""
    row = {"id": alert_id, "kind": kind, "severity": severity, "message": message, "raised_at": at}
    connection.execute(insert(alerts).values(**row).on_conflict_do_nothing())


all_sensors = [
    closed_episodes,
    deferred_snapshot,
    stream_tables,
    kill_switch,
    stream_overload,
    failed_run,
    dg.AutomationConditionSensorDefinition(
        "automation", target=dg.AssetSelection.all(), default_status=_RUNNING, minimum_interval_seconds=60
    ),
]
