"""Clocks look before they start a run."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import sqlalchemy as sa

from sigmapilot_assets.platform import Platform
from sigmapilot_assets.schedules import volatility_every_5_minutes
from sigmapilot_core.adapters.postgres.schema.model import pool_selections


def tick(platform: Platform) -> dg.ScheduleExecutionData:
    context = dg.build_schedule_context(
        scheduled_execution_time=datetime(2026, 3, 15, 12, 5, tzinfo=UTC), resources={"platform": platform}
    )
    return volatility_every_5_minutes.evaluate_tick(context)


def test_without_a_pool_the_refresh_of_volatility_waits_and_says_for_what(platform: Platform) -> None:
    found = tick(platform)
    assert found.run_requests == []
    assert found.skip_message == "no pool was drawn yet: materialise all assets once"


def test_with_a_pool_it_runs(platform: Platform) -> None:
    with platform.transaction() as connection:
        plain = {str: "", int: 0, float: 0.0, bool: False, dict: {}}
        required = [c for c in pool_selections.columns if not c.nullable and c.server_default is None]
        times = {c.name: platform.now() for c in required if isinstance(c.type, sa.DateTime)}
        days = {c.name: platform.today() for c in required if isinstance(c.type, sa.Date)}
        others = {c.name: plain[c.type.python_type] for c in required if c.name not in {**times, **days}}
        connection.execute(pool_selections.insert().values(**(others | times | days | {"selection_version": 1})))
    assert len(tick(platform).run_requests) == 1
