"""`python -m sigmapilot_stream.replaying --journal DIR`: what `sigmapilot replay --journal` runs.

Exit codes: 0 the journal was played and, where compared, every decision is the same; 1 it cannot be played; 4 a
decision differs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from sigmapilot_core.adapters.journal.files import partitions
from sigmapilot_core.adapters.journal.records import JournalDamaged
from sigmapilot_core.adapters.logging import configure_logging
from sigmapilot_core.adapters.postgres.databases import ensure_database, prepare_database
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.postgres.migrate import WrongModeError
from sigmapilot_core.adapters.postgres.paths import ServerPaths
from sigmapilot_core.adapters.postgres.server import EmbeddedServer
from sigmapilot_stream.course import Course
from sigmapilot_stream.replaying.compare import Compared, compared
from sigmapilot_stream.replaying.player import NotPlayableError, Played, Player, started_of

EXIT_FAILED, EXIT_DIFFERENT = 1, 4
DATABASE = "replay"


def run(arguments: list[str] | None = None) -> int:
    """Play and say what came of it; the exit code."""
    given = _parser().parse_args(arguments)
    configure_logging("replay", "warning", "text")
    try:
        with _database(given.database) as url:
            return asyncio.run(replay(given, url))
    except (NotPlayableError, JournalDamaged, WrongModeError) as error:
        sys.stderr.write(f"sigmapilot: {error}\n")
        return EXIT_FAILED


async def replay(given: argparse.Namespace, url: str) -> int:
    """Play one partition of the journal into a database; compare if asked to."""
    partition = given.partition or next(iter(partitions(given.journal)), None)
    if partition is None:
        raise NotPlayableError(f"there is no journal in {given.journal}.")
    course = Course(given.journal, partition)
    prepare_database(url, f"replay of {started_of(course).mode}")
    engine = create_engine(url)
    scratch = Path(tempfile.mkdtemp(prefix="sigmapilot-replay-"))
    try:
        player = Player(course, engine, scratch, partition, None if given.speed == "max" else float(given.speed))
        played = await player.play(given.from_seq)
        found = _compare(given.against, engine, played, partition) if given.against else None
        sys.stdout.write("".join(f"{line}\n" for line in told(played, _counts(engine), found, course.reader.dropped)))
    finally:
        engine.dispose()
        shutil.rmtree(scratch)
    return EXIT_DIFFERENT if found is not None and found.first is not None else 0


def told(played: Played, counts: dict[str, int], found: Compared | None, dropped: int) -> Iterator[str]:
    """The report, one line each."""
    yield f"inputs {played.first_seq} to {played.last_seq}: {played.count} in {played.wall_s:.1f} s, " + (
        f"{played.virtual_s:.1f} s of the run, {played.speed:.0f} x real time"
    )
    yield ", ".join(f"{name} {count}" for name, count in counts.items())
    if dropped:
        yield f"incomplete last records dropped: {dropped}"
    if found is None:
        return
    yield f"live {found.n_live} decisions, replayed {found.n_replayed}, the same in every byte {found.n_same}"
    yield "identical" if found.first is None else f"first difference: {found.first}"


def _compare(url: str, engine: sa.Engine, played: Played, partition: str) -> Compared:
    live = create_engine(url, pool_size=1)
    try:
        with live.connect() as theirs, engine.connect() as ours:
            return compared(theirs, ours, played, partition)
    finally:
        live.dispose()


def _counts(engine: sa.Engine) -> dict[str, int]:
    tables = {
        "fills": "fills", "episodes": "position_signals", "decisions": "decision_logs", "signals": "consensus_signals",
        "outcomes": "ticket_outcomes", "orders": "execution_logs", "dead records": "dead_records",
    }  # fmt: skip
    with engine.connect() as connection:
        query = sa.select(sa.func.count())
        return {
            name: connection.execute(query.select_from(sa.table(table))).scalar_one() for name, table in tables.items()
        }


@contextlib.contextmanager
def _database(url: str | None) -> Iterator[str]:
    """The database that was given, else an embedded one that is gone afterwards."""
    if url is not None:
        ensure_database(url)
        yield url
        return
    # not below a folder of the caller's: for root its files belong to the account that runs Postgres
    root = Path(tempfile.mkdtemp(prefix="sigmapilot-replay-pg-"))
    server = EmbeddedServer(ServerPaths(root), Path(tempfile.gettempdir(), "sigmapilot-pg-binaries"), durable=False)
    try:
        server.start()
        found = server.paths.url(DATABASE)
        ensure_database(found)
        yield found
    finally:
        server.stop()
        shutil.rmtree(root, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sigmapilot replay --journal")
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--partition")
    parser.add_argument("--speed", default="max")
    parser.add_argument("--from-seq", type=int)
    parser.add_argument("--database")
    parser.add_argument("--against")
    return parser


if __name__ == "__main__":
    sys.exit(run())
