"""Ctrl-C ends everything in order and leaves nothing but data; the next start finds its data and its world again."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
from running_demo import Demo, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STOPS = ["page", "dagster-webserver", "dagster-daemon", "dagster-code", "api", "stream", "emulator", "postgres"]
LOCKS = ("up.lock", "up.json", "postmaster.pid")


def state_of(demo: Demo) -> dict[str, object]:
    """What must be the same after a restart."""
    world = demo.emulator("/emulator/status")
    return {
        "seed": world["seed"],
        "epoch": world["epoch_ms"],
        "leaderboard days": demo.number("SELECT count(DISTINCT as_of_date) FROM leaderboard_snapshots"),
        "token": demo.token,
    }


def remains(home: Path) -> list[str]:
    """Sockets and lock files below a folder."""
    paths = [Path(folder, name) for folder, _, files in os.walk(home) for name in files]
    return sorted(str(path) for path in paths if path.name in LOCKS or stat.S_ISSOCK(path.lstat().st_mode))


def test_ctrl_c_leaves_no_process_no_socket_no_lock_and_the_next_start_goes_on(signalled: Demo) -> None:
    demo = signalled
    before, decisions = state_of(demo), {row[0] for row in demo.sql("SELECT id FROM decision_logs")}
    started = len(demo.said.read_text())
    assert demo.interrupt() == 0
    assert [line.split()[1] for line in demo.said.read_text()[started:].splitlines() if "stopped" in line] == STOPS
    assert demo.leftovers() == []
    assert remains(demo.home) == []
    for offset in (0, 1, 2, 3, 4, 10, 20, 30, 31):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", demo.base + offset)) != 0
    assert "does not run in mode demo" in demo.sigmapilot("status").stdout

    demo.start()
    assert state_of(demo) == before
    assert decisions <= {row[0] for row in demo.sql("SELECT id FROM decision_logs")}
    assert demo.said.read_text().count(demo.token) == 1
    until("the stream decides again", lambda: _decides(demo, len(decisions)), 180, every_s=2)
    done = demo.sigmapilot("verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert demo.interrupt() == 0
    assert demo.leftovers() == []
    assert remains(demo.home) == []


def _decides(demo: Demo, known: int) -> bool:
    return demo.number("SELECT count(*) FROM decision_logs") > known


def test_reset_removes_everything_of_the_mode(signalled: Demo) -> None:
    done = signalled.sigmapilot("reset", "--mode", "demo", "--yes")
    assert (done.returncode, done.stdout) == (0, "mode demo is empty.\n"), done.stderr
    assert not (signalled.home / "demo").exists()
