"""A journal played again: the same decisions, orders and rows byte for byte, from any state, at any speed."""

from __future__ import annotations

import argparse
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from stream_harness import publish, rows, running, trade, venue

from sigmapilot_core.adapters.journal.writer import JournalWriter
from sigmapilot_core.adapters.postgres.databases import drop_database, ensure_database
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.server import EmbeddedServer
from sigmapilot_stream import restore
from sigmapilot_stream.composition import PARTITION
from sigmapilot_stream.course import Course
from sigmapilot_stream.replaying import __main__ as command
from sigmapilot_stream.replaying.compare import Compared, compared
from sigmapilot_stream.replaying.player import Played, Player
from tests.domain.engine.engine_builders import POOL, T0

Fresh = Callable[[], str]
CONTENT = {
    "decisions": "SELECT chain, seq, id, row_hash, record, decision_key FROM decision_logs ORDER BY 1, 2",
    "inputs": "SELECT decision_id, inputs FROM decision_inputs ORDER BY 1",
    "fills": "SELECT * FROM fills ORDER BY seq, tid, address",
    "episodes": "SELECT * FROM position_signals ORDER BY id",
    "outcomes": "SELECT * FROM ticket_outcomes ORDER BY 1",
    "orders": "SELECT * FROM execution_logs ORDER BY id",
    "positions": "SELECT * FROM live_positions ORDER BY 1",
    "progress": "SELECT * FROM stream_progress",
}
NOT_CONTENT = {"updated_at", "created_at", "latency_ms", "detected_at"}


@pytest.fixture
def fresh(pg_server: EmbeddedServer, pg_template: str) -> Iterator[Fresh]:
    """Makes databases for replays; all are dropped at the end."""
    urls: list[str] = []

    def make() -> str:
        urls.append(pg_server.paths.url(f"replay_{uuid.uuid4().hex}", driver="psycopg"))
        ensure_database(urls[-1], template=pg_template)
        return urls[-1]

    yield make
    for url in urls:
        drop_database(url)


def content(url: str, *names: str) -> dict[str, list[dict[str, str]]]:
    """What is stored, without when it was written."""
    return {
        name: [{k: str(v) for k, v in row._mapping.items() if k not in NOT_CONTENT} for row in rows(url, CONTENT[name])]
        for name in names or CONTENT
    }


async def play(
    journal: Path, url: str, scratch: Path, from_seq: int | None = None, speed: float | None = None
) -> Played:
    engine = create_engine(url)
    try:
        return await Player(Course(journal, PARTITION), engine, scratch, PARTITION, speed).play(from_seq)
    finally:
        engine.dispose()


def against(live: str, again: str, played: Played) -> Compared:
    one, other = create_engine(live), create_engine(again)
    try:
        with one.connect() as theirs, other.connect() as ours:
            return compared(theirs, ours, played, PARTITION)
    finally:
        one.dispose()
        other.dispose()


ACTS = [trade(n, 1_000 * n, user) for n, user in enumerate(POOL[:3], start=1)]
LATER = [trade(20 + n, 6_000 + 1_000 * n, user, "sell") for n, user in enumerate(POOL[:3])]


async def live_run(home: Path, url: str) -> Path:
    """Three buy, a signal is entered on, they sell again; the journal of it."""
    publish(url)
    async with venue(*ACTS, *LATER) as (emulator, at), running(home, url, emulator, at) as live:
        await live.ready()
        await live.play(12_000)
    return home / "demo" / "journal"


async def test_a_run_played_again_twice_gives_the_same_rows(tmp_path: Path, pg_url: str, fresh: Fresh) -> None:
    journal = await live_run(tmp_path, pg_url)
    lived = content(pg_url)
    assert len(lived["decisions"]) >= 4
    assert [row["leg"] for row in lived["orders"]] == ["entry"]
    for _ in range(2):
        again = fresh()
        played = await play(journal, again, tmp_path / "scratch")
        assert content(again) == lived
        found = against(pg_url, again, played)
        assert (found.n_live, found.n_same, found.first) == (len(lived["decisions"]), len(lived["decisions"]), None)
        assert played.is_whole


@pytest.mark.slow
async def test_a_run_over_restarts_is_played_as_one(tmp_path: Path, pg_url: str, fresh: Fresh) -> None:
    publish(pg_url)
    async with venue(*ACTS, *LATER) as (emulator, at):
        for until_ms in (2_500, 6_500, 12_000):
            async with running(tmp_path, pg_url, emulator, at) as live:
                await live.ready()
                await live.play(until_ms)
    lived = content(pg_url, "decisions", "inputs", "fills", "episodes", "outcomes")
    # every restart went on exactly: no gap, no episode spoilt, the votes of before still count
    assert rows(pg_url, "SELECT * FROM feed_gaps") == []
    again = fresh()
    played = await play(tmp_path / "demo" / "journal", again, tmp_path / "scratch")
    assert content(again, *lived) == lived
    assert against(pg_url, again, played).first is None
    types = rows(pg_url, "SELECT decision_type FROM decision_logs ORDER BY decided_at, seq")
    assert ("signal",) in types


