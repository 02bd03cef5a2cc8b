"""Histories are fetched within the budget, go on where a killed run stopped, and say how far they are."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sigmapilot_assets.platform import Platform
from sigmapilot_assets.raw.fills_history import fills_history
from sigmapilot_core.adapters.clock import FeedClock
from sigmapilot_core.adapters.emulator.config import EmulatorConfig
from sigmapilot_core.adapters.emulator.requests import Answer
from sigmapilot_core.adapters.emulator.scripted_source import Script, ScriptedSource
from sigmapilot_core.adapters.emulator.server import in_thread
from sigmapilot_core.adapters.emulator.service import Emulator
from sigmapilot_core.adapters.postgres import leaderboard_store, progress_store
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.schema import model
from sigmapilot_core.domain.params import DAY_MS
from sigmapilot_core.domain.venue import AssetSpec

from .asset_runs import rows, run
from .asset_venue import NOW_MS, FakeVenue, address, row
from .fetch_process import fetch

ROOT = Path(__file__).parents[2]
TRADERS = 30
KILLED_AT = 11
WAIT_S = 120.0
NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)


def _materialise(platform: Platform, instance: dg.DagsterInstance, *, raises: bool = True) -> dg.ExecuteInProcessResult:
    return dg.materialize([fills_history], instance=instance, resources={"platform": platform}, raise_on_error=raises)


@pytest.mark.slow
def test_a_killed_run_is_continued_where_it_stopped_and_nothing_answered_is_asked_again(
    pg_url: str, tmp_path: Path
) -> None:
    engine = create_engine(pg_url)
    users = [address(i) for i in range(1, TRADERS + 1)]
    with engine.begin() as connection:
        board = [row(user, pnl=100_000.0 - i) for i, user in enumerate(users)]
        leaderboard_store.store_leaderboard(connection, NOW.date(), NOW, board)
    venue = Script(assets=[AssetSpec("BTC", 5, 40)], prices={})
    asked: list[set[str]] = [set()]
    process: list[subprocess.Popen[bytes]] = []
    with in_thread(lambda: Emulator(EmulatorConfig(stepped=True), FeedClock(NOW_MS)),
                   lambda emulator: emulator.open(ScriptedSource(venue, NOW_MS))) as emulator:  # fmt: skip
        assert emulator.emulator.running is not None
        requests = emulator.emulator.running.requests
        answer = requests.info

        def counted(values: Any, peer: str) -> Answer:
            asked[-1].add(values["user"])
            if values["user"] == users[KILLED_AT] and process and process[0].poll() is None:
                process[0].send_signal(signal.SIGKILL)
            return answer(values, peer)

        requests.info = counted  # type: ignore[method-assign]
        command = [sys.executable, "-m", "tests.assets.fetch_process", pg_url, emulator.url, str(NOW_MS), str(tmp_path)]
        process.append(subprocess.Popen(command, cwd=ROOT))
        assert process[0].wait(WAIT_S) == -signal.SIGKILL
        with engine.connect() as connection:
            stopped = progress_store.read(connection, progress_store.HISTORIES)
        assert stopped is not None
        assert (stopped.done, stopped.total, stopped.ended_at) == (KILLED_AT, TRADERS, None)
        assert str(stopped) == "histories: 11 of 30 traders (37 %)"
        asked.append(set())
        metadata = fetch(pg_url, emulator.url, NOW_MS + 60_000, tmp_path)
        assert (metadata["answered_before"], metadata["asked"]) == (KILLED_AT, TRADERS - KILLED_AT)
        asked.append(set())
        assert fetch(pg_url, emulator.url, NOW_MS + DAY_MS - 1, tmp_path)["asked"] == 0
    engine.dispose()
    killed, continued, third = asked
    assert killed & continued == {users[KILLED_AT]}, "the one whose answer the killed run never had"
    assert killed | continued == set(users)
    assert third == set()


def test_of_an_answer_that_came_in_part_only_the_rest_is_asked_again(
    platform: Platform, instance: dg.DagsterInstance, venue: FakeVenue
) -> None:
    run(platform, instance, "refresh_leaderboard")
    venue.silent = frozenset({address(1)})
    _materialise(platform, instance)
    venue.silent = frozenset()
    before = Counter(venue.asked)
    _materialise(platform, instance)
    assert Counter(venue.asked) - before == Counter([address(1)])
    known = {facts["address"]: facts for facts in rows(platform, model.trader_facts)}
    assert all(facts["has_sub_accounts"] is not None for facts in known.values())


def test_a_venue_that_is_silent_ends_the_run_early_with_what_is_stored(
    platform: Platform, instance: dg.DagsterInstance, venue: FakeVenue
) -> None:
    run(platform, instance, "refresh_leaderboard")
    venue.is_mute = True
    result = _materialise(platform, instance, raises=False)
    (failed,) = [e for e in result.all_events if e.event_type_value == "STEP_FAILURE"]
    said = str(failed.event_specific_data.error_display_string)
    assert "left 5 traders in a row without an answer" in said
    assert "0 of 6 are stored, the next run goes on from there" in said
    venue.is_mute = False
    assert _materialise(platform, instance).success
    assert len(rows(platform, model.trader_facts)) >= 6


def test_the_share_that_is_done_is_in_the_log_and_on_the_asset(
    platform: Platform, instance: dg.DagsterInstance
) -> None:
    run(platform, instance, "refresh_leaderboard")
    result = _materialise(platform, instance)
    seen = [
        e.asset_observation_data.asset_observation.metadata["percent"].value
        for e in result.all_events
        if e.event_type_value == "ASSET_OBSERVATION"
    ]
    assert seen == [16.7, 33.3, 50.0, 66.7, 83.3, 100.0]
    with platform.engine.connect() as connection:
        progress = progress_store.read(connection, progress_store.HISTORIES)
    assert progress is not None
    assert progress.ended_at == platform.now()
