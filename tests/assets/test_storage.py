"""What grows without bound is bounded: old months and old runs go, and the decision log verifies from its anchors."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
import sqlalchemy as sa

from sigmapilot_assets.platform import Platform
from sigmapilot_assets.report.run_history import prune_history
from sigmapilot_assets.report.storage import run_history, storage_partitions
from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.postgres.decision_store import DECISIONS, MadeDecision, append_decisions, verify_chain
from sigmapilot_core.adapters.postgres.retention import DamagedChainError, drop_before, months_ago
from sigmapilot_core.domain.consensus.chain import CHAIN_COUNT, chain_of
from sigmapilot_core.domain.consensus.decision import assess, decide, decision_key
from sigmapilot_core.domain.consensus.inputs import DecisionInputs
from sigmapilot_core.domain.params import Params
from sigmapilot_core.domain.snapshot import settings_hash

from .conftest import MakePlatform

JANUARY, FEBRUARY, MARCH, APRIL = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3, 4))


def made(coin: str, at: datetime) -> MadeDecision:
    """A decision without a single vote: sealed and chained like any other."""
    now_ms = int(at.timestamp() * 1000)
    found = DecisionInputs(coin, now_ms, "event", "live", 1, "0" * 64, settings_hash(Params()), ())
    return MadeDecision(decide(found, Params()), found, decision_key(found, assess(found, Params())), None)


@pytest.fixture
def decided(platform: Platform) -> Platform:
    """Decisions on BTC and ETH in January and February, on BTC in March."""
    days = [("BTC", JANUARY), ("ETH", JANUARY), ("BTC", FEBRUARY), ("ETH", FEBRUARY), ("BTC", MARCH)]
    with platform.transaction() as connection:
        append_decisions(connection, [made(coin, start + timedelta(days=3)) for coin, start in days])
    return platform


def partitions(platform: Platform, table: str) -> list[str]:
    query = sa.text(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = CAST(:t AS regclass) ORDER BY 1"
    )
    with platform.transaction() as connection:
        return list(connection.execute(query, {"t": table}).scalars())


def count(platform: Platform, table: str) -> int:
    with platform.transaction() as connection:
        return int(connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one())


def damaged(platform: Platform) -> list[int]:
    with platform.transaction() as connection:
        return [n for n in range(CHAIN_COUNT) if verify_chain(connection, DECISIONS, n).finding is not None]


def test_months_ago_crosses_years() -> None:
    assert months_ago(datetime(2026, 3, 31, 23, tzinfo=UTC), 3) == datetime(2025, 12, 1, tzinfo=UTC)
    assert months_ago(datetime(2026, 12, 1, tzinfo=UTC), 24) == datetime(2024, 12, 1, tzinfo=UTC)


def test_old_months_are_dropped_and_the_chains_verify_from_their_anchors(decided: Platform) -> None:
    with decided.transaction() as connection:
        dropped = drop_before(connection, MARCH)
    assert dropped.anchored == 2
    assert len(dropped.partitions) == 12  # six tables, two months
    assert partitions(decided, "decision_logs") == ["decision_logs_y2026m03"]
    assert [count(decided, table) for table in ("decision_logs", "decision_inputs", "decision_ids")] == [1, 1, 1]
    assert damaged(decided) == []
    with decided.transaction() as connection:
        append_decisions(connection, [made("BTC", APRIL), made("ETH", APRIL)])
    assert damaged(decided) == []


def test_what_is_missing_behind_an_anchor_is_still_noticed(decided: Platform) -> None:
    with decided.transaction() as connection:
        drop_before(connection, FEBRUARY)
        connection.execute(sa.text("DELETE FROM decision_logs WHERE symbol = 'BTC' AND decided_at < '2026-03-01'"))
    assert damaged(decided) == [chain_of("BTC")]


def test_a_damaged_chain_is_never_replaced_by_an_anchor(decided: Platform) -> None:
    with decided.transaction() as connection:
        connection.execute(sa.text("UPDATE decision_logs SET record = '{}' WHERE symbol = 'BTC'"))
    with pytest.raises(DamagedChainError, match="is damaged at row 1"), decided.transaction() as connection:
        drop_before(connection, MARCH)
    assert count(decided, "decision_logs") == 5


def test_a_row_of_the_next_month_that_stands_before_the_anchor_goes_with_it(platform: Platform) -> None:
    late, early = FEBRUARY + timedelta(seconds=1), FEBRUARY - timedelta(seconds=1)
    with platform.transaction() as connection:
        append_decisions(connection, [made("BTC", late)])
        append_decisions(connection, [made("BTC", early)])
        append_decisions(connection, [made("BTC", MARCH)])
        drop_before(connection, FEBRUARY)
    assert [count(platform, table) for table in ("decision_logs", "decision_inputs", "decision_ids")] == [1, 1, 1]
    assert damaged(platform) == []


def test_the_asset_drops_by_the_months_of_the_settings(
    decided: Platform, make_platform: MakePlatform, instance: dg.DagsterInstance
) -> None:
    in_may = replace(decided, clock=FeedClock(int(datetime(2026, 5, 20, tzinfo=UTC).timestamp() * 1000)))
    for months, left in ((None, 5), (24, 5), (3, 3)):
        platform = replace(in_may, retention_months=months)
        assert dg.materialize([storage_partitions], instance=instance, resources={"platform": platform}).success
        assert count(decided, "decision_logs") == left
    assert "decision_logs_y2026m06" in partitions(decided, "decision_logs")


def test_a_partition_that_somebody_reads_is_not_waited_for_long(decided: Platform) -> None:
    with decided.transaction() as reader:
        reader.execute(sa.text("SELECT count(*) FROM decision_logs"))
        with pytest.raises(psycopg.errors.LockNotAvailable), decided.transaction() as connection:
            drop_before(connection, MARCH, lock_wait_ms=50)
    assert count(decided, "decision_logs") == 5


@dg.asset(check_specs=[dg.AssetCheckSpec("fine", asset="anything")])
def anything() -> dg.MaterializeResult:
    """An asset with a check."""
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="fine", passed=True)])


@pytest.fixture
def on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    """Records with a captured output, as a real instance keeps them."""
    overrides = {
        "compute_logs": {
            "module": "dagster._core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(tmp_path / "output")},
        },
        "telemetry": {"enabled": False},
    }
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides)


def test_finished_runs_go_with_their_events_and_output_and_the_newest_state_stays(
    on_disk: dg.DagsterInstance, tmp_path: Path
) -> None:
    with on_disk as instance:
        old = dg.materialize([anything], instance=instance).run_id
        waiting = instance.create_run_for_job(dg.Definitions(assets=[anything]).resolve_implicit_global_asset_job_def())
        instance.report_runless_asset_event(dg.AssetMaterialization("outside"))
        (tmp_path / "output" / old).mkdir(parents=True, exist_ok=True)
        removed = prune_history(instance, datetime.now(UTC) + timedelta(hours=1))
        assert (removed.runs, removed.reports) == (1, 1)
        assert [run.run_id for run in instance.get_runs()] == [waiting.run_id]
        assert instance.all_logs(old) == []
        assert not (tmp_path / "output" / old).exists()
        for key in ("anything", "outside"):
            assert instance.get_latest_materialization_event(dg.AssetKey(key)) is not None


def test_young_records_stay(on_disk: dg.DagsterInstance) -> None:
    with on_disk as instance:
        dg.materialize([anything], instance=instance)
        instance.report_runless_asset_event(dg.AssetMaterialization("outside"))
        removed = prune_history(instance, datetime.now(UTC) - timedelta(hours=1))
        assert (removed.runs, removed.reports, removed.check_results) == (0, 0, 0)
        assert dg.materialize([run_history], instance=instance).success
        assert instance.get_runs_count() == 2
