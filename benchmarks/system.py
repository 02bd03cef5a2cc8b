"""A demo of our own for a benchmark: started, asked, stopped, removed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import psycopg

from sigmapilot_core.adapters.dagster_graphql import DagsterGraphql, DagsterUnavailableError, JobRun
from sigmapilot_core.adapters.settings import Settings, load_settings

T = TypeVar("T")
JOB = "materialise_all"
_STOP_S = 90.0


class NotMeasuredError(RuntimeError):
    """The system did not do what was to be measured; the message says what it said last."""


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo. `started_at` is seconds since the epoch."""

    process: subprocess.Popen[bytes]
    settings: Settings
    log: Path
    started_at: float

    @property
    def dagster(self) -> DagsterGraphql:
        """Its Dagster."""
        return DagsterGraphql(f"http://127.0.0.1:{self.settings.ports.dagster}")

    def until(self, ask: Callable[[], T | None], what: str, timeout_s: float) -> T:
        """Ask twice a second until there is an answer.

        Raises:
            NotMeasuredError: the demo ended, or there was none in time.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.process.poll() is None:
            found = ask()
            if found is not None:
                return found
            time.sleep(0.5)
        last = self.log.read_text().strip().splitlines()[-1:]
        raise NotMeasuredError(f"{what} did not come within {timeout_s:g} s; the demo last said: {last}")

    def finished_run(self, other_than: str = "") -> JobRun | None:
        """The newest run of the whole graph once it has ended."""
        try:
            run = self.dagster.newest_run(JOB)
        except DagsterUnavailableError:  # not up yet
            return None
        return None if run is None or run.is_active or run.run_id == other_than else run

    def ready_ms(self) -> int | None:
        """When the stream reported ready, by the emulator's clock."""
        url = f"http://127.0.0.1:{self.settings.ports.emulator}/emulator/status"
        try:
            return httpx.get(url, trust_env=False, timeout=5).json()["stream_ready_ms"]
        except (httpx.HTTPError, ValueError):  # not up yet
            return None

    def first_signal_ms(self) -> int | None:
        """Instant of the first signal whose entry was filled on paper."""
        query = """
            SELECT (extract(epoch FROM s.created_at) * 1000)::bigint
              FROM consensus_signals s JOIN execution_logs l ON l.decision_id = s.id
             WHERE l.leg = 'entry' AND l.fill_price IS NOT NULL ORDER BY s.created_at LIMIT 1
        """
        with psycopg.connect(self.settings.libpq_url.get_secret_value(), connect_timeout=10) as connection:
            row = connection.execute(query).fetchone()
        return None if row is None else int(row[0])


@contextmanager
def demo(port_base: int, seed: int = 7) -> Iterator[Demo]:
    """A fresh demo in a folder of its own; afterwards neither process nor file is left."""
    folder = Path(tempfile.mkdtemp(prefix="sp-bench-", dir="/tmp"))
    folder.chmod(0o711)  # the account that runs Postgres for root passes through
    log, home = folder / "demo.log", folder / "home"
    names = {"SIGMAPILOT_HOME": str(home), "SIGMAPILOT_MODE": "demo", "SIGMAPILOT_PORT_BASE": str(port_base)}
    command = [sys.executable, "-m", "sigmapilot_cli", "demo", "--seed", str(seed), "--port-base", str(port_base)]
    started_at = time.time()
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, env=os.environ | {"SIGMAPILOT_HOME": str(home)}, stdout=sink, stderr=subprocess.STDOUT
        )
    try:
        yield Demo(process, load_settings(names), log, started_at)
    finally:
        _stop(process)
        shutil.rmtree(folder)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for how, patience_s in ((signal.SIGINT, _STOP_S), (signal.SIGINT, 15.0), (signal.SIGKILL, 15.0)):
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            continue
        return
