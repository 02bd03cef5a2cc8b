"""Model snapshots: parts stored once, versions in order, content checked against its hash."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from sigmapilot_core.adapters.postgres import snapshot_store
from tests.domain.engine.engine_builders import POOL, snapshot, with_figures


@pytest.fixture
def connection(rolled_back: sa.Connection) -> sa.Connection:
    return rolled_back


def test_a_snapshot_comes_back_as_it_was_published(connection: sa.Connection) -> None:
    draft = snapshot(tracked=[*POOL, "0x" + "9" * 40])
    published = snapshot_store.publish(connection, draft, "run-1")
    assert published == replace(draft, version=1, slow_version=1, fast_version=1)
    assert snapshot_store.read_snapshot(connection, 1) == published
    assert snapshot_store.newest_version(connection) == 1


def test_nothing_is_published_when_nothing_changed(connection: sa.Connection) -> None:
    assert snapshot_store.newest_version(connection) is None
    snapshot_store.publish(connection, snapshot(), None)
    assert snapshot_store.publish(connection, replace(snapshot(), published_at_ms=99), None) is None


def test_only_the_part_that_changed_gets_a_new_version(connection: sa.Connection) -> None:
    snapshot_store.publish(connection, snapshot(), None)
    second = snapshot_store.publish(connection, with_figures(snapshot(), "BTC", day_volume_usd=1.0), None)
    third = snapshot_store.publish(connection, snapshot(), None)
    assert second is not None
    assert third is not None
    assert (second.version, second.slow_version, second.fast_version) == (2, 1, 2)
    assert (third.version, third.slow_version, third.fast_version) == (3, 1, 1)  # the old parts are used again


def test_content_that_was_changed_is_refused(connection: sa.Connection) -> None:
    snapshot_store.publish(connection, snapshot(), None)
    connection.execute(
        sa.text("UPDATE model_parts SET content = replace(content, '500000000', '1') WHERE part = 'fast'")
    )
    with pytest.raises(ValueError, match="stored hash"):
        snapshot_store.read_snapshot(connection, 1)


def test_a_version_that_does_not_exist_is_named(connection: sa.Connection) -> None:
    with pytest.raises(LookupError, match="snapshot version 7 does not exist"):
        snapshot_store.read_snapshot(connection, 7)
