"""Decisions made again and hash chains walked, as checks of the stream's external assets."""

from __future__ import annotations

import dagster as dg
import sqlalchemy as sa

from sigmapilot_assets.definitions import build
from sigmapilot_assets.platform import Platform
from sigmapilot_core.adapters.postgres import snapshot_store
from sigmapilot_core.adapters.postgres.decision_store import append_decisions
from tests.cli.test_audit import MODEL, made


def checked(platform: Platform, instance: dg.DagsterInstance) -> dict[str, dg.AssetCheckEvaluation]:
    job = build({"platform": platform}).resolve_job_def("audit_logs")
    config = {"ops": {"stream_decisions__decisions_come_out_again": {"config": {"days": 4000}}}}
    names = {op.name for op in job.nodes}
    assert "stream_decisions_decisions_come_out_again" in names, names
    config = {"ops": {"stream_decisions_decisions_come_out_again": {"config": {"days": 4000}}}}
    result = job.execute_in_process(instance=instance, run_config=config)
    return {found.check_name: found for found in result.get_asset_check_evaluations()}


def test_sound_logs_pass_and_damage_is_named_in_the_check(platform: Platform, instance: dg.DagsterInstance) -> None:
    with platform.transaction() as connection:
        snapshot_store.publish(connection, MODEL, None)
        ids = append_decisions(connection, [made(number) for number in range(1, 4)])
    found = checked(platform, instance)
    assert {name: check.passed for name, check in found.items()} == dict.fromkeys(
        ("decisions_come_out_again", "decision_log_is_whole", "outcome_log_is_whole"), True
    )
    assert found["decisions_come_out_again"].metadata["decisions"].value == 3

    with platform.transaction() as connection:
        connection.execute(sa.text("UPDATE decision_logs SET record = replace(record, '\"1\"', '\"7\"') WHERE seq = 2"))
    found = checked(platform, instance)
    assert not found["decisions_come_out_again"].passed
    assert ids[1] in found["decisions_come_out_again"].metadata["named"].value
    assert "the content of row 2 does not match" in found["decision_log_is_whole"].metadata["damaged"].value
    assert found["outcome_log_is_whole"].passed
