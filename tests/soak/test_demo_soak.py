"""The demo over half an hour: what it must have shown, and that its memory stays flat (a shorter run shows less)."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from sigmapilot_cli.demo_summary import GATES
from sigmapilot_core.adapters.postgres.engine import create_engine
from sigmapilot_core.adapters.settings import load_settings
from tests.e2e.running_demo import free_base

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]

START_S = 420
SAMPLE_S = 10.0
FULL_MINUTES = 25.0
ALLOWED_GROWTH = 1.35


@dataclass
class Soak:
    """What was seen of one run."""

    minutes: float
    lines: list[str]
    memory_mb: dict[str, list[float]] = field(default_factory=dict)
    gates: dict[tuple[str, str], int] = field(default_factory=dict)
    signals: int = 0
    vetoed: int = 0
    alerts: list[str] = field(default_factory=list)
    dead: int = 0

    @property
    def is_full(self) -> bool:
        """Long enough for everything that the demo declares."""
        return self.minutes >= FULL_MINUTES


@pytest.fixture(scope="module")
def soak(request: pytest.FixtureRequest) -> Soak:
    """One demo from its start to its summary."""
    minutes: float = request.config.getoption("--soak-minutes")
    home = Path(tempfile.mkdtemp(prefix="sp-soak-", dir="/tmp"))
    home.chmod(0o711)
    environment = {**os.environ, "SIGMAPILOT_HOME": str(home)}
    command = [sys.executable, "-m", "sigmapilot_cli", "demo", "--port-base", str(free_base())]
    log = home / "console.log"
    with log.open("w") as console:
        process = subprocess.Popen(command, env=environment, stdout=console, stderr=subprocess.STDOUT)
        try:
            found = Soak(minutes, [])
            _wait_for(log, process, r"watching for a signal", START_S)
            _sample(process, found, minutes * 60)
            _read(environment, found)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=120)
            said = log.read_text().splitlines()
            shutil.rmtree(home)
    found.lines = said
    return found


def _wait_for(log: Path, process: subprocess.Popen[bytes], pattern: str, limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while re.search(pattern, log.read_text()) is None:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, f"not within {limit_s} s:\n{log.read_text()}"
        time.sleep(1.0)


def _sample(process: subprocess.Popen[bytes], found: Soak, seconds: float) -> None:
    """Memory of the long-lived Python parts, every few seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                line = " ".join(child.cmdline())
                resident = child.memory_info().rss / 1e6
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            for part in ("sigmapilot_stream", "adapters.emulator", "sigmapilot_ui.api"):
                if line.endswith(part):
                    found.memory_mb.setdefault(part, []).append(resident)
        time.sleep(SAMPLE_S)


def _read(environment: dict[str, str], found: Soak) -> None:
    settings = load_settings({"SIGMAPILOT_MODE": "demo"}, environment)
    engine = create_engine(settings.database_url.get_secret_value(), pool_size=1)
    with engine.connect() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT gate ->> 'name', coalesce(gate ->> 'passed', 'unknown'), count(*) FROM decision_logs d"
                " CROSS JOIN LATERAL jsonb_array_elements(d.gates::jsonb) AS gate GROUP BY 1, 2"
            )
        )
        found.gates = {(name, passed): count for name, passed, count in rows}
        found.signals = connection.execute(sa.text("SELECT count(*) FROM consensus_signals")).scalar_one()
        found.vetoed = connection.execute(
            sa.text(
                "SELECT count(*) FROM decision_logs d WHERE agreeing_count >= 3 AND EXISTS (SELECT 1 FROM"
                " jsonb_array_elements(d.gates::jsonb) g"
                " WHERE g ->> 'name' = 'effective_k' AND g ->> 'passed' = 'false')"
            )
        ).scalar_one()
        found.alerts = list(connection.execute(sa.text("SELECT kind || ': ' || message FROM alerts")).scalars())
        found.dead = connection.execute(sa.text("SELECT count(*) FROM dead_records")).scalar_one()
    engine.dispose()


def test_information_events_become_signals(soak: Soak) -> None:
    assert soak.signals >= (3 if soak.is_full else 1), "\n".join(soak.lines)


def test_a_copy_group_is_vetoed_by_effective_k(soak: Soak) -> None:
    if soak.minutes < 15:
        assert soak.gates.get(("effective_k", "false"), 0) > 0
        return
    assert soak.vetoed >= 1, "\n".join(soak.lines)


def test_each_gate_is_seen_passing_and_failing(soak: Soak) -> None:
    passing = {gate for gate in GATES if soak.gates.get((gate, "true"), 0)}
    assert passing == set(GATES), "\n".join(soak.lines)
    if soak.is_full:
        failing = {gate for gate in GATES if soak.gates.get((gate, "false"), 0)}
        assert failing == set(GATES), "\n".join(soak.lines)


def test_nothing_is_alarmed_or_set_aside_without_cause(soak: Soak) -> None:
    assert soak.alerts == []
    assert soak.dead == 0


def test_memory_stays_flat(soak: Soak) -> None:
    for part, samples in soak.memory_mb.items():
        settled = samples[len(samples) // 4]
        assert samples[-1] <= settled * ALLOWED_GROWTH, f"{part}: {settled:.0f} MB grew to {samples[-1]:.0f} MB"


def test_it_ends_with_a_summary(soak: Soak) -> None:
    assert any("summary" in line for line in soak.lines)
    assert any("postgres stopped" in line for line in soak.lines)
