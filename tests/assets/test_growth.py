"""What runs every minute looks at what is new only, and what is over does not linger."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import dagster as dg
import sqlalchemy as sa

from sigmapilot_assets.out.snapshot import build
from sigmapilot_assets.platform import Platform
from sigmapilot_assets.sensors import stream_tables
from sigmapilot_core.adapters.postgres import snapshot_store, stream_store
from sigmapilot_core.adapters.postgres.schema import model
from sigmapilot_core.domain.events import Fill
from sigmapilot_core.domain.params import DAY_MS

from .asset_runs import rows, run, run_python_assets
from .asset_venue import NOW_MS, FakeVenue, address


def _seen_live(platform: Platform, user: str, times_ms: list[int]) -> None:
    """Fills as the stream stores them."""
    one = Decimal(1)
    fills = [Fill(user, "BTC", True, one, one, at, at, True, "0x") for at in times_ms]
    applied = [stream_store.AppliedFill(fill, one, None, "increase", None, fill.time_ms, 1) for fill in fills]
    with platform.transaction() as connection:
        stream_store.store_fills(connection, applied)


def _look(platform: Platform, cursor: str | None) -> tuple[dict[str, int], str]:
    """One evaluation: new rows by asset, and the cursor after it."""
    found = stream_tables(dg.build_sensor_context(cursor=cursor), platform=platform)
    assert isinstance(found, dg.SensorResult)
    assert found.cursor is not None
    counts: dict[str, int] = {}
    for event in found.asset_events:
        counts[event.asset_key.to_user_string()] = int(str(event.metadata["dagster/row_count"].value))
    return counts, found.cursor


def test_the_sensor_counts_what_came_since_its_last_look(platform: Platform) -> None:
    _seen_live(platform, address(1), [NOW_MS, NOW_MS + 1, NOW_MS + 2])
    first, cursor = _look(platform, None)
    assert first == {"stream_fills": 1}, "the first look takes the newest row for its beginning"
    nothing, cursor = _look(platform, cursor)
    assert nothing == {}
    _seen_live(platform, address(1), [NOW_MS + 3, NOW_MS + 4])
    assert _look(platform, cursor)[0] == {"stream_fills": 2}


def test_a_trader_without_a_learnable_episode_any_more_has_no_posterior_that_could_age(
    learnt: Platform, instance: dg.DagsterInstance
) -> None:
    with learnt.transaction() as connection:
        connection.execute(
            sa.update(model.history_episodes)
            .where(model.history_episodes.c.address == address(1))
            .values(learnable=False)
        )
    run(learnt, instance, "update_posteriors")
    assert address(1) not in {row["address"] for row in rows(learnt, model.trader_performance)}
    with learnt.engine.connect() as connection:
        published = snapshot_store.read_snapshot(connection, snapshot_store.newest_version(connection) or 0)
    assert published.slow.posterior_as_of_ms == NOW_MS


def test_a_trader_seen_trading_live_is_not_censored_for_an_old_history(
    platform: Platform, instance: dg.DagsterInstance, venue: FakeVenue
) -> None:
    quiet_ms = 40 * DAY_MS  # the limit is 30 days
    old = {
        user: [replace(f, time_ms=f.time_ms - quiet_ms) for f in venue.histories[user]]
        for user in (address(1), address(2))
    }
    venue.histories.update(old)
    _seen_live(platform, address(1), [NOW_MS - DAY_MS])
    run_python_assets(platform, instance)
    kinds = {row["address"]: row["event_type"] for row in rows(platform, model.trader_snapshots)}
    assert kinds[address(2)] == "censored"
    assert kinds[address(1)] != "censored"


def test_snapshots_that_nothing_was_decided_with_go_but_not_the_newest(learnt: Platform) -> None:
    with learnt.transaction() as connection:
        later = replace(build(connection, learnt), published_at_ms=NOW_MS + 60_000)
        changed = replace(later, slow=replace(later.slow, n_outcomes=7))
        assert snapshot_store.publish(connection, changed, None) is not None
        after = datetime.fromtimestamp(NOW_MS / 1000, UTC) + timedelta(days=8)
        assert snapshot_store.prune(connection, after) == 1
        assert snapshot_store.read_snapshot(connection, 2).slow.n_outcomes == 7
        assert snapshot_store.prune(connection, after) == 0
    assert len(rows(learnt, model.model_parts)) == 2, "the fast part is shared and stays, the first slow part went"
