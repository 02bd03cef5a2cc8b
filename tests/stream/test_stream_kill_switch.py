"""The kill switch by hand through a whole stream: entries stop, exits go on, and a restart changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from stream_harness import publish, rows, running, trade, until, venue

from sigmapilot_core.adapters.journal.reader import JournalReader
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.operator_store import ask_kill_switch
from sigmapilot_core.domain.codec import from_json
from sigmapilot_core.domain.risk.kill_switch import SwitchAction
from sigmapilot_core.domain.risk.state import RiskState
from tests.domain.engine.engine_builders import POOL, T0

TARGET = Decimal(52_500)  # beyond the take-profit of an entry at 50 005
EVENTS = "SELECT event, cause, detail FROM kill_switch_events ORDER BY id"


def ask(url: str, action: SwitchAction, *, is_forced: bool = False) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        at = datetime.fromtimestamp(T0 / 1000, UTC)
        ask_kill_switch(connection, action, "a test", "anna", "cli", at, is_forced=is_forced)
    engine.dispose()


def decisions(url: str) -> list[tuple[str, int]]:
    return rows(url, "SELECT decision_type, agreeing_count FROM decision_logs ORDER BY decided_at, seq")


async def answered(url: str, count: int) -> list[tuple[str, str, str]]:
    return await until(f"{count} events", lambda: found if len(found := rows(url, EVENTS)) >= count else None)


async def test_entries_stop_at_once_and_go_on_after_the_release(tmp_path: Path, pg_url: str) -> None:
    publish(pg_url)
    acts = [trade(n, 1_000 * n, user) for n, user in enumerate(POOL[:5], start=1)]
    async with venue(*acts) as (emulator, url), running(tmp_path, pg_url, emulator, url) as live:
        await live.ready()
        await live.play(500)
        ask(pg_url, SwitchAction.ON)
        ((event, cause, _),) = await answered(pg_url, 1)
        assert (event, cause) == ("on", "request")
        await live.play(3_500)
        assert decisions(pg_url)[-1] == ("risk_reject", 3)
        (checks,) = rows(pg_url, "SELECT risk_checks FROM decision_logs WHERE decision_type = 'risk_reject'")[-1]
        assert "by hand: a test" in checks
        ask(pg_url, SwitchAction.OFF)
        assert (await answered(pg_url, 2))[1][0] == "refused"
        ask(pg_url, SwitchAction.OFF, is_forced=True)
        assert (await answered(pg_url, 3))[2][0] == "off"
        await live.play(4_500)
        assert decisions(pg_url)[-1] == ("signal", 4)
        assert rows(pg_url, "SELECT leg, status FROM execution_logs") == [("entry", "filled")]
        state_path = live.world.settings.journal_dir
    journalled = [
        from_json(RiskState, record.payload.decode(), "risk state")
        for record in JournalReader(state_path, "0").read(0)
        if record.kind == "account"
    ]
    switched = [state.kill_switch is not None for state in journalled]
    assert True in switched, "the switch is an input of the journal, so that a replay sees it"
    assert switched[-1] is False


async def test_while_it_is_on_a_position_is_still_left_also_after_a_restart(tmp_path: Path, pg_url: str) -> None:
    publish(pg_url)
    acts = [trade(n, 1_000 * n, user) for n, user in enumerate(POOL[:3], start=1)]
    rise = trade(10, 65_000, "0x" + "1" * 40, px=TARGET)
    async with venue(*acts, rise) as (emulator, url):
        async with running(tmp_path, pg_url, emulator, url) as live:
            await live.ready()
            await live.play(4_000)
            assert rows(pg_url, "SELECT leg, status FROM execution_logs") == [("entry", "filled")]
        ask(pg_url, SwitchAction.ON)  # nobody runs: the request stands
        async with running(tmp_path, pg_url, emulator, url) as live:
            await live.ready()
            assert [row[0] for row in await answered(pg_url, 1)] == ["on"]
            assert live.stream.executor.risk.kill_switch is not None
        async with running(tmp_path, pg_url, emulator, url) as live:
            await live.ready()
            assert live.stream.executor.risk.kill_switch is not None, "a restart changes nothing"
            await live.play(66_000, step_ms=31_000)
            await live.play(67_000)
            legs = rows(pg_url, "SELECT leg, fill_size > 0 FROM execution_logs WHERE status = 'filled' ORDER BY id")
            assert legs == [("entry", True), ("take_profit", True)]
            assert rows(pg_url, "SELECT * FROM live_positions") == []
        assert len(rows(pg_url, EVENTS)) == 1
