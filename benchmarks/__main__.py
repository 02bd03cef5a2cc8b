"""`python -m benchmarks [NAME ...] [--all] [--dry] [--date YYYY-MM-DD]`: each benchmark in a process of its own."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import table
from benchmarks.figures import Figure

ROOT = Path(__file__).resolve().parents[1]
ABOUT = {
    "decision_core": "fills through the decision core",
    "stream_step": "frames as bytes through the stream's decision step",
    "frame_to_commit": "frames as bytes to decisions committed in Postgres",
    "kafka": "frames over a real Kafka broker to decisions committed by one worker; needs Java and Maven",
    "replay": "a journal played again; a state kept; memory of 10,000 followed traders",
    "science": "correlations, episodes and posteriors of many traders",
    "histories": "stored fills read and folded into episodes",
    "world_build": "history of the simulated world",
    "past_days": "past days evaluated from what was known then",
    "leaderboard_parse": "reading the leaderboard file",
    "walk_forward": "180 simulated days decided again",
    "recompute": "decisions made again and verified from the database",
    "priming": "positions of 10,000 traders asked from an emulator",
    "priming_at_limit": "the same of all 10,000 at the exchange's real limit: twenty minutes",
    "graph": "the whole asset graph in a demo",
    "first_signal": "readiness to first signal over five seeds: a quarter of an hour",
}
LONG = ("first_signal", "kafka", "priming_at_limit")
ON_ONE_CORE = ("decision_core", "stream_step", "science")


def processor() -> str:
    """The processor's name as the system tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def place(day: str) -> str:
    """Date, machine and load of the minute before, for the table."""
    return f"{day}, {processor()} x {os.cpu_count()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"


def measure(name: str) -> list[Figure]:
    """Run one benchmark in a fresh process, so that memory and caches are its own.

    Raises:
        subprocess.CalledProcessError: it failed; what it said is on the terminal.
    """
    command = [sys.executable, "-m", "benchmarks", "--inside", name]
    # threads that wait for one another would count as processor time
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"} if name in ON_ONE_CORE else None
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, env=environment)
    return [Figure.of(row) for row in json.loads(done.stdout)]


def show(name: str, figures: list[Figure]) -> None:
    """Print figures with their ratios."""
    for figure in figures:
        goal = "" if figure.ratio is None else f"  {figure.ratio:.2f} x the goal of {table.number(figure.goal or 0)}"
        remark = f"  ({figure.note})" if figure.note else ""
        print(f"{name}: {figure.name}: {table.number(figure.value)} {figure.unit}{goal}{remark}", flush=True)  # noqa: T201 - a command prints


def main(arguments: list[str]) -> int:
    """Run the named benchmarks, or all short ones; exit code 1 if one failed."""
    known = list(ABOUT)
    cli = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    cli.add_argument("names", nargs="*", metavar="NAME", help="; ".join(f"{n}: {about}" for n, about in ABOUT.items()))
    cli.add_argument("--all", action="store_true", help="the long ones too")
    cli.add_argument("--dry", action="store_true", help="leave docs/benchmarks.md as it is")
    cli.add_argument("--date", default=f"{datetime.now(UTC):%Y-%m-%d}", help="date for the table; default: today")
    cli.add_argument("--inside", choices=known, help=argparse.SUPPRESS)
    given = cli.parse_args(arguments)
    unknown = [name for name in given.names if name not in ABOUT]
    if unknown:
        cli.error(f"{unknown[0]!r} is no benchmark; allowed: {', '.join(ABOUT)}")
    if given.inside:
        figures = importlib.import_module(f"benchmarks.{given.inside}").run()
        sys.stdout.write(json.dumps([asdict(figure) for figure in figures]))
        return 0
    names = given.names or [name for name in ABOUT if given.all or name not in LONG]
    failed = []
    for name in names:
        where = place(given.date)
        try:
            figures = measure(name)
        except subprocess.CalledProcessError:
            failed.append(name)
            continue
        show(name, figures)
        if not given.dry:
            table.update({name: figures}, known, where)
    if failed:
        sys.stderr.write(f"not measured: {', '.join(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