@pytest.mark.slow
async def test_a_process_that_began_anew_from_postgres_is_played_the_same(
    tmp_path: Path, pg_url: str, fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore, "MAX_APPLIED_AGAIN", 0)
    publish(pg_url)
    journal = tmp_path / "demo" / "journal"
    async with venue(*ACTS, *LATER) as (emulator, at):
        for until_ms in (2_500, 12_000):
            async with running(tmp_path, pg_url, emulator, at) as live:
                await live.ready()
                await live.play(until_ms)
            for path in (journal / PARTITION).glob("*.checkpoint"):
                if "-start" not in path.name:
                    path.write_bytes(b"written by another version")
    lived = content(pg_url, "decisions", "fills", "episodes")
    assert len(Course(journal, PARTITION).checkpoints.starts()) == 1
    # nobody's positions were known for sure: all were asked again
    assert len(rows(pg_url, "SELECT * FROM feed_gaps WHERE detail = 'the stream was not running'")) == len(POOL)
    again = fresh()
    played = await play(journal, again, tmp_path / "scratch")
    assert content(again, *lived) == lived
    assert against(pg_url, again, played).first is None


@pytest.mark.slow
async def test_what_retention_left_is_played_from_the_oldest_state_that_is_kept(
    tmp_path: Path, pg_url: str, fresh: Fresh
) -> None:
    publish(pg_url)
    journal = tmp_path / "demo" / "journal"
    async with venue(*ACTS, *LATER) as (emulator, at):
        for until_ms in (2_500, 12_000):
            async with running(tmp_path, pg_url, emulator, at) as live:
                await live.ready()
                await live.play(until_ms)
    course = Course(journal, PARTITION)
    first = course.checkpoints.seqs()[0]
    again = fresh()
    played = await play(journal, again, tmp_path / "scratch", from_seq=first + 1)
    found = against(pg_url, again, played)
    assert (played.first_seq, found.first) == (first + 1, None)
    assert 0 < found.n_live < len(rows(pg_url, "SELECT 1 FROM decision_logs"))


@pytest.mark.slow
async def test_a_replay_that_ended_half_way_is_gone_on_with(tmp_path: Path, pg_url: str, fresh: Fresh) -> None:
    journal = await live_run(tmp_path, pg_url)
    lived, again = content(pg_url, "decisions", "fills", "episodes", "progress"), fresh()
    part = tmp_path / "part"
    shutil.copytree(journal, part)
    (file,) = (part / PARTITION).glob("*.journal")
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    first = await play(part, again, tmp_path / "scratch")
    second = await play(journal, again, tmp_path / "scratch")
    assert 0 < first.last_seq < second.last_seq == int(lived["progress"][0]["seq"])
    assert second.first_seq == first.last_seq + 1
    assert content(again, *lived) == lived


@pytest.mark.slow
async def test_the_first_difference_is_named_and_is_an_exit_code(
    tmp_path: Path, pg_url: str, fresh: Fresh, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = await live_run(tmp_path, pg_url)
    given = argparse.Namespace(journal=journal, partition=None, speed="max", from_seq=None, against=pg_url)
    assert await command.replay(given, fresh()) == 0
    said = capsys.readouterr().out
    assert "identical" in said
    assert "x real time" in said
    engine = create_engine(pg_url)
    with engine.begin() as connection:
        text = 'UPDATE decision_logs SET record = replace(record, \'"trader_count":"2"\', \'"trader_count":"7"\')'
        connection.execute(sa.text(text))
    engine.dispose()
    assert await command.replay(given, fresh()) == command.EXIT_DIFFERENT
    assert 'record.trader_count is "7", made again it is "2"' in capsys.readouterr().out


def test_a_journal_that_cannot_be_played_says_why(
    tmp_path: Path, pg_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.run(["--journal", str(tmp_path), "--database", pg_url]) == command.EXIT_FAILED
    assert "there is no journal in" in capsys.readouterr().err
    with JournalWriter(tmp_path, PARTITION, lambda: 0.0) as journal:
        journal.append("tick", T0, b"{}")
    assert command.run(["--journal", str(tmp_path), "--database", pg_url]) == command.EXIT_FAILED
    assert "with which settings" in capsys.readouterr().err


@pytest.mark.slow
async def test_a_speed_is_kept(tmp_path: Path, pg_url: str, fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = await live_run(tmp_path, pg_url)
    waited: list[float] = []
    real = command.asyncio.sleep

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await real(0)

    monkeypatch.setattr("sigmapilot_stream.replaying.player.asyncio.sleep", sleep)
    again = fresh()
    played = await play(journal, again, tmp_path / "scratch", speed=2.0)
    assert max(waited) == pytest.approx(played.virtual_s / 2, abs=played.wall_s + 1)
    assert content(again, "decisions") == content(pg_url, "decisions")
